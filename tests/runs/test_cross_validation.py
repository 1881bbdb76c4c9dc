"""Cross-validation: one run per fold, which resumes where it was stopped."""

import functools
import json
import statistics
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, DataError, SpecError, UsageError
from nnreg.runs import rerun as comparing_rerun
from nnreg.runs import writer
from nnreg.runs.api import prepare, prepare_resumed
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import csv_data, line, regressor, three_folds


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return three_folds(tmp_path)


def changed(spec, **sections):
    return {**spec, **{name: {**spec[name], **more} for name, more in sections.items()}}


def splits_of(spec, fold):
    """Return the inputs of each split, in the units of the file, as sets of rows."""
    spec = changed(spec, train={"fold": fold}, data={"scaling": "none"})
    splits = prepare_from_spec(read_spec(spec)).splits
    return {name: set(map(tuple, split.x.tolist())) for name, split in splits.items()}


def test_each_row_is_held_out_once_and_the_test_split_is_never_used(spec):
    with_test = changed(spec, data={"split": {"test": 0.2, "stratify": True}})
    whole = {**with_test, "train": {"epochs": 3}}
    whole = prepare_from_spec(read_spec(changed(whole, data={"scaling": "none"}))).splits
    test = set(map(tuple, whole["test"].x.tolist()))
    held_out = []
    for fold in (1, 2, 3):
        splits = splits_of(with_test, fold)
        assert set(splits) == {"train", "validation"}
        assert not (splits["train"] | splits["validation"]) & test
        assert len(splits["train"]) + len(splits["validation"]) == 60 - len(test)
        held_out += splits["validation"]
    assert len(set(held_out)) == len(held_out) == 60 - len(test)


def test_with_a_validation_split_the_fold_is_the_test_split(spec):
    split = {"validation": 0.25, "test": 0.2}
    tested = []
    for fold in (1, 2, 3):
        splits = splits_of(changed(spec, data={"split": split}), fold)
        assert {name: len(rows) for name, rows in splits.items()} == {
            "train": 24, "validation": 8, "test": 16,
        }  # fmt: skip
        assert not splits["train"] & splits["validation"]
        assert not splits["test"] & (splits["train"] | splits["validation"])
        tested += splits["test"]
    assert len(set(tested)) == 48


