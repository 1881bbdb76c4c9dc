"""Rows and tables for tests, and the minimum effort of a measurement."""

from benchmarks.harness import Effort, Ratio, Row, Table
from benchmarks.workloads import WORKLOADS

TINY = WORKLOADS[0]
EFFORT = Effort(rounds=3, seconds=0.0, threads=1)


def row(**figures):
    return Row("a row", "s", {name.replace("_", " "): [value] for name, value in figures.items()})


RATIO = Ratio("nnreg", ("nnreg",), ("PyTorch",))


def table(*rows, columns=("nnreg", "PyTorch"), ratios=(RATIO,)):
    return Table("fake", "a title", columns, ratios, lambda effort: iter(rows))
