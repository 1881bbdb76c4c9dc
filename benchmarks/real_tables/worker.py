"""A process that measures methods on one split of a table, and prints a line of JSON for each."""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from benchmarks.real_tables.methods import METHODS, score
from benchmarks.real_tables.reading import Split, read, split
from benchmarks.real_tables.tables import HELD_OUT, TUNE, RealTable


def measure(table: RealTable, rows: Split, method: str) -> dict[str, Any]:
    """Return the score, or the error, and the seconds of the processor."""
    began = _seconds()
    try:
        found: dict[str, Any] = {"score": score(table, rows, METHODS[method](table, rows))}
    except Exception as error:  # a method that fails is last, and says why
        found = {"error": f"{type(error).__name__}: {error}"[:500]}
    return {**found, "seconds": round(_seconds() - began, 2)}


def main(name: str, number: int, methods: Sequence[str]) -> None:
    """Print the results of some methods on one split."""
    table = next(one for one in (*TUNE, *HELD_OUT) if one.name == name)
    rows = split(table, read(table), number)
    for method in methods:
        found = {"table": name, "split": number, "method": method, **measure(table, rows, method)}
        print(json.dumps(found), flush=True)


def _seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
