"""A plot of the tables: the time or memory of each library relative to nnreg's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, Table

COLOURS = {
    "nnreg+numba": "#0072B2",
    "PyTorch": "#D55E00",
    "PyTorch compiled": "#E69F00",
    "JAX jit": "#009E73",
    "JAX": "#009E73",
    "Keras on JAX": "#CC79A7",
    "scikit-learn": "#56B4E9",
}
"""The palette of Okabe and Ito 2008, distinguishable with colour blindness."""
OTHER = "#999999"
TICKS = [step * 10.0**power for power in range(-4, 5) for step in (1, 2, 5)]

BAR, GAP, AROUND = 0.15, 0.16, 0.7
"""Inches: the height of a bar, the space between rows, and the other height of a panel."""

Bars = list[tuple[str, float]]
Panel = tuple[Table, list[tuple[str, Bars]]]


def plot(tables: Mapping[Table, Sequence[Row]], path: Path) -> str:
    """Draw a panel for each plotted table; return the path, or the reason why there is no plot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return " (no plot: matplotlib is not installed)"
    panels = [(table, _bars(table, rows)) for table, rows in tables.items() if table.plotted]
    columns = _columns([(table, rows) for table, rows in panels if rows])
    if not columns:
        return ""
    height = max(sum(map(_height, column)) for column in columns)
    figure = Figure(figsize=(7.5 * len(columns), height + 0.9), layout="constrained")
    parts = figure.subfigures(1, len(columns), squeeze=False)[0]
    drawn: dict[str, tuple[str, Any]] = {}
    for part, column in zip(parts, columns, strict=True):
        spare = height - sum(map(_height, column)) + 0.01
        heights = [*map(_height, column), spare]
        axes = part.subplots(len(heights), height_ratios=heights, squeeze=False)[:, 0]
        axes[-1].axis("off")
        for ax, (table, rows) in zip(axes, column, strict=False):
            drawn |= _draw(ax, table, rows)
    figure.suptitle("Time or memory relative to nnreg (1)")
    names = dict(drawn.values())
    figure.legend(names.values(), names, loc="outside lower center", ncols=7, frameon=False)
    figure.savefig(path)
    return f", {path}"


def _bars(table: Table, rows: Sequence[Row]) -> list[tuple[str, Bars]]:
    """Return the rows that can be drawn: the values divided by that of the first column."""
    result = []
    for row in rows:
        figures, own = row.figures, row.figures.get(table.columns[0], 0.0)
        bars = [(c, figures[c] / own) for c in table.columns[1:] if c in figures and own > 0]
        if bars and row.compared:
            result.append((row.name, bars))
    return result


def _columns(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return panels in two columns, each added to the shorter column."""
    columns: tuple[list[Panel], list[Panel]] = ([], [])
    for panel in panels:
        min(columns, key=lambda column: sum(map(_height, column))).append(panel)
    return [column for column in columns if column]


def _height(panel: Panel) -> float:
    return AROUND + sum(len(bars) * BAR + GAP for _, bars in panel[1])


def _draw(ax: Any, table: Table, rows: Sequence[tuple[str, Bars]]) -> dict[str, tuple[str, Any]]:
    """Draw the bars of a table; return a name and a bar for each colour, for the legend."""
    drawn, ticks, top = {}, [], 0.0
    for name, bars in rows:
        middles = [top + (place + 0.5) * BAR for place in range(len(bars))]
        ticks.append((sum(middles) / len(middles), name))
        for middle, (column, value) in zip(middles, bars, strict=True):
            colour = COLOURS.get(column, OTHER)
            bar = ax.barh(middle, value - 1, BAR * 0.9, 1, color=colour)
            text, side = _times(value), 1 if value >= 1 else -1
            if column in COLOURS:
                drawn.setdefault(colour, (column, bar))
            else:
                text += f"  {column}"
            ax.annotate(text, (value, middle), (3 * side, 0), textcoords="offset points",
                        ha="left" if side > 0 else "right", va="center", fontsize=7)  # fmt: skip
        top += len(bars) * BAR + GAP
    values = [value for _, bars in rows for _, value in bars]
    least, most = min(0.8, *values) / 2.5, max(1.25, *values) * 1.8
    ax.set_xscale("log", subs=())
    ax.set_xlim(least, most)
    ax.set_xticks([tick for tick in TICKS if least <= tick <= most])
    ax.xaxis.set_major_formatter(lambda value, _: _times(value))
    ax.axvline(1, color="black", linewidth=1)
    ax.set_yticks(*zip(*ticks, strict=True), fontsize=9)
    ax.set_ylim(top - GAP / 2, -GAP / 2)
    ax.set_title(table.title.partition(":")[0], loc="left", fontsize=10, fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    return drawn


def _times(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"
