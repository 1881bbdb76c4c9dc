"""Performance targets, and whether a run of the benchmark met them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Row
from benchmarks.peers import MKL, NUMBA, NUMPY, OTHERS, OWN, PREDICTORS, TORCH
from benchmarks.report import in_unit

BOUND = 0.9, 1.1
"""The fractions of a step's time between which matrix products alone are what bounds it.

Where they would take more than the whole step, it computes them faster, in loops of its own.
"""

TWO_SMALLEST = ("4-16-8-3", "10-24-2")
OTHER_DENSE = ("300-", "twelve", "784-", "1024-", "900-")
OTHER_ROWS = (*OTHER_DENSE, "cnn 28x28", "lstm", "transformer", "embedding", "64-128")
NORMALIZED = ("cnn 32x32x3, batch norm",)
ONE_ROW, MANY_ROWS = ("64-128-64-10, one row",), ("64-128-64-10, 10", "cnn")
OF_NUMPY = (*TWO_SMALLEST, *OTHER_DENSE, "64-128", "lstm", "transformer")


@dataclass(frozen=True)
class Target:
    """The best of `peers` divided by that of `own` is at least `least`, or `own` at most `most`.

    `most` is in seconds or a fraction, and shown in `unit`. The target applies to each row of the
    table whose name starts with one of `rows`.
    """

    what: str
    table: str
    own: tuple[str, ...]
    peers: tuple[str, ...] = ()
    least: float = 0.0
    most: float = math.inf
    unit: str = "ms"
    rows: tuple[str, ...] = ("",)

    def value(self, row: Row) -> float | None:
        """Return the value that is compared with the target, or None if the row lacks it."""
        if self.peers:
            return row.ratio(self.own, self.peers)
        return min((row.figures[name] for name in self.own if name in row.figures), default=None)

    @property
    def wanted(self) -> str:
        """The target value as text."""
        return (
            f"{self.text(self.least)} or more" if self.peers else f"at most {self.text(self.most)}"
        )

    def text(self, value: float) -> str:
        """Return a value as text: a ratio, or a number with its unit."""
        return f"{value:.2f}" if self.peers else in_unit(value, self.unit)

    def reached(self, value: float) -> bool:
        """Return True if a value meets the target."""
        return self.least <= value <= self.most


TARGETS = (
    Target("a step, NumPy vs. PyTorch", "steps", (NUMPY,), TORCH, 1.0, rows=OF_NUMPY),
    Target("a step, Numba vs. the best: the two smallest", "steps", (NUMBA,), OTHERS, 1.5,
           rows=TWO_SMALLEST),
    Target("a step, Numba vs. the best: others", "steps", (NUMBA,), OTHERS, 1.1, rows=OTHER_ROWS),
    Target("a step, Numba vs. the best: batch norm", "steps", (NUMBA,), OTHERS, 0.9,
           rows=NORMALIZED),
    Target("a step, MKL and Numba vs. the best", "steps", (MKL,), OTHERS, 1.2,
           rows=(*TWO_SMALLEST, *OTHER_ROWS)),
    Target("a step, MKL and Numba vs. the best: batch norm", "steps", (MKL,), OTHERS, 1.0,
           rows=NORMALIZED),
    Target("one row, NumPy", "predict", (NUMPY,), most=15e-6, unit="µs", rows=ONE_ROW),
    Target("one row, vs. the best", "predict", OWN, PREDICTORS, 1.0, rows=ONE_ROW),
    Target("10,000 rows, vs. the best", "predict", OWN, PREDICTORS, 1.1, rows=MANY_ROWS),
    *(
        Target(f"{what}, {name}", "quotients", (name,), most=most, unit="", rows=rows)
        for what, most, rows in (
            ("the last of 2,000 steps over the second hundred", 1.05, ("embedding",)),
            ("an LSTM's step over eight of an eighth", 1.05, ("lstm",)),
            ("weighted examples over others", 1.15, ("4-16", "64-128", "784-")),
        )
        for name in OWN
    ),
    *(
        Target(f"a run of the penguins, {name}", "jobs", (name,), most=0.9, unit="s",
               rows=("penguins: processor",))
        for name in (NUMPY, NUMBA)
    ),
    Target("whole jobs vs. scikit-learn", "jobs", (NUMPY,), ("scikit-learn",), 2.0,
           rows=("penguins: processor",)),
    Target("import vs. NumPy with h5py", "imports", (NUMPY,), ("NumPy, h5py",), 1.0),
    Target("fraction of a run spent on saving", "saving", (NUMPY,), most=0.03,
           unit="%", rows=("fraction spent on saving",)),
    Target("one save of 50 kB", "saving", (NUMPY,), most=0.005, rows=("one save of 50 kB",)),
    Target("one save of 75 MB, time of h5py over nnreg's", "saving", (NUMPY,), ("plain h5py",),
           1 / 3, rows=("one save of 75 MB",)),
    Target("reading CSV, vs. pandas", "csv", (NUMBA,), ("pandas",), 1 / 1.2),
    Target("nnreg --help", "plugins", ("with 30",), most=0.3, rows=("nnreg --help",)),
    Target("nnreg --help without plugins over with 30", "plugins", ("with 30",), ("without",), 0.95,
           rows=("nnreg --help",)),
    Target("30 plugins cost what their imports do", "plugins", ("with 30",),
           ("without, and imports",), 0.95, rows=("nnreg plugins",)),
)  # fmt: skip
"""All targets. The two of 0.95 mean equally fast, with a margin for noise."""


@dataclass(frozen=True)
class TargetResult:
    """The result for a target: the values of the rows to which it applies.

    `bound` are the rows in which matrix products alone take most of the time of nnreg, so that
    the target counts as met.
    """

    target: Target
    values: Mapping[str, float]
    bound: frozenset[str] = frozenset()

    @property
    def misses(self) -> dict[str, float]:
        """The rows in which it was missed."""
        return {name: v for name, v in self._below.items() if name not in self.bound}

    @property
    def excused(self) -> dict[str, float]:
        """The rows that count as met only because matrix products bound the step."""
        return {name: v for name, v in self._below.items() if name in self.bound}

    @property
    def _below(self) -> dict[str, float]:
        return {name: v for name, v in self.values.items() if not self.target.reached(v)}

    @property
    def word(self) -> str:
        """`met`, `missed` or `not measured`."""
        return "not measured" if not self.values else "missed" if self.misses else "met"

    @property
    def shown(self) -> str:
        """The values of the missed rows, or of the one closest to the target."""
        target, shown = self.target, self.misses
        if self.values and not shown:
            nearest = (min if target.peers else max)(self.values, key=self.values.__getitem__)
            shown = {nearest: self.values[nearest]}
        return "; ".join(
            f"{name}: {target.text(value)}{' (products)' if name in self.bound else ''}"
            for name, value in shown.items()
        )

    @property
    def line(self) -> str:
        """The result as a line of text."""
        found = f" ({self.shown})" if self.shown else ""
        return f"  {self.word:13} {self.target.what}: {self.target.wanted}{found}"

    @property
    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        target = self.target
        wanted = {"least": target.least} if target.peers else {"most": target.most}
        return {"target": target.what, "table": target.table, **wanted, "verdict": self.word,
                "values": dict(self.values)}  # fmt: skip


def _bound(target: Target, row: Row) -> bool:
    """Return True if the matrix products alone take about as long as nnreg's whole step."""
    share = row.ratio(target.own, ("MKL products" if MKL in target.own else "products",))
    return share is not None and BOUND[0] <= share <= BOUND[1]


def check_targets(
    rows: Mapping[str, Sequence[Row]], targets: Iterable[Target] = TARGETS
) -> list[TargetResult]:
    """Return the result for each target of the measured tables, given their rows."""
    results = []
    for target in targets:
        if target.table in rows:
            counted = [row for row in rows[target.table] if row.name.startswith(target.rows)]
            values = {row.name: v for row in counted if (v := target.value(row)) is not None}
            bound = frozenset(row.name for row in counted if _bound(target, row))
            results.append(TargetResult(target, values, bound))
    return results
