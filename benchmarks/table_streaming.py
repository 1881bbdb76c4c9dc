"""An epoch over a CSV or Parquet file whose rows stay there, compared with one in memory.

    python -m benchmarks.table_streaming [--rows 1000000] [--format csv] [--format parquet]

Each way has a process of its own, which prints the seconds of processor time of preparing the data
and of the second epoch, on all threads, and its peak memory. The file has 20 columns of numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

COLUMNS = 20
BLOCK_ROWS = 10_000
GROUP_ROWS = 25_000
"""The rows of a group of the Parquet file: 8 of them are a window of the usual size."""


def write(path: Path, rows: int) -> None:
    """Write rows of numbers of five decimals, and a target."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BLOCK_ROWS, COLUMNS)).round(5)
    y = (x[:, 0] + x[:, 1] ** 2).round(5)
    names = [f"x{n}" for n in range(COLUMNS)]
    if path.suffix == ".csv":
        lines = "".join(",".join(map(repr, row)) + "\n" for row in np.column_stack([x, y]).tolist())
        with path.open("w") as file:
            file.write(",".join([*names, "y"]) + "\n")
            file.writelines([lines] * (rows // BLOCK_ROWS))
        return
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({**dict(zip(names, x.T, strict=True)), "y": y})
    whole = pyarrow.concat_tables([table] * (rows // BLOCK_ROWS))
    pyarrow.parquet.write_table(whole, path, row_group_size=GROUP_ROWS)


def measure(path: Path, *, stream: bool) -> dict[str, float]:
    """Return processor seconds and the peak memory in MB."""
    spec = {
        "data": {
            "source": {"type": path.suffix[1:], "stream": stream},
            "path": str(path),
            "target": "y",
            "target_scaling": "standard",
        },
        "model": {
            "layers": [
                {"type": "dense", "units": 64, "activation": "relu"},
                {"type": "dense", "units": 1},
            ]
        },
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 2, "batch_size": 256},
    }
    began = time.process_time()
    prepared = prepare_from_spec(read_spec(spec))
    prepared_at = time.process_time()
    epochs = prepared.model.trainer(prepared.train).epochs()
    next(epochs)
    second = time.process_time()
    next(epochs)
    return {
        "prepare": prepared_at - began,
        "epoch": time.process_time() - second,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.table_streaming", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", action="append", choices=("csv", "parquet"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, stream=options.stream)))
        return
    print("                      prepare, s   epoch, s   peak, MB")
    for kind in options.format or ("csv", "parquet"):
        with TemporaryDirectory(prefix="nnreg-streaming-") as directory:
            path = Path(directory) / f"table.{kind}"
            write(path, options.rows)
            for way in ("in memory", "streamed"):
                own = [sys.executable, "-m", "benchmarks.table_streaming", "--measure", str(path)]
                command = [*own, *["--stream"] * (way == "streamed")]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                values = f"{found['prepare']:10.1f} {found['epoch']:10.1f} {found['peak']:10.0f}"
                print(f"{kind + ' ' + way:21} {values}", flush=True)


if __name__ == "__main__":
    main()
