"""The command of a benchmark with one table, measured on one thread."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Row, Table


def measure_and_print(
    table: Table, measure: Callable[[Effort], Iterator[Row]], description: str | None, rounds: int
) -> None:
    """Measure a table in `rounds` rounds, or in three with `--quick`, and print it."""
    name = f"python -m benchmarks.{table.name}"
    parser = argparse.ArgumentParser(name, description=description)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    options = parser.parse_args()
    effort = Effort(3 if options.quick else rounds, 0.0, 1)
    print(describe(environment(), 1), report.heading(table), sep="\n", flush=True)
    for row in measure(effort):
        print(report.line(table, row), flush=True)
