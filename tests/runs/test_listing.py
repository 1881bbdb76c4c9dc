"""`nnreg runs`: the list of runs in a directory, with any outcome."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg as library
from nnreg import DivergedError
from nnreg.runs.listing import describe, list_runs
from tests.helpers.specs import CSV, classifier, csv_data
from tests.helpers.work import wait_until

SPLIT = {"validation": 0.25, "test": 0.25}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(split=SPLIT, unseen="ignore"))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return tmp_path / "spec.json"


def outcomes():
    return {run.name: run.outcome for run in list_runs(Path("runs"))}


def test_a_finished_run_has_the_metrics_of_its_summary_and_best_epoch(spec):
    model = library.run(spec, out="runs/a")
    run = describe(Path("runs/a"))
    summary = json.loads(Path("runs/a/summary.json").read_text())
    best = model.history[summary["best_epoch"] - 1]
    assert (run.name, run.outcome, run.epochs, run.planned) == ("a", "done", 5, 5)
    assert run.best_epoch == summary["best_epoch"]
    assert run.measure == "accuracy"
    assert run.test == summary["test"]
    assert run.validation == {"loss": best["val_loss"], "accuracy": best["val_accuracy"]}
    assert run.training == {"epoch": run.best_epoch, "loss": best["loss"],
                            "accuracy": best["accuracy"]}  # fmt: skip
    assert run.seconds == summary["seconds"]


def test_outcomes_are_distinguished(spec):
    library.run(spec, out="runs/done")
    stop = ["train.epochs=300", 'train.early_stopping={"patience": 1}']
    library.run(spec, out="runs/early", overrides=stop)
    with pytest.raises(DivergedError):
        library.run(spec, out="runs/diverged", overrides=["optimizer.learning_rate=1e38"])
    for name in ("crashed", "resumed"):
        library.run(spec, out=f"runs/{name}")
    Path("runs/crashed/summary.json").unlink()
    with Path("runs/resumed/metrics.jsonl").open("a") as file:  # killed after it was resumed
        file.write('{"epoch": 6, "loss": 1.0}\n{"epoch": 7, "lo')
    Path("runs/notes").mkdir()
    Path("runs/notes.txt").touch()
    assert outcomes() == {
        "done": "done", "early": "early stop", "diverged": "diverged", "crashed": "crashed",
        "resumed": "crashed",
    }  # fmt: skip
    assert describe(Path("runs/resumed")).epochs == 6


def test_a_run_in_progress_is_running_and_then_interrupted(spec):
    command = [sys.executable, "-m", "nnreg", "run", spec, "--out", "runs/a", "--quiet",
               "--set", "train.epochs=1000000"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            metrics = Path("runs/a/metrics.jsonl")
            wait_until(lambda: metrics.exists() and describe(Path("runs/a")).epochs, process)
            run = describe(Path("runs/a"))
        finally:
            process.terminate()
    assert (run.outcome, run.planned, run.seconds) == ("running", 10**6, None)
    assert 0 < run.best_epoch <= run.epochs
    assert outcomes() == {"a": "interrupted"}


def test_listing_a_run_does_not_lock_it(spec):
    library.run(spec, out="runs/a")
    before = sorted(Path("runs/a").rglob("*"))
    describe(Path("runs/a"))
    assert sorted(Path("runs/a").rglob("*")) == before
    library.resume("runs/a", overrides=["train.epochs=6"])


def test_a_cross_validation_is_listed_with_its_means(tmp_path):
    summary = {"name": "x", "folds": 5, "done": 3, "part": "validation", "seconds": 1.5,
               "mean": {"loss": 0.25, "accuracy": 0.5}, "std": {"loss": None}}  # fmt: skip
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    run = describe(tmp_path)
    assert (run.outcome, run.folds, run.measure) == ("interrupted", "3/5", "accuracy")
    assert run.validation == {"loss": 0.25, "accuracy": 0.5}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", "{"),
        ("summary.json", "[]"),
        ("summary.json", "{}[" * 10**5),
        ("summary.json", "[" * 10**5),
        ("summary.json", '{"epochs": "many"}'),
        ("summary.json", '{"epochs": 5, "best_epoch": 99}'),
        ("summary.json", '{"folds": 3}'),
        ("metrics.jsonl", "epoch 1\n" * 5),
        ("metrics.jsonl", '{"epoch": 1, "loss": "small"}\n' * 5),
        ("resolved.json", '{"train": 5}'),
        ("summary.json", b"\xff\xfe"),
    ],
    ids=str,
)
def test_a_corrupt_run_does_not_hide_others(spec, nnreg, file, content):
    for name in ("good", "bad"):
        library.run(spec, out=f"runs/{name}")
    raw = content if isinstance(content, bytes) else content.encode()
    Path("runs/bad", file).write_bytes(raw)
    assert outcomes() == {"good": "done", "bad": "corrupt"}
    code, out, _ = nnreg("runs")
    assert code == 0
    assert re.search(r"^bad.*: ", out, re.MULTILINE)


def test_only_regular_files_are_read(spec):
    library.run(spec, out="runs/a")
    Path("runs/a/summary.json").unlink()
    os.mkfifo("runs/a/summary.json")
    assert outcomes() == {"a": "corrupt"}


def test_the_latest_is_the_last(spec, nnreg):
    for age, name in enumerate(["c", "a", "b"]):
        library.run(spec, out=f"runs/{name}")
        for file in Path("runs", name).iterdir():
            os.utime(file, (10**9, 10**9 - 100 * age))
    for args, names in (((), "bac"), (("--sort", "name"), "abc")):
        listed = json.loads(nnreg("runs", "--json", *args)[1])
        assert [run["name"] for run in listed] == list(names)
    assert listed[2]["when"] == "2001-09-09T01:46:40+00:00"
    assert listed[0]["path"] == "runs/a"


def test_a_narrow_table_omits_columns(spec, nnreg, monkeypatch):
    library.run(spec, out="runs/a-run-with-a-name")
    monkeypatch.setenv("COLUMNS", "200")
    wide = nnreg("runs")[1].splitlines()
    assert wide[1].split() == [
        "run", "outcome", "test", "validation", "metric", "epochs", "training", "when"
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "40")
    narrow = nnreg("runs")[1].splitlines()
    assert narrow[1].split() == ["run", "outcome", "test"]
    assert max(map(len, narrow)) <= 40
    assert narrow[-1] == "1 run: 1 done"


def test_only_some_outcomes_are_listed(spec, nnreg):
    library.run(spec, out="runs/a")
    library.run(spec, out="runs/b")
    Path("runs/b/summary.json").unlink()
    out = nnreg("runs", "--outcome", "crashed")[1]
    assert "runs" not in out.split("\n")[1]
    assert out.splitlines()[-1] == "1 of 2 runs: 1 done, 1 crashed"
    assert [run["name"] for run in json.loads(nnreg("runs", "--outcome", "done", "--json")[1])] == [
        "a"
    ]


def test_a_directory_without_runs_is_reported(nnreg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nnreg("runs")[:2] == (0, "no runs in runs; create one with nnreg run SPEC\n")
    assert nnreg("runs", "--json")[:2] == (0, "[]\n")
    code, _, err = nnreg("runs", "elsewhere")
    assert (code, err) == (2, "error: elsewhere: cannot read: No such file or directory\n")


def test_hundreds_of_runs_are_listed_with_little_work_and_without_importing_h5py(spec, tmp_path):
    library.run(spec, out="runs/0", overrides=["train.epochs=100"])
    files = {name: Path("runs/0", name).read_bytes()
             for name in ("resolved.json", "summary.json", "metrics.jsonl")}  # fmt: skip
    for number in range(1, 300):
        Path(f"runs/{number}").mkdir()
        for name, content in files.items():
            Path(f"runs/{number}", name).write_bytes(content)
    code = """
import sys, nnreg.cli.app
opened, work = [], 0
def profile(frame, event, arg):
    global work
    work += event in ("call", "c_call")
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
sys.setprofile(profile)
try: nnreg.cli.app.main(['runs', '--json'])
except SystemExit: pass
sys.setprofile(None)
runs = sum("runs/" in str(file) and "nnreg/runs/" not in str(file) for file in opened)
print(work, runs, *sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert len(json.loads(done.stdout)) == 300
    work, files, *modules = done.stderr.decode().split()
    assert int(files) <= 4 * 300
    assert int(work) < 3000 * 300
    assert not {"h5py", "pydantic", "rich"} & set(modules)
