"""The runs of a sweep are ordinary ones; what is left continues, and nothing is trained twice."""

import json
from contextlib import ExitStack

import pytest

import nnreg
from nnreg._utils.atomic_files import locked
from nnreg.data import loading
from nnreg.errors import UsageError
from nnreg.sweeps import worker
from nnreg.sweeps.execution import Execution
from nnreg.sweeps.outcomes import outcome_of
from nnreg.sweeps.plan import plan_sweep
from nnreg.sweeps.queue import FixedQueue
from tests.conformance.broken.executors import Threads
from tests.helpers.sweeps import RATES, UNITS, hash_of, hashes, train, write_spec, write_sweep

GRID = {UNITS: [4, 6]}


@pytest.fixture
def sweep(tmp_path):
    write_spec(tmp_path)
    return write_sweep(tmp_path, seeds=2, grid=GRID)


def test_a_run_of_a_sweep_is_that_of_the_same_spec_alone(sweep, tmp_path):
    train(sweep, tmp_path / "out", jobs=2)
    nnreg.run(
        str(tmp_path / "spec.json"), out=tmp_path / "alone", overrides=[f"{UNITS}=6", "seed=1"]
    )
    assert hash_of(tmp_path / "out" / "002-seed-1") == hash_of(tmp_path / "alone")
    for name in ("spec.json", "summary.json", "gradients.jsonl", "environment.json"):
        assert (tmp_path / "out" / "002-seed-1" / name).is_file()


def test_a_complete_sweep_trains_nothing_and_gives_the_same_results(sweep, tmp_path):
    first = train(sweep, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    started = []
    again = train(sweep, tmp_path / "out", on_result=started.append)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert [run.value for run in again.runs] == [run.value for run in first.runs]
    assert again.complete


def test_means_and_deviations_are_over_the_seeds(sweep, tmp_path):
    found = train(sweep, tmp_path / "out")
    assert [len(point.values) for point in found.points] == [2, 2]
    best = found.best
    assert best.mean == pytest.approx(sum(best.values) / 2)
    assert best.std == pytest.approx(abs(best.values[0] - best.values[1]) / 2**0.5)
    assert best.mean <= found.points[1].mean
    summary = json.loads((best.runs[0].directory / "summary.json").read_text())
    assert best.values[0] == summary["validation"]["loss"]
    assert best.of("test_accuracy")[0] == summary["test"]["accuracy"]


def test_a_metric_of_which_more_is_better_has_the_largest_first(sweep, tmp_path):
    write_sweep(tmp_path, seeds=2, grid=GRID, metric="val_accuracy")
    found = train(sweep, tmp_path / "out")
    assert found.points[0].mean >= found.points[1].mean


def test_more_seeds_and_values_keep_the_runs_that_are_done(sweep, tmp_path):
    train(sweep, tmp_path / "out")
    before = hashes(tmp_path / "out")
    write_sweep(tmp_path, seeds=3, grid={UNITS: [2, 4, 6]})
    ended = []
    found = train(sweep, tmp_path / "out", on_result=ended.append)
    assert len(found.runs) == 9
    assert {name: one for name, one in hashes(tmp_path / "out").items() if name in before} == before
    assert [run.point[UNITS] for run in found.runs[::3]] == [4, 6, 2]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"grid": {UNITS: [4]}}, "has runs of points or seeds that this sweep does not have"),
        ({"seeds": 1}, "has runs of points or seeds that this sweep does not have"),
        ({"overrides": {"train.epochs": 2}}, "its runs are of another spec than now"),
    ],
)
def test_another_sweep_in_the_same_directory_is_refused(sweep, tmp_path, change, text):
    train(sweep, tmp_path / "out")
    write_sweep(tmp_path, **({"seeds": 2, "grid": GRID} | change))
    with pytest.raises(UsageError, match=text):
        train(sweep, tmp_path / "out")


def test_other_data_than_those_of_the_first_runs_are_refused(sweep, tmp_path):
    train(sweep, tmp_path / "out")
    write_sweep(tmp_path, seeds=3, grid=GRID)
    with (tmp_path / "data.csv").open("a") as file:
        file.write("class0,1,1,1,1\n")
    with pytest.raises(UsageError, match="its runs were trained on other data than the files"):
        train(sweep, tmp_path / "out")
    assert len(hashes(tmp_path / "out")) == 4


