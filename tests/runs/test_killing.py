"""Processes killed at random times; `python -m tests.runs.kill_training 1000` is the long run."""

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_a_run_killed_25_times_loses_nothing():
    command = [sys.executable, "-m", "tests.runs.kill_training", "25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "kill_training", "kill_folds", "kill_saving",
    ]  # fmt: skip
    for line in lines:
        assert " kills: 25, " in line
        assert line.endswith("lost: 0")
