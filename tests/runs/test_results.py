"""`model.results`: the metrics of a run by split, which its checkpoint has."""

import errno
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest

import nnreg
from nnreg import CheckpointError
from nnreg.checkpoint.diff import compare
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.runs import writer
from tests.helpers.specs import three_folds

SPLIT = {"validation": 0.2, "test": 0.2}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folds = three_folds(tmp_path)
    train = {"epochs": 4}
    return {**folds, "data": {**folds["data"], "split": SPLIT}, "train": train}


def summary(directory):
    return json.loads(Path(directory, "summary.json").read_text())


def edit(path, change):
    """Rewrite a checkpoint with its document changed."""
    saved = read_checkpoint(path)
    document = dict(saved.document)
    change(document)
    write_checkpoint(path, Checkpoint(document, dict(saved.arrays)))


def test_a_run_and_its_checkpoint_have_those_of_every_split(spec):
    model = nnreg.run(spec, out="run")
    assert list(model.results) == ["train", "validation", "test", "baseline"]
    for split, metrics in model.results.items():
        assert metrics == summary("run")[split], split
    assert nnreg.load("run").results == model.results
    nnreg.save(model, "alone.h5")
    assert nnreg.load("alone.h5").results == model.results


def test_they_are_those_of_the_best_weights(spec):
    """Of a checkpoint for resuming, only the validation metrics of its last epoch are known."""
    spec["optimizer"] = {"type": "sgd", "learning_rate": 3.0}
    model = nnreg.run({**spec, "train": {"epochs": 9}}, out="run")
    state, best = model.training_state, model.history[model.training_state.best_epoch - 1]
    assert state.best_epoch < 9
    assert model.results["validation"]["loss"] == pytest.approx(best["val_loss"])
    last = nnreg.load("run/checkpoints/last.h5").results
    record = model.history[-1]
    metrics = {name: record[f"val_{name}"] for name in ("loss", "accuracy")}
    assert last == {"validation": metrics}


def test_a_resumed_run_has_those_of_an_uninterrupted_one(spec):
    whole = nnreg.run(spec, out="whole")

    def interrupt(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nnreg.run(spec, out="half", on_epoch=interrupt)
    assert nnreg.load("half").results.keys() == {"validation"}
    resumed = nnreg.resume("half")
    assert resumed.results == whole.results
    assert Path("half/checkpoints/best.h5").read_bytes() == (
        Path("whole/checkpoints/best.h5").read_bytes()
    )


@pytest.fixture
def written(monkeypatch):
    """Return the names of the checkpoints that are written."""
    names, write = [], writer.write_checkpoint

    def recorded(path, *args, **options):
        names.append(path.name)
        write(path, *args, **options)

    monkeypatch.setattr(writer, "write_checkpoint", recorded)
    return names


def test_the_best_checkpoint_is_written_once_at_the_end(spec, written):
    nnreg.run(spec, out="run")
    assert written == ["last.h5", "last.h5", "best.h5"]  # the first before training
    assert nnreg.load("run").results


def test_if_they_cannot_be_computed_it_is_written_without(spec, written, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("nnreg.runs.summary.evaluate_with_baseline", fail)
        with pytest.raises(MemoryError):
            nnreg.run(spec, out="run")
    assert written == ["last.h5", "last.h5", "best.h5"]
    assert nnreg.load("run").results.keys() == {"validation"}
    resumed = nnreg.resume("run")
    assert nnreg.load("run").results == resumed.results


def test_a_best_checkpoint_that_cannot_be_written_is_an_error(spec, monkeypatch):
    write = writer.write_checkpoint

    def full(path, *args, **options):
        if path.name == "best.h5":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_checkpoint", full)
        with pytest.raises(nnreg.UnsavedError, match=r"No space left .* nnreg resume run"):
            nnreg.run(spec, out="run")
    resumed = nnreg.resume("run")
    assert nnreg.load("run").results == resumed.results


def test_each_fold_of_a_cross_validation_has_its_own_also_when_resumed(spec, tmp_path):
    found = nnreg.run(three_folds(tmp_path), out="cv")
    for number, model in enumerate(found.models, 1):
        assert model.results["validation"] == summary(f"cv/fold-{number}")["validation"]
        assert nnreg.load(f"cv/fold-{number}").results == model.results
    again = nnreg.resume("cv")
    assert [one.results for one in again.models] == [one.results for one in found.models]
    assert [one.run_directory for one in again.models] == [Path(f"cv/fold-{n}") for n in (1, 2, 3)]


def test_training_further_leaves_only_what_is_measured_then(spec):
    model = nnreg.run(spec)
    rows = pandas.read_csv("data.csv")
    model.fit(rows, epochs=1)
    assert model.results == {}
    model.fit(rows, validation=(rows, None), epochs=1)
    assert model.results == {"validation": pytest.approx(model.evaluate(rows))}


def test_a_file_without_them_loads(spec):
    nnreg.run(spec, out="run")
    edit("run/checkpoints/best.h5", lambda document: document.pop("results"))
    model = nnreg.load("run")
    best = model.history[model.training_state.best_epoch - 1]
    assert model.results["validation"]["loss"] == best["val_loss"]
    assert model.results.keys() == {"validation"}


def test_metrics_that_are_not_finite_are_kept(spec):
    model = nnreg.run(spec)
    model.training_state.evaluated["test"] = {"loss": math.inf, "accuracy": math.nan}
    nnreg.save(model, "model.h5")
    np.testing.assert_equal(nnreg.load("model.h5").results["test"], model.results["test"])


@pytest.mark.parametrize(
    ("results", "path"),
    [
        ({"holdout": {"loss": 1.0}}, r"results\.holdout|results"),
        ({"test": {"loss": "high"}}, r"results\.test\.loss"),
        ({"test": [1.0]}, r"results\.test"),
    ],
)
def test_others_are_refused_with_their_path(spec, results, path):
    nnreg.run(spec, out="run")
    edit("run/checkpoints/best.h5", lambda document: document.update(results=results))
    with pytest.raises(CheckpointError, match=path):
        nnreg.load("run")


def test_they_are_no_difference_of_two_checkpoints(spec):
    nnreg.run(spec, out="run")
    shutil.copy("run/checkpoints/best.h5", "without.h5")
    edit("without.h5", lambda document: document.pop("results"))
    assert read_summary("run").manifest.results
    assert compare("run", "without.h5").same


def test_the_directory_of_a_run_is_known(spec, tmp_path):
    assert nnreg.run(spec).run_directory is None
    assert nnreg.run(spec, out="run").run_directory == Path("run")
    assert nnreg.load("run").run_directory == tmp_path / "run"
    assert nnreg.load("run/checkpoints/last.h5").run_directory == tmp_path / "run"
    shutil.copy("run/checkpoints/best.h5", "alone.h5")
    assert nnreg.load("alone.h5").run_directory is None
