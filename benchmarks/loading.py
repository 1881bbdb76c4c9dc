"""Reading CSV into columns: the time, and the memory relative to the size of the file.

    python -m benchmarks.loading [--quick] [--cpu] [--only words]

Each reader runs in a new process, which first imports, and loads compiled loops, and then reads the
file, which is in the system's cache, into columns in memory: text becomes categories in nnreg, and
strings in pandas, which leaves dates as text as well. The memory is the peak growth of the process
while reading, divided by the size of the file. pandas and `numpy.loadtxt` are called with defaults
but for the delimiter and the decimal mark, and pandas once more with the reader of pyarrow, for
information. That reader alone, in one thread, leaves text as dictionaries in columns of Arrow.
`numpy.loadtxt` reads only numeric files without gaps. `--cpu` measures the time of one processor,
to which the process is bound, instead of the time that passes.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Ratio, Row, Table, UnavailableError, interleave
from benchmarks.processes import limited, python, run

READERS = ("nnreg", "nnreg+numba", "pandas", "pandas+pyarrow", "pyarrow", "loadtxt")
DIFFERENT = 200_000
"""The number of distinct cells of a file, except for names, which are all distinct."""


@dataclass(frozen=True)
class File:
    """The function that makes the cells of a line, the number of lines, and how they are written.

    Numbers are written with a decimal point; `decimal` replaces it.
    """

    make: Callable[[Random], list[str]]
    rows: int = 2_000_000
    delimiter: str = ","
    decimal: str = "."
    end: str = "\n"
    quoted: bool = False


def _decimals(rng: Random) -> list[str]:
    return [f"{rng.gauss(0, 10):.5f}" for _ in range(10)]


def _digits(rng: Random) -> list[str]:
    return [str(rng.randrange(10)) for _ in range(20)]


def _gaps(rng: Random) -> list[str]:
    return [text if rng.random() > 0.1 else "" for text in _decimals(rng)]


def _categories(rng: Random) -> list[str]:
    return [rng.choice(["red", "green", "blue", "dark blue"]) for _ in range(8)]


def _dates(rng: Random) -> list[str]:
    day = date(2015, 1, 1) + timedelta(rng.randrange(3000))
    time_of_day = f"{rng.randrange(24):02}:{rng.randrange(60):02}"
    return [str(day), f"{day} {time_of_day}", *(f"{rng.gauss(50, 20):.2f}" for _ in range(3))]


def _mixed(rng: Random) -> list[str]:
    numbers = [f"{rng.gauss(50, 20):.2f}" if rng.random() > 0.05 else "" for _ in range(6)]
    return [*numbers, rng.choice(["red", "green", "blue"]), rng.choice(["yes", "no"]), "user {row}"]


def _quoted(rng: Random) -> list[str]:
    words = [rng.choice(["north, upper", "south, lower", "east, upper"]) for _ in range(4)]
    return [*words, *(f"{rng.random():.3f}" for _ in range(4))]


def _wide(rng: Random) -> list[str]:
    return [f"{rng.gauss(0, 10):.3f}" for _ in range(5000)]


FILES = {
    "decimals": File(_decimals),
    "digits": File(_digits),
    "gaps": File(_gaps),
    "numbers, gaps, words, names": File(_mixed),
    "categories": File(_categories),
    "dates": File(_dates),
    "quoted words": File(_quoted),
    "quoted numbers": File(_decimals, quoted=True),
    "decimal commas": File(_decimals, delimiter=";", decimal=","),
    "gaps and words, CRLF": File(_mixed, end="\r\n"),
    "5,000 columns": File(_wide, rows=4_000),
}


def write(path: Path, name: str, rows: int) -> None:
    """Write a CSV file with reproducible content."""
    form, rng, text = FILES[name], Random(0), io.StringIO()
    count = DIFFERENT // len(form.make(rng))
    table = [form.make(rng) for _ in range(min(count, rows))]
    if form.decimal != ".":
        table = [[cell.replace(".", form.decimal) for cell in row] for row in table]
    quoting = csv.QUOTE_ALL if form.quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator=form.end, quoting=quoting)
    writer.writerows(table)
    lines = text.getvalue().splitlines(keepends=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        names = (f"c{index}" for index in range(len(table[0])))
        file.write(form.delimiter.join(names) + form.end)
        for start in range(0, rows, len(lines)):
            numbered = enumerate(lines[: rows - start], start)
            file.writelines(line.replace("{row}", str(row)) for row, line in numbered)


def read(reader: str, name: str, path: Path, cpu: bool) -> tuple[float, int]:
    """Return the seconds of reading a file in this process, and its peak growth in bytes."""
    if cpu:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    clock = time.process_time if cpu else time.perf_counter
    load = _loader(reader, FILES[name])
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak size
    began = clock()
    table = load(path)
    seconds = clock() - began
    grown = _memory("VmHWM") - before
    del table
    return seconds, grown


def _loader(reader: str, form: File) -> Callable[[Path], object]:
    if reader in ("nnreg", "nnreg+numba"):
        from nnreg.builtin.sources import compiled_cells
        from nnreg.builtin.sources.delimited import Csv

        compiled_cells.MIN_BYTES = sys.maxsize
        if reader == "nnreg+numba":
            compiled_cells.MIN_BYTES = 0
            with TemporaryDirectory() as directory:  # loads or compiles the loops
                some = Path(directory) / "some.csv"
                some.write_text("a,b,c\n" + "".join(f"1.5,x,{n}x\n" for n in range(9000)))
                Csv().read(some)
        return Csv(delimiter=form.delimiter, decimal=form.decimal).read  # type: ignore[arg-type]
    if reader.startswith("pandas"):
        import pandas

        engine = {"engine": "pyarrow"} if reader == "pandas+pyarrow" else {}
        return partial(pandas.read_csv, sep=form.delimiter, decimal=form.decimal, **engine)
    if reader == "pyarrow":
        return partial(_read_arrow, form)
    import numpy as np

    return partial(np.loadtxt, delimiter=form.delimiter, skiprows=1)


def _read_arrow(form: File, path: Path) -> object:
    from pyarrow import csv as arrow

    return arrow.read_csv(
        path,
        arrow.ReadOptions(use_threads=False),
        arrow.ParseOptions(delimiter=form.delimiter),
        arrow.ConvertOptions(decimal_point=form.decimal, auto_dict_encode=True),
    )


def _memory(field: str) -> int:
    """Return a value in bytes from the status of this process in Linux."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def measure(effort: Effort, cpu: bool = False) -> Iterator[tuple[Row, Row]]:
    """Yield two rows for each file: seconds, and the growth divided by the size of the file."""
    for name, form in FILES.items():
        if effort.only in name:
            with TemporaryDirectory(prefix="nnreg-loading-") as directory:
                path = Path(directory) / "table.csv"
                write(path, name, form.rows // 10 if effort.quick else form.rows)
                size = path.stat().st_size
                samplers = {reader: partial(sample, reader, name, path, cpu) for reader in READERS}
                samples, left_out = interleave(samplers, effort)
            title = f"{name}, {size / 1e6:.0f} MB"
            seconds = {reader: [s for s, _ in taken] for reader, taken in samples.items()}
            memory = {reader: [m / size for _, m in taken] for reader, taken in samples.items()}
            yield Row(title, "s", seconds, left_out), Row(title, "", memory, left_out)


def sample(reader: str, name: str, path: Path, cpu: bool = False) -> tuple[float, int]:
    """Read a file in a new process; see `read`."""
    if sys.platform != "linux":
        raise UnavailableError("the growth of a process is only available on Linux")
    options = ["--cpu"] if cpu else []
    if reader == "nnreg+numba" and not importlib.util.find_spec("numba"):
        raise UnavailableError("needs Numba")
    command = python("-m", "benchmarks.loading", "--read", reader, name, str(path), *options)
    seconds, grown = json.loads(run(command, limited(1)).output)
    return seconds, grown


RATIOS = tuple(Ratio(name, (name,), ("pandas",)) for name in ("nnreg", "nnreg+numba"))
SECONDS = Table("loading", "reading CSV (s)", READERS, RATIOS, lambda _: iter(()), plotted=False)
MEMORY = Table("loading memory", "memory: growth of the process divided by the size of the file",
               READERS, RATIOS, lambda _: iter(()), plotted=False)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round")
    parser.add_argument("--cpu", action="store_true", help="the time of one processor")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        reader, name, path = options.read
        print(json.dumps(read(reader, name, Path(path), options.cpu)))
        return
    rounds = 1 if options.quick else 3
    effort = Effort(rounds, 0.0, 1, quick=options.quick, only=options.only)
    about = environment()
    print(describe(about, 1), flush=True)
    seconds, memory = [], []
    for row, grown in measure(effort, options.cpu):
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
