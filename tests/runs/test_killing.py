"""Processes killed at random times; `python -m tests.runs.kill_training 1000` is the long run."""

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_a_run_killed_25_times_loses_nothing():
    command = [sys.executable, "-m", "tests.runs.kill_training", "25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    training, saving = done.stdout.splitlines()
    assert training.startswith("kill_training: ")
    assert " kills: 25, " in training
    assert saving.startswith("kill_saving: ")
    assert " kills: 25, " in saving
    assert training.endswith("lost: 0")
