"""A run and its folder."""

import json
import os
import subprocess
import sys

import pytest
from specs import CSV, classifier, csv_data, regressor

import nnreg
from nnreg import CheckpointError, DataError, DivergedError, SpecError, UsageError
from nnreg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

SPLIT = {"validation": 0.25, "test": 0.25}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(split=SPLIT, unseen="ignore"))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return tmp_path / "spec.json"


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def bits(path):
    with open(path, "rb") as file:
        return file.read()


def test_a_run_leaves_spec_metrics_summary_and_checkpoints(spec, tmp_path):
    model = nnreg.run(spec, out=tmp_path / "out", overrides=["train.epochs=7"])
    out = tmp_path / "out"
    files = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert files == {
        "spec.json", "metrics.jsonl", "summary.json", "checkpoints/best.h5", "checkpoints/last.h5"
    }  # fmt: skip
    assert json.loads((out / "spec.json").read_text())["train"] == {"epochs": 7}
    assert records(out) == [dict(record) for record in model.history]
    assert list(records(out)[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["epochs"] == 7
    assert summary["stopped"] == "epochs"
    assert summary["test"].keys() == {"loss", "accuracy"}
    assert 0 <= summary["baseline"]["accuracy"] <= 1


def test_best_predicts_as_the_returned_model_and_last_goes_on(spec, tmp_path):
    model = nnreg.run(spec, out=tmp_path / "out")
    best = nnreg.load(tmp_path / "out" / "checkpoints" / "best.h5")
    rows = [{"island": "north", "length": 1, "depth": 5}]
    assert best.predict(rows).tobytes() == model.predict(rows).tobytes()
    assert nnreg.load(tmp_path / "out" / "checkpoints" / "last.h5").resumable


def test_without_out_nothing_is_written(spec, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    nnreg.run(spec)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_spec_gives_the_same_files_twice(spec, tmp_path):
    for name in ("a", "b"):
        nnreg.run(spec, out=tmp_path / name)
    for file in ("metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert bits(tmp_path / "a" / file) == bits(tmp_path / "b" / file)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "once", overrides=["train.epochs=10"])
    nnreg.run(spec, out=tmp_path / "parts", overrides=["train.epochs=4"])
    command = "import nnreg, sys; nnreg.resume(sys.argv[1], overrides=['train.epochs=10'])"
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "parts")], check=True)
    for file in ("spec.json", "metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert bits(tmp_path / "once" / file) == bits(tmp_path / "parts" / file)


def test_a_checkpoint_file_resumes_in_its_run(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    nnreg.resume(tmp_path / "out" / "checkpoints" / "last.h5", overrides=["train.epochs=6"])
    assert len(records(tmp_path / "out")) == 6


def test_a_run_that_is_there_is_not_overwritten(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    with pytest.raises(UsageError, match="there is a run already; choose another folder or resume"):
        nnreg.run(spec, out=tmp_path / "out")


def test_a_run_does_not_resume_on_other_data(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    (tmp_path / "data.csv").write_text(CSV.replace("4.4", "4.5"))
    with pytest.raises(DataError, match="not the data that it was trained on"):
        nnreg.resume(tmp_path / "out")


def test_the_best_weights_alone_do_not_resume(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"resume its last\.h5"):
        nnreg.resume(tmp_path / "out" / "checkpoints" / "best.h5")


def test_a_folder_without_a_checkpoint_does_not_resume(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no checkpoints/last\.h5"):
        nnreg.resume(tmp_path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"loss": "nonsense"}, SpecError),
        ({"data": csv_data(target="nothing")}, DataError),
        ({"data": csv_data(path="nowhere.csv")}, DataError),
        ({"model": {"layers": [{"type": "lstm", "units": 2}]}}, SpecError),
        ({"metrics": ["r2"]}, SpecError),
        ({"train": {"early_stopping": {}}}, UsageError),
    ],
)
def test_bad_input_writes_nothing(spec, tmp_path, change, error):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        nnreg.run(classifier(**{"data": csv_data(), **change}), out=tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_diverges_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("x,y\n1,1\n2,2\n3,5\n4,4\n")
    data = csv_data(target="y", inputs=["x"])
    diverging = regressor(
        data=data, optimizer={"type": "sgd", "learning_rate": 1e30}, train={"epochs": 50}
    )
    with pytest.raises(DivergedError):
        nnreg.run(diverging, out="out")
    good = nnreg.load("out/checkpoints/last.h5")
    done = good.progress.epoch
    assert 1 <= done < 50
    assert len(records(tmp_path / "out")) == done
    assert json.loads((tmp_path / "out/summary.json").read_text())["stopped"] == "diverged"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    fresh = nnreg.run({**diverging, "train": {"epochs": done}})
    assert fresh.network.vector.tobytes() == good.network.vector.tobytes()


def test_an_interrupted_run_is_saved(spec, tmp_path):
    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nnreg.run(spec, out=tmp_path / "out", on_epoch=interrupt)
    nnreg.resume(tmp_path / "out")
    nnreg.run(spec, out=tmp_path / "whole")
    assert bits(tmp_path / "out/metrics.jsonl") == bits(tmp_path / "whole/metrics.jsonl")


def test_data_may_be_passed_in():
    from specs import blobs

    model = nnreg.run(classifier(), data=blobs())
    assert len(model.history) == 5
    with pytest.raises(SpecError, match=r"\$\.data: required"):
        nnreg.run(classifier())


def test_a_checkpoint_reads_no_data_file_that_it_does_not_know_the_digest_of(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    file = tmp_path / "out" / "checkpoints" / "last.h5"
    saved = read_checkpoint(file)
    for digests in ({}, {"data.csv": "0" * 64}, {**saved.document["data"], "more": "0"}):
        write_checkpoint(file, Checkpoint({**saved.document, "data": digests}, saved.arrays))
        with pytest.raises(DataError, match="trained on"):
            nnreg.resume(tmp_path / "out")


def test_a_data_file_that_is_a_pipe_is_refused_and_not_waited_for(spec, tmp_path):
    (tmp_path / "data.csv").unlink()
    os.mkfifo(tmp_path / "data.csv")
    with pytest.raises(DataError, match=r"data\.csv: cannot read the data: not a regular file"):
        nnreg.run(spec)
