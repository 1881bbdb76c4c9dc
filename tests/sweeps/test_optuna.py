"""A search by Optuna continues after a kill, prunes trials, and gives the same points again."""

import json

import pytest

from nnreg.errors import UsageError
from nnreg.sweeps.outcomes import PRUNING
from nnreg.sweeps.plan import plan_sweep
from tests.helpers.sweeps import RATES, UNITS, hashes, train, write_spec, write_sweep

SPACE = {
    RATES: {"log": [1e-5, 0.3]},
    UNITS: {"log_integers": [2, 32]},
    "model.layers.0.activation": ["tanh", {"type": "leaky_relu", "slope": 0.2}],
}


class StoppedError(Exception):
    """Ends a search as a kill does: between two runs."""


def write(directory, trials, **changes):
    write_spec(directory)
    optuna = {"trials": trials, "space": SPACE, "prune": "none"} | changes
    return write_sweep(directory, optuna=optuna, overrides={"train.epochs": 8})


def test_it_needs_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.sweeps.search.installed", lambda _: False)
    with pytest.raises(UsageError, match=r"pip install 'nnreg\[sweep\]'"):
        train(write(tmp_path, 3), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.verify
def test_a_search_that_was_stopped_gives_the_points_of_the_undisturbed_one(tmp_path):
    sweep = write(tmp_path, 14)
    found = train(sweep, tmp_path / "whole")
    assert len(found.runs) == 14
    assert {run.outcome for run in found.runs} == {"done"}

    def stop_after(count):
        def on_result(_):
            nonlocal count
            count -= 1
            if not count:
                raise StoppedError

        return on_result

    for count in (3, 9):
        with pytest.raises(StoppedError):
            train(sweep, tmp_path / "stopped", on_result=stop_after(count))
    again = train(sweep, tmp_path / "stopped")
    assert [run.point for run in again.runs] == [run.point for run in found.runs]
    assert hashes(tmp_path / "stopped") == hashes(tmp_path / "whole")


@pytest.mark.verify
def test_more_trials_continue_and_a_complete_search_does_nothing(tmp_path):
    first = train(write(tmp_path, 3), tmp_path / "out")
    found = train(write(tmp_path, 5), tmp_path / "out")
    assert [run.point for run in found.runs[:3]] == [run.point for run in first.runs]
    assert len(found.runs) == 5
    before = hashes(tmp_path / "out")
    again = train(write(tmp_path, 5), tmp_path / "out")
    assert [run.value for run in again.runs] == [run.value for run in found.runs]
    assert hashes(tmp_path / "out") == before
    with pytest.raises(UsageError, match="has another search than this one"):
        train(write(tmp_path, 5, seed=1), tmp_path / "out")


@pytest.mark.verify
def test_bad_trials_are_pruned_with_a_reason(tmp_path):
    found = train(write(tmp_path, 20, prune="median"), tmp_path / "out")
    pruned = [run for run in found.runs if run.outcome == "pruned"]
    assert pruned
    assert all("worse than the median" in run.reason for run in pruned)
    summary = json.loads((pruned[0].directory / "summary.json").read_text())
    assert summary["stopped_by"] == PRUNING
    assert summary["epochs"] < 8
    assert found.best.runs[0].outcome == "done"


@pytest.mark.verify
def test_a_trial_is_the_mean_over_its_seeds(tmp_path):
    write(tmp_path, 4)
    content = json.loads((tmp_path / "sweep.json").read_text()) | {"seeds": 2}
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    found = train(tmp_path / "sweep.json", tmp_path / "out", jobs=2)
    assert len(found.runs) == 8
    assert all(len(point.values) == 2 for point in found.points)
    assert plan_sweep(tmp_path / "sweep.json").count == 8
