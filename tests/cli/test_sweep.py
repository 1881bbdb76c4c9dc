"""The commands that train sweeps: sweep, and run with --grid or --seeds."""

import json
import re

import pytest

from nnreg.cli.sweep import split_values
from tests.cli.test_terminal import Screen
from tests.helpers.sweeps import RATES, UNITS, hashes, write_spec, write_sweep

THREADS = """
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from nnreg import Executor, hookimpl


@dataclass(frozen=True)
class Threads(Executor):
    \"\"\"Threads, which start at once.\"\"\"

    @contextmanager
    def open(self, jobs, directory):
        with ThreadPoolExecutor(1) as pool:
            yield pool, 1


@hookimpl
def nnreg_executors():
    return {"threads": Threads}
"""

QUICK = ("--on", "threads", "--plugin", "threads.py")


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "threads.py").write_text(THREADS)
    write_spec(tmp_path)
    write_sweep(tmp_path, seeds=2, grid={UNITS: [4, 6]})
    return tmp_path


def test_it_prints_a_line_per_run_the_points_and_the_next_command(directory, nnreg):
    code, out, err = nnreg("sweep", "sweep.json", *QUICK)
    assert code == 0
    lines = [line.split() for line in err.splitlines()]
    assert [line[0] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert lines[0][1:4] == ["001-seed-0", "units=4", "val_loss"]
    assert "Results: sweep" in out
    assert out.count("2 of 2") == 2
    assert "test_accuracy" in out
    assert "saved in sweeps/sweep\nnext: nnreg compare sweeps/sweep" in out


def test_the_same_command_or_the_directory_does_nothing_to_a_complete_sweep(directory, nnreg):
    nnreg("sweep", "sweep.json", *QUICK)
    before = hashes("sweeps/sweep")
    for source in ("sweep.json", "sweeps/sweep"):
        code, out, err = nnreg("sweep", source, *QUICK)
        assert (code, err) == (0, "")
        assert "the sweep is complete; nothing was left to run" in out
    assert hashes("sweeps/sweep") == before


def test_a_dry_run_lists_the_runs_with_their_states_and_writes_nothing(directory, nnreg):
    code, out, _ = nnreg("sweep", "sweep.json", "--dry-run", *QUICK)
    assert code == 0
    assert out.count("waiting") == 4
    assert "4 runs; nothing was written" in out
    assert not (directory / "sweeps").exists()
    nnreg("sweep", "sweep.json", *QUICK)
    assert nnreg("sweep", "sweep.json", "--dry-run", *QUICK)[1].count("done") == 4


def test_run_makes_a_sweep_of_its_options_in_a_numbered_directory(directory, nnreg):
    options = ("--grid", f"{UNITS}=4,6", "--seeds", "5,7", "--set", "train.epochs=2", *QUICK)
    code, out, _ = nnreg("run", "spec.json", *options, "--quiet")
    assert code == 0
    assert sorted(hashes("sweeps/spec-001")) == [
        "001-seed-5", "001-seed-7", "002-seed-5", "002-seed-7",
    ]  # fmt: skip
    assert "saved in sweeps/spec-001" in out
    assert nnreg("run", "spec.json", *options, "--dry-run")[1].count("waiting") == 4
    nnreg("run", "spec.json", *options, "--quiet")
    assert (directory / "sweeps/spec-002/sweep.json").exists()


def test_values_of_an_option_are_those_of_set():
    assert split_values('relu,{"type": "a", "b": [1, 2]}, "x,y",[1,2]') == [
        "relu", '{"type": "a", "b": [1, 2]}', '"x,y"', "[1,2]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--grid", f"{RATES}=0.1,-1"), f"--grid {RATES}=-1: must be greater than 0, found -1"),
        (("--grid", "optimizer.rate=1"), "--grid optimizer.rate=1: unknown key 'rate'"),
        (("--grid", UNITS), f"--grid {UNITS}: expected PATH=VALUE,VALUE,…"),
        (("--seeds", "two"), "--seeds two: expected how many, as in 5, or the seeds, as in 0,3,7"),
        (("--seeds", "0"), "--seeds: must be greater than 0"),
        (("--seeds", "2", "--set", "loss=crss"), "--set loss: no loss 'crss'"),
    ],
)
def test_a_problem_is_that_of_an_option(directory, nnreg, options, text):
    code, out, err = nnreg("run", "spec.json", *options)
    assert (code, out) == (2, "")
    assert text in err
    assert not (directory / "sweeps").exists()


def test_failed_runs_are_listed_with_their_reason_and_make_the_exit_code_1(directory, nnreg):
    write_spec(directory)
    write_sweep(directory, grid={UNITS: [4, 6]})
    run = directory / "sweeps" / "sweep" / "002-seed-0"
    run.mkdir(parents=True)
    (run / "checkpoints").write_text("not a directory")
    code, out, err = nnreg("sweep", "sweep.json", *QUICK)
    assert code == 1
    assert "002-seed-0 failed: " in out
    assert "it is a file, not a directory" in out
    assert "try again: nnreg sweep sweeps/sweep" in out
    assert "2/2  002-seed-0  units=6  failed: " in err
    assert out.count("1 of 1") == 1
    assert out.count("0 of 1") == 1


def test_programs_get_one_line_of_json_per_run_and_the_points(directory, nnreg):
    _, out, err = nnreg("sweep", "sweep.json", "--json", *QUICK)
    *runs, end = map(json.loads, out.splitlines())
    assert err == ""
    assert [run["event"] for run in runs] == ["run"] * 4
    assert end["event"] == "end"
    assert [point["number"] for point in end["points"]] == sorted(
        (1, 2), key=lambda n: next(p["mean"] for p in end["points"] if p["number"] == n)
    )
    assert end["failed"] == {}


def test_resume_says_which_command_continues_a_sweep(directory, nnreg):
    nnreg("sweep", "sweep.json", *QUICK)
    code, _, err = nnreg("resume", "sweeps/sweep")
    assert code == 2
    assert "continue it with: nnreg sweep sweeps/sweep" in err


def test_a_directory_that_is_not_a_sweep_is_refused(directory, nnreg):
    code, _, err = nnreg("sweep", ".")
    assert code == 2
    assert ".: not a sweep" in err
    given = (directory / "sweep.json").read_text()
    code, _, err = nnreg("sweep", "sweep.json", "--out", ".", *QUICK)
    assert code == 2
    assert "has a sweep.json that is not the description of a directory of runs" in err
    assert (directory / "sweep.json").read_text() == given


def test_a_terminal_has_a_line_of_the_state_below_those_of_the_runs(directory):
    write_sweep(directory, seeds=2, grid={UNITS: [4, 6]}, overrides={"train.epochs": 300})
    screen = Screen("sweep", "sweep.json", *QUICK, columns=100)
    lines = screen.read(until=lambda lines: len(lines) > 1 and lines[-1].startswith("1/4 runs"))
    assert lines[0].startswith("1/4  001-seed-0  units=4  val_loss ")
    assert re.match(r"1/4 runs  [01] running  0:\d\d left", lines[-1])
    assert screen.end() == 0
    assert sum("/4 runs" in line for line in screen.lines) == 0
    assert screen.lines[-2:] == ["saved in sweeps/sweep", "next: nnreg compare sweeps/sweep"]
