"""A sweep that is killed again and again ends as one that was never disturbed."""

import random
import subprocess
import sys

import pytest

from tests.helpers.sweeps import RATES, UNITS, hashes, write_spec, write_sweep
from tests.helpers.work import wait_until

KILLS = 10


def epochs(directory):
    """Return how many records of epochs the runs have written."""
    return sum(path.read_bytes().count(b"\n") for path in directory.glob("*/metrics.jsonl"))


@pytest.mark.slow
def test_24_runs_killed_ten_times_end_as_the_undisturbed_ones(tmp_path):
    rng = random.Random(0)
    write_spec(tmp_path)
    write_sweep(
        tmp_path,
        seeds=4,
        grid={UNITS: [4, 6, 8], RATES: [0.01, 0.001]},
        overrides={"train.epochs": 60, "checkpoint.every_epochs": 7},
    )
    command = [sys.executable, "-m", "nnreg", "sweep", "sweep.json", "--jobs", "2", "--quiet"]
    subprocess.run([*command, "--out", "whole"], cwd=tmp_path, check=True, capture_output=True)
    killed = tmp_path / "killed"
    for _ in range(KILLS):
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                [*command, "--out", "killed"], cwd=tmp_path, stdout=output, stderr=output
            )
        enough = epochs(killed) + rng.randrange(1, 120)
        wait_until(lambda enough=enough: epochs(killed) >= enough, process)
        process.kill()
        process.wait()
    before = epochs(killed)
    assert 0 < before < 24 * 60
    subprocess.run([*command, "--out", "killed"], cwd=tmp_path, check=True, capture_output=True)
    assert hashes(killed) == hashes(tmp_path / "whole")
    assert len(hashes(killed)) == 24
