"""Commands on a run of several folds."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from nnreg.runs.writer import RunWriter
from tests.helpers.specs import three_folds


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(three_folds(tmp_path)))
    return "spec.json"


def test_run_prints_each_fold_and_the_mean(nnreg, file):
    code, out, err = nnreg("run", file)
    assert code == 0
    assert "fold 2 of 3\nepoch 1/3" in err
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[1:]}
    assert {"1", "2", "3", "mean", "std"} <= lines.keys()
    losses = [float(lines[fold][0]) for fold in "123"]
    assert float(lines["mean"][0]) == pytest.approx(np.mean(losses), rel=1e-3)
    assert "which also select its best epoch" in out
    assert "next, a network without folds: nnreg run spec.json --set train.folds=null" in out
    assert "saved in runs/spec-001" in out


def test_run_with_json_prints_the_fold_of_each_epoch(nnreg, file, tmp_path):
    lines = [
        json.loads(line) for line in nnreg("run", file, "--json", "--no-report")[1].splitlines()
    ]
    epochs = [(one["fold"], one["epoch"]) for one in lines if one["event"] == "epoch"]
    assert epochs == [(fold, epoch) for fold in (1, 2, 3) for epoch in (1, 2, 3)]
    assert [line["event"] for line in lines].count("fold") == 3
    summary = json.loads((tmp_path / "runs/spec-001/summary.json").read_text())
    assert lines[-1] == {"event": "end", **summary, "directory": "runs/spec-001"}


def test_a_run_stopped_by_a_signal_resumes(nnreg, file, monkeypatch):
    epoch = RunWriter.epoch

    def interrupted(self, record, gradients):
        epoch(self, record, gradients)
        if self.directory.path.name == "fold-2" and record["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunWriter, "epoch", interrupted)
    code, _, err = nnreg("run", file, "--no-report")
    assert code == 130
    assert "stopped; saved after epoch 2\nresume: nnreg resume runs/spec-001\n" in err
    code, _out, err = nnreg("resume", "runs/spec-001")
    assert code == 0
    assert "fold 1 of 3" not in err
    assert "fold 2 of 3\nepoch 3/3" in err


@pytest.mark.parametrize("command", ["predict", "evaluate", "inspect", "rerun", "diff"])
def test_a_command_for_one_run_lists_the_folds(nnreg, file, command):
    nnreg("run", file, "--quiet", "--no-report")
    more = {"predict": ["data.csv"], "diff": ["runs/spec-001"]}
    code, _out, err = nnreg(command, "runs/spec-001", *more.get(command, []))
    assert code == 1
    assert "choose one: runs/spec-001/fold-1, runs/spec-001/fold-2, " in err


def test_plot_and_compare_take_the_folds(nnreg, file, tmp_path):
    nnreg("run", file, "--quiet", "--no-report")
    code, out, _ = nnreg("compare", "runs/spec-001", "--json")
    assert code == 0
    assert all(f"fold-{number}" in out for number in (1, 2, 3))


def test_compare_takes_several_cross_validations_by_their_means(nnreg, file):
    for rate in ("0.1", "1e-9"):
        nnreg("run", file, "--quiet", "--no-report", "--set", f"optimizer.learning_rate={rate}")
    shutil.copytree("runs/spec-001/fold-1", "runs/alone")
    directories = ("runs/spec-001", "runs/spec-002", "runs/alone")
    found = json.loads(nnreg("compare", *directories, "--json")[1])
    first, second, alone = found["sides"]
    summary = json.loads(Path("runs/spec-001/summary.json").read_text())
    loss = f"{summary['part']} loss"
    assert first["metrics"][loss] == summary["mean"]["loss"]
    assert first["std"][loss] == summary["std"]["loss"]
    assert (alone["std"], second["settings"]["optimizer.learning_rate"]) == ({}, 1e-9)
    assert "spec-002" not in found["best"][loss]
    assert f" ± {summary['std']['loss']:.4g}" in nnreg("compare", *directories, "--runs")[1]


def test_validate_checks_every_fold(nnreg, file):
    code, out, err = nnreg("validate", file)
    assert "fold 1 of 3: 40 training rows, 20 validation rows" in out
    code, out, err = nnreg("validate", file, "--set", "train.folds=61")
    assert code == 2
    assert "60 rows are too few for 61 folds" in err
