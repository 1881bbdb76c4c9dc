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


def figure(charts: Sequence[Chart]) -> Figure:
    """Return a figure with a panel for each chart."""
    rows, columns = (len(charts) + 1) // 2, min(len(charts), 2)
    drawn = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
    drawn.patch.set_facecolor(PAPER)
    panels = list(drawn.subplots(rows, columns, squeeze=False).flat)
    for axes, chart in zip(panels, charts, strict=False):
        _draw(axes, chart)
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
    for curve in chart.curves:
        axes.plot(
            *thin(curve.x, curve.y),
            color=curve.colour,
            linestyle=_linestyle(curve.dash),
            linewidth=0.8 * curve.width,
            marker="o" if len(curve.x) == 1 else "",
            label=_plain(curve.label) or "_",
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
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=MUTED, handlelength=1.8)


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
