"""Runs that are worse than the median of earlier ones end, and the command shows when."""

import json

import nnreg_median
import pytest

import nnreg
from nnreg.cli.app import main

SPEC = {
    "data": {"source": "csv", "path": "data.csv", "target": "y", "split": {"validation": 0.25}},
    "model": {"layers": [{"type": "dense", "units": 1}]},
    "loss": "mean_squared_error",
    "optimizer": {"type": "adam", "learning_rate": 0.1},
    "train": {"epochs": 12},
}


@pytest.fixture(autouse=True)
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{x},{2 * x + 1}" for x in range(40)]
    (tmp_path / "data.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    (tmp_path / "line.json").write_text(json.dumps(SPEC))


def run(number, *overrides):
    """Train a run, and return its summary."""
    out = f"runs/line-{number:03}"
    nnreg.run("line.json", out=out, overrides=overrides)
    with open(f"{out}/summary.json") as file:
        return json.load(file)


def test_a_run_that_is_worse_than_the_median_ends():
    for number in (1, 2, 3):
        assert run(number, f"seed={number}")["stopped"] == "epochs"
    summary = run(4, "optimizer.learning_rate=1e-6")
    assert (summary["stopped"], summary["stopped_by"]) == ("by_plugin", "median")
    assert summary["epochs"] == nnreg_median.MIN_EPOCHS
    assert "the median of 3 runs is" in summary["reason"]
    assert run(5, "seed=1", "optimizer.learning_rate=0.2")["stopped"] == "epochs"


def test_a_run_is_compared_with_those_of_its_spec_only():
    for name in ("other-1", "line", "line-a", "line-001-old"):
        nnreg.run("line.json", out=f"runs/{name}")
    assert run(4, "optimizer.learning_rate=1e-6")["stopped"] == "epochs"
    nnreg.run("line.json", overrides=["optimizer.learning_rate=1e-6"])


@pytest.mark.parametrize(
    ("losses", "others", "stops"),
    [
        ([5] * 5, [[4] * 9] * 3, True),
        ([5] * 4, [[4] * 9] * 3, False),
        ([5] * 5, [[4] * 9] * 2, False),
        ([5] * 5, [[4] * 4] * 3, False),
        ([5, 5, 5, 5, 4], [[4] * 9] * 3, False),
        ([5] * 5, [[9] * 4 + [1] * 5] * 3, False),
        ([5] * 5, [[1] * 9, [6] * 9, [7] * 9], False),
    ],
)
def test_the_best_loss_is_compared_with_the_median_of_mean_losses(losses, others, stops):
    assert bool(nnreg_median.reason_to_stop(losses, others)) == stops


def command(*args):
    with pytest.raises(SystemExit) as done:
        main(list(args))
    return done.value.code


def test_the_command_shows_when_each_run_would_end(capsys):
    for number in (1, 2, 3):
        run(number, f"seed={number}")
    code = command("-p", "no:median", "run", "line.json", "--out", "runs/line-004", "--quiet",
                   "--no-report", "--set", "optimizer.learning_rate=1e-6")  # fmt: skip
    assert code == 0
    capsys.readouterr()
    assert command("median", "runs") == 0
    assert capsys.readouterr().out.splitlines()[3] == "line-004: to epoch 5 of 12"
    assert command("--help") == 0
    assert "median" in capsys.readouterr().out


def test_a_directory_without_runs_is_an_error(capsys):
    assert command("median", ".") == 2
    assert capsys.readouterr().err.startswith("error: .: has no runs; train some")
