"""A file that is larger than the memory a process may have."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.data.lazy.stored import LAYERS, SPLIT, spec

LIMIT, FILE = 192 * 2**20, 320 * 2**20
LIMITED = """
import resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from nnreg.cli.app import main
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count large arrays")
class TestFileLargerThanMemory:
    @pytest.fixture(autouse=True)
    def little_memory(self):
        """Keep the default blocks and windows."""

    @pytest.fixture
    def large(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.make("large.h5", FILE // (784 * 4))
        layers = {"layers": LAYERS[1:]}
        train = {"epochs": 1, "batch_size": 256}
        made = spec("auto", "large.h5", SPLIT, model=layers, train=train)
        (tmp_path / "spec.json").write_text(json.dumps(made))
        yield tmp_path
        (tmp_path / "large.h5").unlink()

    def make(self, path, rows):
        """Write rows of 784 values with three classes, in chunks."""
        rng = np.random.default_rng(0)
        with h5py.File(path, "w") as file:
            x = file.create_dataset("x", (rows, 784), "f4")
            y = file.create_dataset("y", (rows,), "i8")
            for start in range(0, rows, 4096):
                stop = min(start + 4096, rows)
                y[start:stop] = labels = rng.integers(0, 3, stop - start)
                values = rng.standard_normal((stop - start, 784), np.float32)
                x[start:stop] = values + labels[:, None] / 4

    def limited(self, limit, *args):
        """Run a command in a process that may allocate at most `limit` bytes."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each has memory of its own
        command = [sys.executable, "-c", LIMITED, str(limit), *args]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def test_it_trains_resumes_and_predicts_in_less_memory_than_the_file_takes(self, large):
        assert os.path.getsize("large.h5") > 1.5 * LIMIT
        for command in (
            ["run", "spec.json", "--out", "out"],
            ["resume", "out", "--set", "train.epochs=2"],
            ["evaluate", "out", "large.h5"],
            ["predict", "out", "large.h5", "--out", "predictions.csv"],
        ):
            done = self.limited(LIMIT, *command)
            assert done.returncode == 0, (command, done.stderr)
        summary = json.loads((large / "out/summary.json").read_text())
        assert summary["streamed"] is True
        assert summary["epochs"] == 2
        assert summary["test"]["accuracy"] > 0.9
        with open("predictions.csv") as file:
            assert sum(1 for _ in file) == FILE // (784 * 4) + 1

    def test_reading_it_to_memory_fails(self, large):
        done = self.limited(LIMIT, "run", "spec.json", "--set", "data.source.stream=false")
        assert done.returncode == 1
        assert "in memory, more than half of the" in done.stderr

    @pytest.mark.parametrize(("more", "streamed"), [(0, False), (1, True)])
    def test_at_the_threshold_of_streaming_both_ways_fit(self, large, more, streamed):
        limit = 2**29
        self.make("large.h5", int(limit / 5) // (784 * 8) + more)
        done = self.limited(limit, "run", "spec.json", "--out", "out")
        assert done.returncode == 0, done.stderr
        assert json.loads((large / "out/summary.json").read_text())["streamed"] is streamed
