"""Charts as SVG, PNG or PDF files for papers, drawn by matplotlib.

pyplot is not imported, and matplotlib's settings are changed only while a file is written.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from nnreg._utils.atomic_files import Replace, replace_file
from nnreg.plotting.chart import Axis, Chart, Dash, number, thin
from nnreg.plotting.palette import GRID, MUTED, PAPER

SIZE = (4.6, 3.0)
"""Width and height of a panel in inches."""


LEGEND: dict[str, Any] = {
    "frameon": False, "fontsize": 8.5, "labelcolor": MUTED, "handlelength": 1.8,
}  # fmt: skip

LEGEND_WIDTH = 0.075
"""The width of a character of a legend beside the panels, in inches."""


def figure(charts: Sequence[Chart], *, shared: bool = False) -> Figure:
    """Return a figure with a panel for each chart.

    If they have `shared` curves, one legend is to the right of all of them.
    """
    rows, columns = (len(charts) + 1) // 2, min(len(charts), 2)
    labels = [curve.label for curve in charts[0].curves if curve.label] if shared else []
    beside = LEGEND_WIDTH * (max(map(len, labels), default=0) + 6) if len(labels) > 1 else 0
    size = SIZE[0] * columns + beside, SIZE[1] * rows
    drawn = Figure(figsize=size, layout="constrained")
    drawn.patch.set_facecolor(PAPER)
    panels = list(drawn.subplots(rows, columns, squeeze=False).flat)
    for axes, chart in zip(panels, charts, strict=False):
        _draw(axes, chart)
        if not shared and len(axes.get_legend_handles_labels()[1]) > 1:
            axes.legend(**LEGEND)
    if beside:
        handles, names = panels[0].get_legend_handles_labels()
        drawn.legend(handles, names, loc="outside right upper", **LEGEND)
    for axes in panels[len(charts) :]:
        axes.set_visible(False)
    return drawn


def save(drawn: Figure, path: Path, replace: Replace = replace_file) -> None:
    """Write a figure in the format of the suffix; the bytes are reproducible."""
    kind = path.suffix.removeprefix(".")
    # text rather than paths: smaller, searchable and readable by screen readers
    settings: dict[Any, Any] = {"svg.hashsalt": "nnreg", "svg.fonttype": "none", "pdf.fonttype": 42}
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        # the viewer's font may have glyphs that matplotlib's font does not
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)
        drawn.savefig(buffer, format=kind, dpi=150, metadata=undated.get(kind))
    replace(path, [(0, buffer.getvalue())])


def _draw(axes: Axes, chart: Chart) -> None:
    for band in chart.bands:
        axes.fill_between(band.x, band.low, band.high, color=band.colour, alpha=0.16, linewidth=0)
    for index, curve in enumerate(chart.curves):
        axes.plot(
            *thin(curve.x, curve.y),
            color=curve.colour,
            linestyle=_linestyle(curve.dash),
            linewidth=0.8 * curve.width,
            marker="o" if len(curve.x) == 1 else "",
            label=_plain(curve.label) or "_",
            zorder=3 - index / len(chart.curves),  # the first is above the others, as in SVG
        )
        if curve.dot is not None and curve.dot < len(curve.y):
            x, y = curve.x[curve.dot], curve.y[curve.dot]
            axes.plot(x, y, "o", color=curve.colour, markersize=6, markeredgecolor=PAPER)
    if chart.mark is not None:
        at, label = chart.mark
        axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=_linestyle((1, 2)), label=label)
    for name, axis in (("x", chart.across), ("y", chart.up)):
        _scale(axes, name, axis)
    axes.set_xlabel(_plain(chart.across.label), color=MUTED, fontsize=9.5)
    axes.set_title(_plain(chart.up.label), loc="left", color=MUTED, fontsize=9.5)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=9, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)


def _scale(axes: Axes, name: str, axis: Axis) -> None:
    """Set the limits of one axis, and the same ticks as in the other backends."""
    ends = [10**end if axis.logarithmic else end for end in (axis.low, axis.high)]
    ticks = axis.ticks()
    axes.set(**{f"{name}scale": "log" if axis.logarithmic else "linear", f"{name}lim": ends})
    axes.set(**{f"{name}ticks": ticks, f"{name}ticklabels": [number(tick) for tick in ticks]})
    (axes.xaxis if name == "x" else axes.yaxis).set_minor_locator(NullLocator())


def _linestyle(dash: Dash) -> Any:
    return (0, dash) if dash else "-"


def _plain(text: str) -> str:
    """Return text escaped so that matplotlib does not interpret it as a formula."""
    return text.replace("$", r"\$")
