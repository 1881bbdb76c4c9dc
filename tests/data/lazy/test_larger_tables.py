"""The memory that a training on a large table takes beyond that of a small one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.data.lazy.test_tables import REASON
from tests.helpers.specs import classifier

SMALL, LARGE = 16 * 2**20, 160 * 2**20
"""The sizes of the files. The small one is more than all buffers of a fixed size take."""

COLUMNS = 200
BLOCK_ROWS = 256
MEASURED = """
import resource, sys
import nnreg.tables.lazy
from nnreg.builtin.sources import parquet_file
nnreg.tables.lazy.WINDOW = 2**19  # so that the small file has many windows
parquet_file.ROWS = 1024
from nnreg.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems have other units"),
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
        for _ in range(size // len(text)):
            file.write(text)


def write_parquet(path, size):
    parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
    import pyarrow

    values, label = block()
    table = pyarrow.table({**{f"x{n}": values[:, n] for n in range(COLUMNS)}, "y": label})
    with parquet.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as to:
        for _ in range(size // (8 * values.size)):
            to.write_table(table)


WRITE = {"csv": write_csv, "parquet": write_parquet}


@pytest.mark.parametrize("kind", ["csv", pytest.param("parquet", marks=pytest.mark.verify)])
@pytest.mark.parametrize("command", ["run", "evaluate", "predict"])
def test_memory_grows_by_less_than_a_tenth_of_the_data(tmp_path, monkeypatch, kind, command):
    monkeypatch.chdir(tmp_path)
    peaks = {}
    for size in (SMALL, LARGE):
        path = f"{size}.{kind}"
        WRITE[kind](path, size)
        source = {"type": kind, "stream": True}
        output = {"type": "dense", "units": "classes", "activation": "softmax"}
        made = classifier(
            data={"source": source, "path": path, "target": "y"},
            model={"layers": [{"type": "dense", "units": 8, "activation": "tanh"}, output]},
            train={"epochs": 1, "batch_size": 512},
        )
        (tmp_path / "spec.json").write_text(json.dumps(made))
        if command == "run":
            peaks[size] = peak("run", "spec.json", "--out", f"out-{size}")
            assert json.loads((tmp_path / f"out-{size}/summary.json").read_text())["streamed"]
        else:
            if size == SMALL:
                peak("run", "spec.json", "--out", "out")
            out = ["--out", "predictions.csv"] if command == "predict" else []
            peaks[size] = peak(command, "out", path, *out)
        os.unlink(path)
    assert peaks[LARGE] - peaks[SMALL] < (LARGE - SMALL) / 10


def peak(*command):
    """Run a command in a process of its own and return the most memory that it had, in bytes."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each has memory of its own
    program = [sys.executable, "-c", MEASURED, *command]
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1].removeprefix("peak ")) * 1024
