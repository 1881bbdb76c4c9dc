"""The table of groups for a metric, rounded by its uncertainty, for all formats."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg._utils.formatting import number
from nnreg.comparison.compared import ComparedRuns
from nnreg.comparison.groups import Difference, Estimate, Group
from nnreg.comparison.settings import short, short_value

MAX_DECIMALS = 8
"""The most decimals of a number; those that need more are written with an exponent."""


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and its exact value: a number, or several for several columns of CSV."""

    text: str
    value: Any = None


@dataclass(frozen=True)
class Table:
    """A table with named columns, of which `numeric` ones are aligned to the right.

    `exact` has the names of the columns in CSV, where a cell of several numbers has as many.
    """

    title: str
    head: Sequence[str]
    exact: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Rounding:
    """Writes the numbers of a column with the same number of decimals, negative for tens."""

    decimals: int | None

    def text(self, value: float | None, *, signed: bool = False) -> str:
        """Return a number as text; a dash for None."""
        if value is None:
            return "–"
        if self.decimals is None or not math.isfinite(value):
            return number(value)
        sign = "+" if signed else ""
        if self.decimals > MAX_DECIMALS:
            return f"{value:{sign}.1e}"
        rounded = round(value, self.decimals) + 0.0  # without the sign of -0.0
        return f"{rounded:{sign},.{max(self.decimals, 0)}f}"

    def interval(self, low: float, high: float, *, signed: bool = False) -> str:
        """Return an interval as text."""
        return f"{self.text(low, signed=signed)} to {self.text(high, signed=signed)}"


def rounding_of(deviations: Iterable[float | None]) -> Rounding:
    """Return the rounding by which the median of some deviations has two significant digits."""
    known = [one for one in deviations if one and math.isfinite(one)]
    if not known:
        return Rounding(None)
    return Rounding(1 - math.floor(math.log10(statistics.median_low(known))))


def group_table(comparison: ComparedRuns, metric: str) -> Table:
    """Return the groups by a metric, the best first, with the differences to the reference."""
    groups = comparison.ranked(metric)
    rounding = rounding_of(group.metrics[metric].std for group in groups)
    paths = list(groups[0].settings) if groups else []
    names = [name.replace("_", " ") for name in short(paths).values()]
    compared = any(metric in group.differences for group in groups)
    adjusted = sum(metric in group.differences for group in groups) > 1
    p = "adj. p" if adjusted else "p"
    head = [*(names or ["group"]), "runs", "mean ± std", "95 % interval"]
    exact = [*([path] for path in paths or ["group"]), ["runs"], ["mean", "std"], ["low", "high"]]
    if compared:
        head += ["difference", "its 95 % interval", p]
        exact += [["difference"], ["difference_low", "difference_high"], ["p", "adjusted_p"]]
    rows = []
    for group in groups:
        row = [*_setting_cells(group, paths), *_estimate_cells(group.metrics[metric], rounding)]
        if compared:
            row += _difference_cells(group.differences.get(metric), rounding)
        rows.append(row)
    numeric = [_all_numbers(row[i] for row in rows) for i in range(len(names or ["group"]))]
    numeric += [True] * (len(head) - len(numeric))
    title = title_of(comparison, metric)
    if compared:
        title += f"; differences are to {comparison.references[metric]}"
    return Table(title, head, exact, numeric, rows)


def title_of(comparison: ComparedRuns, metric: str) -> str:
    """Return the metric, and which values are better."""
    name = metric.replace("_", " ")
    if metric not in comparison.higher_is_better:
        return f"{name}, which is not comparable: it is computed in different ways"
    better = "higher" if comparison.higher_is_better[metric] else "lower"
    counts = {len(group.runs) for group in comparison.ranked(metric)}
    each = f", {counts.pop()} runs each" if len(counts) == 1 and comparison.repeated else ""
    return f"{name}, {better} is better{each}"


def _setting_cells(group: Group, paths: Sequence[str]) -> list[Cell]:
    if not paths:
        return [Cell(group.name, group.name)]
    return [Cell(short_value(group.settings[p]), group.settings[p]) for p in paths]


def _estimate_cells(estimate: Estimate, rounding: Rounding) -> list[Cell]:
    mean, low_high = rounding.text(estimate.mean), estimate.interval
    spread = "" if estimate.std is None else f" ± {rounding.text(estimate.std)}"
    return [
        Cell(str(len(estimate.values)), len(estimate.values)),
        Cell(f"{mean}{spread}", (estimate.mean, estimate.std)),
        Cell("–", (None, None))
        if low_high is None
        else Cell(rounding.interval(*low_high), low_high),
    ]


def _difference_cells(difference: Difference | None, rounding: Rounding) -> list[Cell]:
    if difference is None:
        return [Cell(""), Cell("", (None, None)), Cell("", (None, None))]
    ends = difference.low, difference.high
    return [
        Cell(rounding.text(difference.mean, signed=True), difference.mean),
        Cell(rounding.interval(*ends, signed=True), ends),
        Cell(p_text(difference.adjusted_p), (difference.p, difference.adjusted_p)),
    ]


def p_text(p: float) -> str:
    """Return a p-value with two decimals, three if it is small."""
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _all_numbers(cells: Iterable[Cell]) -> bool:
    return all(cell.value is None or type(cell.value) in (int, float) for cell in cells)
