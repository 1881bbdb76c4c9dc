"""Reading CSV into columns: the time, and the memory relative to the size of the file.

    python -m benchmarks.loading [--quick] [--only words]

Each reader runs in a new process, which first imports and then reads the file, which is in the
system's cache, into columns in memory. The memory is the peak growth of the process while reading,
divided by the size of the file. pandas and `numpy.loadtxt` are called with defaults; the latter
reads only numeric files.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Ratio, Row, Table, UnavailableError, interleave
from benchmarks.processes import limited, python, run

READERS = ("nnreg", "pandas", "loadtxt")
DIFFERENT = 200_000
"""The number of distinct cells of a file, except for names, which are all distinct."""


def _decimals(rng: Random) -> list[str]:
    return [f"{rng.gauss(0, 10):.5f}" for _ in range(10)]


def _digits(rng: Random) -> list[str]:
    return [str(rng.randrange(10)) for _ in range(20)]


def _mixed(rng: Random) -> list[str]:
    numbers = [f"{rng.gauss(50, 20):.2f}" if rng.random() > 0.05 else "" for _ in range(6)]
    return [*numbers, rng.choice(["red", "green", "blue"]), rng.choice(["yes", "no"]), "user {row}"]


def _quoted(rng: Random) -> list[str]:
    words = [rng.choice(["north, upper", "south, lower", "east, upper"]) for _ in range(4)]
    return [*words, *(f"{rng.random():.3f}" for _ in range(4))]


def _wide(rng: Random) -> list[str]:
    return [f"{rng.gauss(0, 10):.3f}" for _ in range(5000)]


FILES: dict[str, tuple[Callable[[Random], list[str]], int]] = {
    "decimals": (_decimals, 2_000_000),
    "digits": (_digits, 2_000_000),
    "numbers, gaps, words, names": (_mixed, 2_000_000),
    "quoted words": (_quoted, 2_000_000),
    "5,000 columns": (_wide, 4_000),
}
"""The function that makes the cells of a line, and the number of lines, by name."""


def write(path: Path, name: str, rows: int) -> None:
    """Write a CSV file with reproducible content."""
    make, rng, text = FILES[name][0], Random(0), io.StringIO()
    count = DIFFERENT // len(make(rng))
    table = [make(rng) for _ in range(min(count, rows))]
    csv.writer(text, lineterminator="\n").writerows(table)
    lines = text.getvalue().splitlines(keepends=True)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(f"c{index}" for index in range(len(table[0]))) + "\n")
        for start in range(0, rows, len(lines)):
            numbered = enumerate(lines[: rows - start], start)
            file.writelines(line.replace("{row}", str(row)) for row, line in numbered)


def read(reader: str, path: Path) -> tuple[float, int]:
    """Return the seconds of reading a file in this process, and its peak growth in bytes."""
    load = _loader(reader)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak size
    began = time.perf_counter()
    table = load(path)
    seconds = time.perf_counter() - began
    grown = _memory("VmHWM") - before
    del table
    return seconds, grown


def _loader(reader: str) -> Callable[[Path], object]:
    if reader == "nnreg":
        from nnreg.builtin.sources.delimited import Csv

        return Csv().read
    if reader == "pandas":
        import pandas

        return pandas.read_csv
    import numpy as np

    return partial(np.loadtxt, delimiter=",", skiprows=1)


def _memory(field: str) -> int:
    """Return a value in bytes from the status of this process in Linux."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def measure(effort: Effort) -> Iterator[tuple[Row, Row]]:
    """Yield two rows for each file: seconds, and the growth divided by the size of the file."""
    for name, (_, rows) in FILES.items():
        if effort.only in name:
            with TemporaryDirectory(prefix="nnreg-loading-") as directory:
                path = Path(directory) / "table.csv"
                write(path, name, rows // 10 if effort.quick else rows)
                size = path.stat().st_size
                samplers = {reader: partial(sample, reader, path) for reader in READERS}
                samples, left_out = interleave(samplers, effort)
            title = f"{name}, {size / 1e6:.0f} MB"
            seconds = {reader: [s for s, _ in taken] for reader, taken in samples.items()}
            memory = {reader: [m / size for _, m in taken] for reader, taken in samples.items()}
            yield Row(title, "s", seconds, left_out), Row(title, "", memory, left_out)


def sample(reader: str, path: Path) -> tuple[float, int]:
    """Read a file in a new process; see `read`."""
    if sys.platform != "linux":
        raise UnavailableError("the growth of a process is only available on Linux")
    command = python("-m", "benchmarks.loading", "--read", reader, str(path))
    seconds, grown = json.loads(run(command, limited(1)).output)
    return seconds, grown


RATIOS = (Ratio("nnreg", ("nnreg",), ("pandas", "loadtxt")),)
SECONDS = Table("loading", "reading CSV (s)", READERS, RATIOS, lambda _: iter(()), plotted=False)
MEMORY = Table("loading memory", "memory: growth of the process divided by the size of the file",
               READERS, RATIOS, lambda _: iter(()), plotted=False)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read[0], Path(options.read[1]))))
        return
    rounds = 1 if options.quick else 3
    effort = Effort(rounds, 0.0, 1, quick=options.quick, only=options.only)
    about = environment()
    print(describe(about, 1), flush=True)
    seconds, memory = [], []
    for row, grown in measure(effort):
        seconds.append(row)
        memory.append(grown)
        print(f"  measured: {row.name}", flush=True)
    tables = ((SECONDS, seconds), (MEMORY, memory))
    for table, rows in tables:
        print(report.heading(table), *(report.line(table, row) for row in rows), sep="\n")
    print(report.left_out(seconds))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "loading.json"
    document = {"environment": about, "tables": [report.as_json(*table) for table in tables]}
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
