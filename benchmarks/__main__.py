"""Compare nnreg with other libraries, print tables with ratios, and check the targets.

    pip install -e '.[fast,mkl]' --group benchmarks --group peers    # pip 25.1 or newer
    python -m benchmarks                      # everything
    python -m benchmarks steps --only lstm    # one table, one network
    python -m benchmarks --quick

Measurements are interleaved, A B C, A B C, …; a value is the median over the rounds. A library that
is not installed, or does not support a task, is omitted and listed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import page, report
from benchmarks.environment import describe
from benchmarks.harness import Effort, Row, Table
from benchmarks.plot import plot
from benchmarks.processes import compile_nnreg, limited, pin, python, run
from benchmarks.tables import TABLES
from benchmarks.targets import check_targets

ROUNDS, SECONDS = 5, 0.25
"""The rounds of a row, and the least seconds of each library in one."""

ENOUGH = 3.0
"""Seconds after which no further round of a row is started in a quick run."""

SLOW = {"PyTorch compiled": "compiling takes too long for a quick run"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write them as JSON and as a plot."""
    options = _options(arguments)
    pin(options.threads)
    compile_nnreg()
    effort = Effort(
        ROUNDS, SECONDS, options.threads, only=options.only, processor=options.processor
    )
    if options.quick:
        effort = replace(effort, rounds=3, seconds=0.1, enough=ENOUGH, quick=True, skipped=SLOW)
        print("three rounds or fewer: not enough for a reliable comparison\n")
    about = json.loads(run(python("-m", "benchmarks.environment"), limited(options.threads)).output)
    print(
        f"{describe(about, options.threads)}\n\n"
        "the last columns of a table are ratios: the best value of the other libraries divided by\n"
        "that of nnreg or nnreg+numba (above 1: nnreg is better), or the fraction of nnreg's time\n"
        "that the matrix products alone take"
    )
    rows = {}
    for table in TABLES:
        if not options.table or table.name in options.table:
            rows[table] = _measure(table, effort)
    results = check_targets({table.name: measured for table, measured in rows.items()})
    if results:
        print("\ntargets and measured values", *(result.line for result in results), sep="\n")
    options.out.mkdir(parents=True, exist_ok=True)
    document = {
        "environment": about,
        "effort": {"rounds": effort.rounds, "seconds": effort.seconds, "threads": effort.threads},
        "tables": [report.as_json(table, measured) for table, measured in rows.items()],
        "targets": [result.as_json for result in results],
    }
    path = options.out / "results.json"
    if options.write:
        old = json.loads(page.KEPT.read_text()) if page.KEPT.exists() else {}
        kept = page.keep(old, about, effort, rows)
        page.KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        page.main(options.write)
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\nwritten: {path}{plot(rows, options.out / 'results.svg')}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [table.name for table in TABLES]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "table", nargs="*", choices=[*names, []], metavar="TABLE",
        help=f"table to measure: {', '.join(names)} [default: all]",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="three short rounds, under 2 minutes")
    parser.add_argument("--only", default="", help="networks and jobs whose name contains this")
    parser.add_argument(
        "--threads", type=int, default=2, help="threads and cores of each library [default: 2]"
    )
    parser.add_argument(
        "--cpu", dest="processor", action="store_true",
        help="time of the processor, on one thread, on which other load has less influence",
    )  # fmt: skip
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/benchmarks"),
        help="directory for the JSON and the plot",
    )
    parser.add_argument(
        "--write", type=Path, metavar="PAGE",
        help="keep the medians in benchmarks/results.json, and write the kept tables to this page",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.write and (options.quick or options.only):
        parser.error("--write keeps whole tables; use it without --quick and --only")
    if options.processor:
        options.threads = 1
    return options


def _measure(table: Table, effort: Effort) -> list[Row]:
    """Return the rows of a table; print each when it is measured."""
    print(report.heading(table), flush=True)
    rows = []
    for row in table.measure(effort):
        rows.append(row)
        print(report.line(table, row), flush=True)
    if reasons := report.left_out(rows):
        print(reasons)
    return rows


if __name__ == "__main__":
    main()