def test_a_fold_in_time_is_later_than_its_validation_and_training_rows(spec):
    split = {"validation": 0.25, "test": 0.2, "order": True}
    whole = {**changed(spec, data={"scaling": "none"}), "train": {}}
    rows = {
        tuple(row): n for n, row in enumerate(prepare_from_spec(read_spec(whole)).train.x.tolist())
    }
    earlier = set()
    for fold, count in ((1, 9), (2, 18), (3, 27)):
        splits = splits_of(changed(spec, data={"split": split}), fold)
        train, validation, test = (
            [rows[row] for row in splits[name]] for name in ("train", "validation", "test")
        )
        assert (len(train), len(validation), len(test)) == (count, count // 3, 12)
        assert max(train) < min(validation) <= max(validation) < min(test)
        assert earlier <= splits["train"] | splits["validation"]
        earlier = splits["train"] | splits["validation"] | splits["test"]
    assert len(earlier) == 48


def test_no_group_is_in_two_splits_of_a_fold(spec, tmp_path):
    lines = (tmp_path / "data.csv").read_text().splitlines()
    rows = [f"{line},{number % 12}" for number, line in enumerate(lines[1:])]
    (tmp_path / "data.csv").write_text("\n".join([f"{lines[0]},g", *rows]) + "\n")
    split = {"validation": 0.25, "group": "g", "stratify": True}
    tested = []
    for fold in (1, 2, 3):
        data = {"split": split, "inputs": ["g"], "columns": {"g": "number"}}
        splits = splits_of(changed(spec, data=data), fold)
        assert sum(map(len, splits.values())) == 12
        assert len(set.union(*splits.values())) == 12
        tested += splits["test"]
    assert len(set(tested)) == len(tested) == 12


def test_the_validation_rows_of_every_fold_may_be_a_file(spec, tmp_path):
    lines = (tmp_path / "data.csv").read_text().splitlines(keepends=True)
    (tmp_path / "other.csv").write_text("".join(lines[:11]))
    split = {"validation": "other.csv", "test": "other.csv"}
    splits = splits_of(changed(spec, data={"split": split}), 1)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [40, 10, 20]


def test_the_summary_has_the_mean_and_deviation_over_the_folds(spec, tmp_path):
    found = nnreg.run(spec, out="runs/x")
    assert (found.summary["folds"], found.summary["done"]) == (3, 3)
    assert found.summary["part"] == "validation"
    own = [json.loads((tmp_path / f"runs/x/fold-{n}/summary.json").read_text()) for n in (1, 2, 3)]
    for name in ("loss", "accuracy"):
        values = [one["validation"][name] for one in own]
        assert [one[name] for one in found.summary["runs"]] == values
        assert found.summary["mean"][name] == pytest.approx(np.mean(values))
        assert found.summary["std"][name] == pytest.approx(statistics.stdev(values))
    assert json.loads((tmp_path / "runs/x/summary.json").read_text()) == found.summary
    assert repr(found).startswith("CrossValidation('spec', 3 of 3 folds, loss ")
    for number, model in enumerate(found.models, 1):
        loaded = nnreg.load(f"runs/x/fold-{number}")
        np.testing.assert_array_equal(model.network.vector, loaded.network.vector)


def test_folds_need_no_directory_and_no_file():
    x, y = line()
    found = nnreg.run(regressor(train={"epochs": 3, "folds": 3}), data=(x, y))
    assert len(found.models) == 3
    assert found.directory is None
    assert len(found.train().models) == 3
    assert found.models[0].predict(x).shape == (40,)


def test_a_fold_is_a_run_that_can_be_loaded_and_trained_again(spec, tmp_path):
    nnreg.run(spec, out="runs/x")
    fold = tmp_path / "runs/x/fold-2"
    assert comparing_rerun.rerun(fold / "checkpoints/last.h5").results_same
    again = nnreg.run(fold / "resolved.json")
    assert again.network.vector.tobytes() == nnreg.load(fold).network.vector.tobytes()
    alone = nnreg.run(spec, overrides=["train.fold=2"])
    assert alone.network.vector.tobytes() == again.network.vector.tobytes()
    whole = nnreg.run(tmp_path / "runs/x/resolved.json")
    assert whole.models[1].network.vector.tobytes() == again.network.vector.tobytes()


def test_resuming_trains_the_remaining_folds_bit_identically(spec, tmp_path):
    spec = changed(spec, train={"epochs": 4}, optimizer={"learning_rate": 3.0})
    whole = nnreg.run(spec, out="runs/whole")
    with pytest.raises(KeyboardInterrupt):
        nnreg.run(spec, out="runs/x", on_epoch=stop_at(6))
    assert json.loads((tmp_path / "runs/x/summary.json").read_text())["done"] == 1
    untouched = (tmp_path / "runs/x/fold-1/metrics.jsonl").stat().st_mtime_ns
    epochs = []
    found = nnreg.resume("runs/x", on_epoch=lambda record: epochs.append(record["epoch"]))
    assert epochs == [3, 4, 1, 2, 3, 4]
    assert (tmp_path / "runs/x/fold-1/metrics.jsonl").stat().st_mtime_ns == untouched
    for one, other in zip(found.models, whole.models, strict=True):
        assert one.network.vector.tobytes() == other.network.vector.tobytes()
    assert {**found.summary, "seconds": 0} == {**whole.summary, "seconds": 0}
    assert any(one["best_epoch"] < 4 for one in found.summary["runs"])
    again = nnreg.resume("runs/x")  # nothing remains
    assert again.summary == found.summary
    for one, other in zip(again.models, whole.models, strict=True):
        assert one.network.vector.tobytes() == other.network.vector.tobytes()


@pytest.mark.parametrize("text", ["", '{"validation": {}}', '{"validation": {"loss": "x"}}'])
def test_an_invalid_summary_is_computed_again(spec, tmp_path, text):
    whole = nnreg.run(spec, out="runs/x")
    valid = json.loads((tmp_path / "runs/x/fold-2/summary.json").read_text())
    for invalid in (text, json.dumps(valid | (json.loads(text) if text[:1] == "{" else {}))):
        (tmp_path / "runs/x/fold-2/summary.json").write_text(invalid)
        found = nnreg.resume("runs/x")
        assert {**found.summary, "seconds": 0} == {**whole.summary, "seconds": 0}


def test_resuming_can_train_every_fold_for_longer(spec):
    nnreg.run(spec, out="runs/x")
    found = nnreg.resume("runs/x", overrides=["train.epochs=5"])
    assert [one["epochs"] for one in found.summary["runs"]] == [5, 5, 5]
    longer = nnreg.run(changed(spec, train={"epochs": 5}))
    assert found.models[2].network.vector.tobytes() == longer.models[2].network.vector.tobytes()


@pytest.mark.parametrize("change", ["train.folds=4", "train.folds=null", "train={}"])
def test_the_number_of_folds_cannot_be_changed(spec, change):
    nnreg.run(spec, out="runs/x")
    with pytest.raises((UsageError, SpecError, CheckpointError), match="fold"):
        nnreg.resume("runs/x", overrides=[change])


def test_a_run_directory_may_have_the_name_of_a_fold(spec):
    nnreg.run({**spec, "train": {"epochs": 1}}, out="runs/fold-1")
    with pytest.raises(UsageError, match="fold-1 was begun with no folds"):
        nnreg.resume("runs")


def test_each_fold_is_a_run_for_plugins(spec):
    runs = []
    for run in prepare(spec, out="runs/x").runs():
        runs.append((run.name, run.settings["train.fold"]))
        run.train()
    assert runs == [("x/fold-1", 1), ("x/fold-2", 2), ("x/fold-3", 3)]


def test_an_error_lists_the_folds_of_a_cross_validation(spec, tmp_path):
    nnreg.run(spec, out="runs/x")
    for use in (nnreg.load, nnreg.read_history, comparing_rerun.rerun):
        with pytest.raises(CheckpointError, match=r"a cross-validation, .* choose one: .*fold-1, "):
            use("runs/x")
    with pytest.raises(UsageError, match="already has a run"):
        prepare(spec, out="runs/x")
    with pytest.raises(UsageError, match="resumes in its own directory; omit --out"):
        prepare_resumed("runs/x", out="runs/y")


def test_an_error_in_any_fold_is_reported_before_anything_is_written(spec, tmp_path):
    text = (tmp_path / "data.csv").read_text().replace("ash", "birch")
    (tmp_path / "data.csv").write_text(text + "0,0,0,0,yew\n")
    spec = changed(spec, data={"split": {}})
    with pytest.raises(
        DataError, match=r"fold \d of 3: .* class 'yew' is in the validation split only"
    ):
        nnreg.run(spec, out="runs/x")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("split", [{}, {"group": "a"}, {"order": True}])
def test_a_huge_number_of_folds_is_rejected_immediately(spec, split):
    spec = changed(spec, train={"folds": 10**15}, data={"split": split})
    with pytest.raises(DataError, match=r"60 rows are too few for 1000000000000000 folds"):
        prepare(spec)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"folds": 1}, r"train\.folds: must be .* 2"),
        ({"folds": 3, "fold": 4}, "no fold 4; there are 3 folds"),
        ({"fold": 1}, "'fold' is one of 'folds'"),
    ],
)
def test_invalid_folds_are_rejected(spec, train, message):
    with pytest.raises(SpecError, match=message):
        read_spec({**spec, "train": train})


