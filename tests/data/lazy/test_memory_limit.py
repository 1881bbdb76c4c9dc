"""Tables of ten times the memory that training on them takes.

A process first trains on a tiny table. What its peak grows by from then on, while it trains on a
large file, is less than a tenth of the size of the file. A limit would count what Arrow and threads
reserve and do not use.
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
SIZES = {"csv": 512 * MB, "parquet": 2048 * MB}
"""The sizes of the files. Two windows and other buffers are less than a tenth; for Parquet with
what Arrow needs to decode, and 2 kB of metadata per column and group of rows."""

WINDOW = 2**20
"""The values of a window, a quarter of the default, so that the files need not be larger."""

BLOCK_ROWS = 256
"""The rows that are repeated in the file; of Parquet, 24 times as many are a group."""

MEASURED = """
import json, sys
import nnreg
import nnreg.tables.lazy

nnreg.tables.lazy.WINDOW = int(sys.argv[3])

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
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(autouse=True)
def little_memory():
    """Keep the default blocks."""


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

    values, label = (np.tile(one, (24, 1)[: one.ndim]) for one in block())
    table = pyarrow.table({**{f"x{n}": values[:, n] for n in range(COLUMNS)}, "y": label})
    with parquet.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as to:
        for _ in range(size // (8 * values.size) + 1):
            to.write_table(table)


WRITE = {"csv": write_csv, "parquet": write_parquet}


def spec(kind, path, *, stream):
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    return classifier(
        data={"source": {"type": kind, "stream": stream}, "path": path, "target": "y"},
        model={"layers": [{"type": "dense", "units": 8, "activation": "tanh"}, output]},
        train={"epochs": 1, "batch_size": 512},
    )


@pytest.mark.parametrize("kind", ["csv", pytest.param("parquet", marks=pytest.mark.verify)])
class TestTableLargerThanMemory:
    @pytest.fixture(autouse=True)
    def tiny(self, kind, tmp_path, monkeypatch, peer):
        if kind == "parquet":
            peer("pyarrow")
        monkeypatch.chdir(tmp_path)
        WRITE[kind](f"tiny.{kind}", 0)

    def taken(self, kind, size, *, stream):
        """Return what training on a file takes, as a fraction of its size; and its accuracy."""
        large = f"large.{kind}"
        WRITE[kind](large, size)
        specs = [spec(kind, path, stream=stream) for path in (f"tiny.{kind}", large)]
        command = [sys.executable, "-c", MEASURED, *map(json.dumps, specs), str(WINDOW)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        taken, accuracy = json.loads(done.stdout)
        fraction = taken / os.path.getsize(large)
        os.unlink(large)
        return fraction, accuracy

    def test_training_takes_less_than_a_tenth_of_the_data(self, kind):
        fraction, accuracy = self.taken(kind, SIZES[kind], stream=True)
        assert fraction < 0.1
        assert accuracy > 0.9

    def test_in_memory_it_takes_more(self, kind):
        fraction, _ = self.taken(kind, SIZES[kind] // 16, stream=False)
        assert fraction > 0.5
