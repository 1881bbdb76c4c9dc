"""What nnreg wants to reach, and whether a run of the benchmark reached it."""

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
    """The best of `peers` over the best of `own` is to be `least`, or our figure at most `most`.

    `most` is in seconds or a share of one, and shown in `unit`. The target counts in each row of
    the table whose name begins with one of `rows`.
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
        """Return the figure that is judged, or None where the row has not all it needs."""
        if self.peers:
            return row.ratio(self.own, self.peers)
        return min((row.figures[name] for name in self.own if name in row.figures), default=None)

    @property
    def wanted(self) -> str:
        """What is to be reached, in words."""
        return (
            f"{self.text(self.least)} or more" if self.peers else f"at most {self.text(self.most)}"
        )

    def text(self, value: float) -> str:
        """Return a figure as it is shown: a ratio, or a number with its unit."""
        return f"{value:.2f}" if self.peers else in_unit(value, self.unit)

    def reached(self, value: float) -> bool:
        """Tell whether a figure is good enough."""
        return self.least <= value <= self.most


TARGETS = (
    Target("a step, NumPy, against PyTorch's better mode", "steps", NUMPY, TORCH, 1.0),
    Target("the same, the two smallest", "steps", NUMPY, TORCH, 4.0, rows=TWO_SMALLEST),
    Target("a step, NumPy, against scikit-learn", "steps", NUMPY, ("scikit-learn",), 1.5),
    Target("a step, compiled kernels, against the best", "steps", NUMBA, OTHERS, 1.0,
           rows=TWO_SMALLEST[:1]),
    Target("the same, all others", "steps", NUMBA, OTHERS, 1.1,
           rows=("64-", "784-", "1024-", "cnn", "lstm", "transformer", "embedding")),
    Target("share of the product limit, widest", "steps", NUMBA, ("limit",), 0.85, rows=("1024-",)),
    Target("share of the product limit", "steps", NUMBA, ("limit",), 0.75, rows=("784-",)),
    Target("whole jobs against PyTorch and Keras", "jobs", NUMPY, ("PyTorch", "Keras on JAX"), 5.0,
           rows=JOBS),
    Target("whole jobs against scikit-learn", "jobs", NUMPY, ("scikit-learn",), 1.5, rows=JOBS),
    Target("import against NumPy with h5py", "imports", NUMPY, ("NumPy, h5py",), 1.0),
    Target("share of a run that saving takes", "saving", NUMPY, most=0.03,
           unit="%", rows=("saving's share",)),
    Target("one save of 60 kB", "saving", NUMPY, most=0.005, rows=("one save of 60 kB",)),
    Target("one save of 100 MB, h5py's time over ours", "saving", NUMPY, ("plain h5py",), 1 / 3,
           rows=("one save of 100 MB",)),
    Target("nnreg --help", "plugins", ("with 30",), most=0.3, rows=("nnreg --help",)),
    Target("nnreg --help without plugins over with 30", "plugins", ("with 30",), ("without",), 0.95,
           rows=("nnreg --help",)),
    Target("30 plugins cost what their imports do", "plugins", ("with 30",),
           ("without, and imports",), 0.95, rows=("nnreg plugins",)),
)  # fmt: skip
"""All targets. The two of 0.95 mean as fast, but for the noise."""


@dataclass(frozen=True)
class Verdict:
    """What a run says of a target: the values of the rows that it counts in."""

    target: Target
    values: Mapping[str, float]

    @property
    def misses(self) -> dict[str, float]:
        """The rows in which it was not reached."""
        return {name: v for name, v in self.values.items() if not self.target.reached(v)}

    @property
    def word(self) -> str:
        """Met, missed, or not measured."""
        return "not measured" if not self.values else "missed" if self.misses else "met"

    @property
    def line(self) -> str:
        """The verdict as a line of text: what was missed, or what came nearest to it."""
        target, shown = self.target, self.misses
        if self.values and not shown:
            nearest = (min if target.peers else max)(self.values, key=self.values.__getitem__)
            shown = {nearest: self.values[nearest]}
        numbers = "; ".join(f"{name}: {target.text(value)}" for name, value in shown.items())
        found = f" ({numbers})" if numbers else ""
        return f"  {self.word:13} {target.what}: {target.wanted}{found}"

    @property
    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON."""
        target = self.target
        wanted = {"least": target.least} if target.peers else {"most": target.most}
        return {"target": target.what, "table": target.table, **wanted, "verdict": self.word,
                "values": dict(self.values)}  # fmt: skip


def judge(rows: Mapping[str, Sequence[Row]], targets: Iterable[Target] = TARGETS) -> list[Verdict]:
    """Return the verdict on each target of the tables that were measured, given their rows."""
    verdicts = []
    for target in targets:
        if target.table in rows:
            counted = [row for row in rows[target.table] if row.name.startswith(target.rows)]
            values = {row.name: v for row in counted if (v := target.value(row)) is not None}
            verdicts.append(Verdict(target, values))
    return verdicts
