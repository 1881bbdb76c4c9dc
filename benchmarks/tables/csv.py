"""Reading CSV files of two million rows; see `benchmarks.loading`, which has memory too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks import loading
from benchmarks.harness import Effort, Ratio, Row, Table
from benchmarks.peers import NUMBA, NUMPY

ROUNDS = 3
"""Fewer than of other tables: a file takes several seconds."""

READERS = (NUMPY, NUMBA, "pandas")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each kind of file."""
    others = {reader: "slower" for reader in loading.READERS if reader not in READERS}
    fewer = replace(effort, rounds=min(effort.rounds, ROUNDS), skipped=others)
    for seconds, _ in loading.measure(fewer, effort.processor):
        yield replace(seconds, left_out={})


TABLE = Table(
    "csv",
    "reading CSV: seconds",
    READERS,
    tuple(Ratio(name, (name,), ("pandas",)) for name in (NUMPY, NUMBA)),
    measure,
)