def test_the_directory_of_a_run_is_refused(sweep, tmp_path):
    nnreg.run(str(tmp_path / "spec.json"), out=tmp_path / "out")
    with pytest.raises(UsageError, match="has a run; choose another directory"):
        train(sweep, tmp_path / "out")
    assert not (tmp_path / "out" / "sweep.json").exists()


def test_a_run_that_diverges_stops_no_other_and_is_not_tried_again(tmp_path):
    write_spec(
        tmp_path,
        data={"source": "csv", "path": "data.csv", "target": "a", "exclude": ["label"]},
        model={"layers": [{"type": "dense", "units": 1}]},
        loss="mean_squared_error",
        optimizer={"type": "sgd", "learning_rate": 0.01},
        metrics=[],
    )
    sweep = write_sweep(tmp_path, grid={RATES: [1e30, 0.01]})
    found = train(sweep, tmp_path / "out")
    assert [run.outcome for run in found.runs] == ["diverged", "done"]
    assert "loss" in found.runs[0].reason
    assert found.best.point == {RATES: 0.01}
    summary = tmp_path / "out" / "001-seed-0" / "summary.json"
    before = summary.stat().st_mtime_ns
    again = train(sweep, tmp_path / "out")
    assert summary.stat().st_mtime_ns == before
    assert again.runs[0].outcome == "diverged"
    assert again.runs[0].reason


def test_a_run_that_fails_is_reported_and_tried_again(sweep, tmp_path):
    write_sweep(tmp_path, grid={UNITS: [4], "train.start_from": [None, "first.h5"]})
    model = nnreg.run(str(tmp_path / "spec.json"), overrides=[f"{UNITS}=4"])
    nnreg.save(model, tmp_path / "first.h5")

    def remove_after_the_first(result):
        (tmp_path / "first.h5").unlink(missing_ok=True)

    found = train(sweep, tmp_path / "out", on_result=remove_after_the_first)
    assert [run.outcome for run in found.runs] == ["done", "failed"]
    assert "first.h5" in found.runs[1].reason
    assert not found.complete
    nnreg.save(model, tmp_path / "first.h5")
    again = train(sweep, tmp_path / "out")
    assert [run.outcome for run in again.runs] == ["done", "done"]
    assert again.complete


def test_folds_within_runs_are_averaged(tmp_path):
    write_spec(tmp_path)
    sweep = write_sweep(
        tmp_path, grid=GRID, overrides={"train.folds": 3, "data.split": {"stratify": True}}
    )
    found = train(sweep, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "001-seed-0" / "summary.json").read_text())
    assert found.runs[0].value == summary["mean"]["loss"]
    assert outcome_of(tmp_path / "out" / "001-seed-0") == "done"
    assert train(sweep, tmp_path / "out").runs[0].value == found.runs[0].value


def test_the_data_are_read_once_for_all_runs_of_a_process(sweep, tmp_path, monkeypatch):
    worker._Process.of.cache_clear()
    read, calls = loading.read_table, []
    monkeypatch.setattr(loading, "read_table", lambda *args: calls.append(args) or read(*args))
    train(sweep, tmp_path / "out")
    assert len(calls) == 2  # one of them is the check before the start


def test_a_run_of_another_process_is_waited_for_and_taken_if_that_ends(sweep, tmp_path):
    run = tmp_path / "out" / "001-seed-0"
    run.mkdir(parents=True)
    other, ended = ExitStack(), []
    other.enter_context(locked(run))

    def release_after_the_others(result):
        ended.append(result.name)
        if len(ended) == 3:
            assert "001-seed-0" not in ended
            other.close()

    found = train(sweep, tmp_path / "out", on_result=release_after_the_others)
    assert [run.outcome for run in found.runs] == ["done"] * 4


def test_a_changed_spec_is_noticed_by_the_processes(sweep, tmp_path):
    plan = plan_sweep(sweep)
    write_spec(tmp_path, seed=5)
    execution = Execution(plan, tmp_path / "out")
    execution.run(FixedQueue(plan.runs), Threads(), 1)
    assert {run.outcome for run in execution.results.values()} == {"failed"}
    reason = execution.results["001-seed-0"].reason
    assert "is not the spec with which the sweep was started" in reason


def test_several_processes_of_a_launcher_do_not_all_train_a_sweep(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(UsageError, match="NNREG_MPI=0"):
        train(sweep, tmp_path / "out")
    assert not (tmp_path / "out").exists()
