"""Performance targets, and whether a run of the benchmark met them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Row
from benchmarks.peers import OTHERS, TORCH
from benchmarks.report import in_unit

NUMPY, NUMBA = ("nnreg",), ("nnreg+numba",)
TWO_SMALLEST = ("4-16-8-3", "64-128-64-10")
JOBS = ("penguins: seconds", "digits: seconds")


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
    Target("a step, NumPy, vs. PyTorch's better mode", "steps", NUMPY, TORCH, 1.0),
    Target("the same, the two smallest", "steps", NUMPY, TORCH, 4.0, rows=TWO_SMALLEST),
    Target("a step, NumPy, vs. scikit-learn", "steps", NUMPY, ("scikit-learn",), 1.5),
    Target("a step, compiled kernels, vs. the best", "steps", NUMBA, OTHERS, 1.0,
           rows=TWO_SMALLEST[:1]),
    Target("the same, all others", "steps", NUMBA, OTHERS, 1.1,
           rows=("64-", "784-", "1024-", "cnn", "lstm", "transformer", "embedding")),
    Target("fraction of the product limit, widest", "steps", NUMBA, ("limit",), 0.85,
           rows=("1024-",)),
    Target("fraction of the product limit", "steps", NUMBA, ("limit",), 0.75, rows=("784-",)),
    Target("whole jobs vs. PyTorch and Keras", "jobs", NUMPY, ("PyTorch", "Keras on JAX"), 5.0,
           rows=JOBS),
    Target("whole jobs vs. scikit-learn", "jobs", NUMPY, ("scikit-learn",), 1.5, rows=JOBS),
    Target("import vs. NumPy with h5py", "imports", NUMPY, ("NumPy, h5py",), 1.0),
    Target("fraction of a run spent on saving", "saving", NUMPY, most=0.03,
           unit="%", rows=("fraction spent on saving",)),
    Target("one save of 60 kB", "saving", NUMPY, most=0.005, rows=("one save of 60 kB",)),
    Target("one save of 100 MB, time of h5py over nnreg's", "saving", NUMPY, ("plain h5py",), 1 / 3,
           rows=("one save of 100 MB",)),
    Target("nnreg --help", "plugins", ("with 30",), most=0.3, rows=("nnreg --help",)),
    Target("nnreg --help without plugins over with 30", "plugins", ("with 30",), ("without",), 0.95,
           rows=("nnreg --help",)),
    Target("30 plugins cost what their imports do", "plugins", ("with 30",),
           ("without, and imports",), 0.95, rows=("nnreg plugins",)),
)  # fmt: skip
"""All targets. The two of 0.95 mean equally fast, with a margin for noise."""


@dataclass(frozen=True)
class TargetResult:
    """The result for a target: the values of the rows to which it applies."""

    target: Target
    values: Mapping[str, float]

    @property
    def misses(self) -> dict[str, float]:
        """The rows in which it was missed."""
        return {name: v for name, v in self.values.items() if not self.target.reached(v)}

    @property
    def word(self) -> str:
        """`met`, `missed` or `not measured`."""
        return "not measured" if not self.values else "missed" if self.misses else "met"

    @property
    def line(self) -> str:
        """The result as a line of text: the missed rows, or the one closest to the target."""
        target, shown = self.target, self.misses
        if self.values and not shown:
            nearest = (min if target.peers else max)(self.values, key=self.values.__getitem__)
            shown = {nearest: self.values[nearest]}
        numbers = "; ".join(f"{name}: {target.text(value)}" for name, value in shown.items())
        found = f" ({numbers})" if numbers else ""
        return f"  {self.word:13} {target.what}: {target.wanted}{found}"

    @property
    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        target = self.target
        wanted = {"least": target.least} if target.peers else {"most": target.most}
        return {"target": target.what, "table": target.table, **wanted, "verdict": self.word,
                "values": dict(self.values)}  # fmt: skip


def check_targets(
    rows: Mapping[str, Sequence[Row]], targets: Iterable[Target] = TARGETS
) -> list[TargetResult]:
    """Return the result for each target of the measured tables, given their rows."""
    results = []
    for target in targets:
        if target.table in rows:
            counted = [row for row in rows[target.table] if row.name.startswith(target.rows)]
            values = {row.name: v for row in counted if (v := target.value(row)) is not None}
            results.append(TargetResult(target, values))
    return results