def stop_at(count):
    """Return a callback that interrupts the training after `count` epochs in all."""
    seen = []

    def on_epoch(record):
        seen.append(record)
        if len(seen) == count:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize("resumed", [False, True])
def test_a_last_batch_of_one_row_in_a_later_fold_is_found_before_any_fold(
    tmp_path, monkeypatch, resumed
):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{k},{k % 3}\n" for k in range(11))  # 7, 7 and 8 rows for training
    (tmp_path / "data.csv").write_text(f"a,b\n{rows}")
    spec = regressor(data=csv_data(target="b"), train={"epochs": 2, "folds": 3, "batch_size": 4})
    spec["model"] = {"layers": ["batch_norm", {"type": "dense", "units": 1}]}
    epochs = []
    if resumed:
        next(prepare(spec, out="run").runs()).train()
        changed_size = ["train.batch_size=7"]
        train = functools.partial(nnreg.resume, "run", overrides=changed_size)
    else:
        train = functools.partial(nnreg.run, spec, out="run", overrides=["train.batch_size=7"])
    with pytest.raises(SpecError, match="8 training rows leave a batch of 1"):
        train(on_epoch=epochs.append)
    assert not epochs


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def kill_before_the_first_save(spec, monkeypatch):
    def kill(*_, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_checkpoint", kill)
        with pytest.raises(Killed):
            nnreg.run(spec, out="runs/x")


def test_one_that_was_killed_before_its_first_save_starts_again(spec, monkeypatch):
    kill_before_the_first_save(spec, monkeypatch)
    assert sorted(path.name for path in Path("runs/x").iterdir()) == [
        "fold-1", "resolved.json", "spec.json",
    ]  # fmt: skip
    with pytest.raises(CheckpointError, match="start again with nnreg run SPEC --out runs/x"):
        nnreg.resume("runs/x")
    found = nnreg.run(spec, out="runs/x")
    assert {**found.summary, "seconds": 0} == {**nnreg.run(spec).summary, "seconds": 0}


def test_another_spec_does_not_start_in_its_directory(spec, monkeypatch):
    kill_before_the_first_save(spec, monkeypatch)
    with pytest.raises(UsageError, match="of another run; choose another"):
        nnreg.run(changed(spec, train={"epochs": 5}), out="runs/x")


@pytest.mark.parametrize("lost", ["fold-1/checkpoints/last.h5", "resolved.json"])
def test_one_that_lost_a_file_is_not_started_again(spec, lost):
    nnreg.run(spec, out="runs/x")
    Path("runs/x", lost).unlink()
    with pytest.raises(UsageError, match="already has a run"):
        nnreg.run(spec, out="runs/x")


def test_a_directory_with_the_users_own_spec_is_not_written_to(spec):
    Path("runs").mkdir()
    Path("runs/spec.json").write_text(read_spec(spec).text)
    with pytest.raises(UsageError, match="already has a run"):
        nnreg.run(spec, out="runs")
