"""Tables of ten times the memory that training on them may take.

A process first trains on a tiny table. What it takes from then on to train on a large CSV file is
limited to a tenth of the size of the file. For Parquet it is measured: Arrow reserves a gigabyte
that it does not use, which a limit would count.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.specs import classifier

MB = 2**20
COLUMNS = 200
SIZE = 640 * MB
"""The size of the file: two windows, of 17 MB each, and other buffers are less than a tenth."""

PARQUET_SIZE = 2048 * MB
"""The same with what Arrow needs to decode, and 1 kB of metadata per column and group of rows."""

BLOCK_ROWS = 256
"""The rows that are repeated in the file; of Parquet, 16 times as many are a group."""

LIMITED = """
import json, resource, sys
import nnreg

tiny, spec, limit = json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
nnreg.run(tiny)
with open("/proc/self/status") as file:
    taken = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + limit,) * 2)
nnreg.run(spec, out="out")
"""

MEASURED = """
import json, sys
import nnreg

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

nnreg.run(json.loads(sys.argv[1]))
before = peak()
model = nnreg.run(json.loads(sys.argv[2]))
print(json.dumps([peak() - before, model.results["train"]["accuracy"]]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count large arrays"),
]


@pytest.fixture(autouse=True)
def little_memory():
    """Keep the default blocks and windows."""


def block():
    """Return rows that are repeated in the file, and the class of each."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, BLOCK_ROWS)
    values = rng.normal(size=(BLOCK_ROWS, COLUMNS)) + label[:, None] / 4
    return np.clip(values, -9, 9).round(5), np.array(["no", "yes"])[label]


def write_csv(path, size):
    names = [f"x{n}" for n in range(COLUMNS)]
    values, label = block()
    rows = zip(values.tolist(), label, strict=True)
    text = "".join(",".join(map("{:.5f}".format, row)) + f",{one}\n" for row, one in rows)
    with open(path, "w") as file:
        file.write(",".join([*names, "y"]) + "\n")
        for _ in range(size // len(text) + 1):
            file.write(text)


def write_parquet(path, size):
    import pyarrow
    from pyarrow import parquet

    values, label = (np.tile(one, (16, 1)[: one.ndim]) for one in block())
    table = pyarrow.table({**{f"x{n}": values[:, n] for n in range(COLUMNS)}, "y": label})
    with parquet.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as to:
        for _ in range(size // (8 * values.size) + 1):
            to.write_table(table)


def spec(path, *, stream, kind="csv"):
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    return classifier(
        data={"source": {"type": kind, "stream": stream}, "path": path, "target": "y"},
        model={"layers": [{"type": "dense", "units": 8, "activation": "tanh"}, output]},
        train={"epochs": 1, "batch_size": 512},
    )


class TestTableLargerThanMemory:
    @pytest.fixture(autouse=True)
    def files(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_csv("tiny.csv", 0)
        write_csv("large.csv", SIZE)
        yield
        os.unlink("large.csv")

    def trained(self, *, stream):
        """Train on the large file in a process that may take a tenth of its size."""
        specs = [
            spec("tiny.csv", stream=True),
            spec("large.csv", stream=stream),
        ]
        limit = os.path.getsize("large.csv") // 10
        command = [sys.executable, "-c", LIMITED, *map(json.dumps, specs), str(limit)]
        # each thread of OpenBLAS has memory of its own, and the heap one part per thread
        environment = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}
        )

    def test_it_trains_under_a_memory_limit_of_a_tenth_of_the_data(self):
        done = self.trained(stream=True)
        assert done.returncode == 0, done.stderr
        with open("out/summary.json") as file:
            summary = json.load(file)
        assert summary["streamed"] is True
        assert summary["train"]["accuracy"] > 0.9

    def test_in_memory_it_does_not(self):
        done = self.trained(stream=False)
        assert done.returncode == 1
        assert "memory" in done.stderr.lower()
        assert not os.path.exists("out/summary.json")


@pytest.mark.verify
class TestParquetLargerThanMemory:
    @pytest.fixture(autouse=True)
    def small(self, tmp_path, monkeypatch, peer):
        peer("pyarrow")
        monkeypatch.chdir(tmp_path)
        write_parquet("tiny.parquet", 0)

    def taken(self, size, *, stream):
        """Return what training on a file takes, as a fraction of its size; and its accuracy."""
        write_parquet("large.parquet", size)
        specs = [
            spec(path, stream=stream, kind="parquet") for path in ("tiny.parquet", "large.parquet")
        ]
        command = [sys.executable, "-c", MEASURED, *map(json.dumps, specs)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        taken, accuracy = json.loads(done.stdout)
        fraction = taken / os.path.getsize("large.parquet")
        os.unlink("large.parquet")
        return fraction, accuracy

    def test_training_takes_less_than_a_tenth_of_the_data(self):
        fraction, accuracy = self.taken(PARQUET_SIZE, stream=True)
        assert fraction < 0.1
        assert accuracy > 0.9

    def test_in_memory_it_takes_more(self):
        fraction, _ = self.taken(PARQUET_SIZE // 16, stream=False)
        assert fraction > 0.5
