"""Charts and matrices as SVG: as a self-contained file, or as part of a page.

In dark mode, both change the colours of `palette` to their dark variants.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import (
    DOTTED,
    JUMP,
    Axis,
    Band,
    Chart,
    Curve,
    Dash,
    number,
    short_name,
    thin,
)
from nnreg.plotting.palette import BLUE, GRID, INK, MUTED, PAPER, dark_rules

FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif"
SIZE, LINE = 12, 18
"""Font size and line height in pixels."""

MAX_COUNTED = 20
"""The most classes of a matrix whose cells show the counts."""

MAX_LABELS = 40
"""The most names along a matrix; with more classes, evenly spaced ones are named."""

SHADES = 40
"""The number of shades of a matrix's cells."""


@dataclass(frozen=True)
class Drawing:
    """SVG elements, their size in pixels, and a description for screen readers."""

    width: float
    height: float
    description: str
    elements: Sequence[str]
    font: str = FONT
    size: float = SIZE

    def inline(self) -> str:
        """Return it as part of a page that includes `dark_rules`, scaled to the available width."""
        return self._svg("", self.elements)

    def file(self) -> str:
        """Return it as a self-contained file with light and dark colours."""
        size = f'xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}"'
        head = (
            f"<title>{escape(self.description)}</title>",
            f"<style>@media screen and (prefers-color-scheme: dark) {{{dark_rules()}}}</style>",
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        )
        return self._svg(size, [*head, *self.elements])

    def _svg(self, attributes: str, elements: Sequence[str]) -> str:
        return "\n".join(
            [
                f'<svg {attributes} viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
                f'aria-label="{escape(self.description)}" font-family="{self.font}" '
                f'font-size="{self.size:g}">',
                *elements,
                "</svg>\n",
            ]
        )


def escape(text: str) -> str:
    """Return text escaped for SVG, with non-printable characters replaced."""
    return html.escape("".join(c if c.isprintable() else "\ufffd" for c in text))


def text(
    x: float, y: float, content: str, *, fill: str = MUTED, anchor: str = "", more: str = ""
) -> str:
    """Return a text element that starts at x, or has its `middle` or `end` there."""
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    more = f" {more}" if more else ""
    return f'<text x="{x:.5g}" y="{y:.5g}" fill="{fill}"{anchored}{more}>{escape(content)}</text>'


def text_width(content: str, size: float = SIZE) -> float:
    """Return an upper estimate of the width of a text in pixels."""
    wide = sum(c in "MWmw@%…" or unicodedata.east_asian_width(c) in "WF" for c in content)
    return size * (0.6 * len(content) + 0.4 * wide + 0.1 * sum(map(str.isupper, content)))


@dataclass(frozen=True)
class _Area:
    """The plot area and its axes, which map values to pixels."""

    left: float
    top: float
    width: float
    height: float
    across: Axis
    up: Axis

    def x(self, values: Array | float) -> Array:
        return self.left + self.across.fraction(values) * self.width

    def y(self, values: Array | float) -> Array:
        return self.top + (1 - self.up.fraction(values)) * self.height


def draw(
    chart: Chart, description: str, *, title: str = "", width: int = 400, height: int = 250
) -> Drawing:
    """Return a chart with its axes, and a legend if it has more than one entry.

    `height` excludes the title and the legend.
    """
    labels = [number(value) for value in chart.up.ticks()]
    left = 14 + max((text_width(label) for label in labels), default=0)
    right, top = width - 14, 20 + (28 if title else 0)
    legend, rows = _legend(chart, left, right, top + LINE)
    down = top + 10 + rows * LINE
    area = _Area(left, down, right - left, height - 64, chart.across, chart.up)
    bold = f'font-size="{SIZE + 4}" font-weight="600"'
    elements = [
        *([text(left, 26, title, fill=INK, more=bold)] if title else ()),
        text(left, top, chart.up.label),
        *legend,
        *_grid(area),
        *(element for band in chart.bands for element in _band(band, area)),
        *(element for curve in reversed(chart.curves) for element in _curve(curve, area)),
    ]
    if chart.points is not None:
        x, y = area.x(chart.points.x), area.y(chart.points.y)
        circles = (
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3"/>'
            for a, b in zip(x, y, strict=True)
            if math.isfinite(a + b)
        )
        elements.append(
            f'<g fill="{chart.points.colour}" fill-opacity=".55">{"".join(circles)}</g>'
        )
    if chart.mark is not None:
        at = float(area.x(chart.mark[0]))
        elements.append(_line(f"M{at:.1f} {area.top:g}v{area.height:g}", MUTED, DOTTED, 1))
    return Drawing(width, down + height - 20, description, elements)


def _legend(chart: Chart, left: float, right: float, y: float) -> tuple[list[str], int]:
    """Return the elements of the legend and its number of rows."""
    entries = [(c.label, c.colour, c.dash) for c in chart.curves if c.label]
    if chart.mark is not None:
        entries.append((chart.mark[1], MUTED, DOTTED))
    if len(entries) < 2:
        return [], 0
    elements, x, rows = [], left, 1
    for label, colour, dash in entries:
        wide = 26 + text_width(label)
        if x + wide > right and x > left:
            x, rows = left, rows + 1
        base = y + (rows - 1) * LINE
        elements.append(_line(f"M{x:.1f} {base - 4:g}h20", colour, dash))
        elements.append(text(x + 26, base, label))
        x += wide + 12
    return elements, rows


def _grid(area: _Area) -> Iterator[str]:
    """Yield the grid lines and tick labels of both axes, and the label of the horizontal axis."""
    bottom = area.top + area.height
    for value in area.up.ticks():
        y = float(area.y(value))
        yield _line(f"M{area.left:.1f} {y:.1f}h{area.width:.1f}", _grid_colour(value), width=1)
        yield text(area.left - 6, y + 4, number(value), anchor="end")
    for value in area.across.ticks():
        x = float(area.x(value))
        yield _line(f"M{x:.1f} {area.top:g}v{area.height:g}", _grid_colour(value), width=1)
        yield text(x, bottom + 17, number(value), anchor="middle")
    yield text(area.left + area.width / 2, bottom + 34, area.across.label, anchor="middle")


def _grid_colour(value: float) -> str:
    return MUTED if value == 0 else GRID


def _line(path: str, colour: str, dash: Dash = (), width: float = 2) -> str:
    dashes = f' stroke-dasharray="{" ".join(f"{length:g}" for length in dash)}"' if dash else ""
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none"{dashes}/>'


def _curve(curve: Curve, area: _Area) -> Iterator[str]:
    """Yield a curve: its segments as a path, isolated values as dots, and the value to mark."""
    values, heights = thin(curve.x, curve.y)
    x, y = area.x(values), area.y(heights)
    segments = list(_segments(y, area, JUMP * area.height if curve.breaks else math.inf))
    path = "".join(
        "M" + "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in segment)
        for segment in segments
        if len(segment) > 1
    )
    if path:
        yield _line(path, curve.colour, curve.dash, curve.width)
    for segment in segments:
        if len(segment) == 1:
            (i,) = segment
            yield f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="3" fill="{curve.colour}"/>'
    if curve.dot is not None and curve.dot < len(curve.y) and math.isfinite(curve.y[curve.dot]):
        at, height = float(area.x(curve.x[curve.dot])), float(area.y(curve.y[curve.dot]))
        yield (
            f'<circle cx="{at:.1f}" cy="{height:.1f}" r="4.5" fill="{curve.colour}" '
            f'stroke="{PAPER}" stroke-width="1.5"/>'
        )


def _band(band: Band, area: _Area) -> Iterator[str]:
    """Yield the area of a band, within the axes."""
    finite = np.isfinite(band.low) & np.isfinite(band.high)
    x = area.x(band.x[finite])
    limits = area.top, area.top + area.height
    low, high = (np.clip(area.y(one[finite]), *limits) for one in (band.low, band.high))
    there = [f"{a:.1f} {b:.1f}" for a, b in zip(x, high, strict=True)]
    back = [f"{a:.1f} {b:.1f}" for a, b in zip(x[::-1], low[::-1], strict=True)]
    if there:
        path = "L".join([*there, *back])
        yield f'<path d="M{path}Z" fill="{band.colour}" fill-opacity=".16"/>'


def _segments(y: Array, area: _Area, jump: float) -> Iterator[list[int]]:
    """Yield the indices of each segment of a curve, which has no gaps or jumps."""
    segment: list[int] = []
    for index, height in enumerate(y.tolist()):
        inside = area.top - 0.1 <= height <= area.top + area.height + 0.1
        if segment and not (inside and abs(height - y[index - 1]) <= jump):
            yield segment
            segment = []
        if inside:
            segment.append(index)
    if segment:
        yield segment


def matrix(
    counts: Array, names: Sequence[str], description: str, *, across: str, down: str
) -> Drawing:
    """Return a square matrix of counts; the shade of a cell is its fraction of the row."""
    classes = len(names)
    every = math.ceil(classes / MAX_LABELS)
    shown = [short_name(name) for name in names[::every]]
    size = min(SIZE, 432 / len(shown))
    longest = max(text_width(name, size) for name in shown)
    if classes <= MAX_COUNTED:  # wide enough for the counts and, with few classes, for the names
        cell = min(max(longest + 8, 42), max(360 / classes, 24))
    else:
        cell = 480 / classes
    spacing = cell * every
    side, left, top = cell * classes, 30 + longest, 8.0
    bottom, font = top + side, f'font-size="{size:.3g}"'
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    elements = [
        f'<g transform="translate({left:.5g} {top:g}) scale({cell:.5g})" stroke="{BLUE}" '
        f'shape-rendering="crispEdges">{"".join(_cells(fractions))}</g>',
        f'<rect x="{left:.5g}" y="{top:g}" width="{side:.5g}" height="{side:.5g}" fill="none" '
        f'stroke="{GRID}"/>',
    ]
    if classes <= MAX_COUNTED:
        for row, column in np.argwhere(counts > 0):
            fill = PAPER if fractions[row, column] > 0.75 else INK
            x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell + 0.36 * size
            count = f"{counts[row, column]:,}"
            small = f'font-size="{min(size, 1.5 * cell / len(count)):.3g}"'
            elements.append(text(x, y, count, fill=fill, anchor="middle", more=small))
    upright = longest > spacing - 4
    for index, name in enumerate(shown):
        middle = cell / 2 + index * spacing
        elements.append(text(left - 6, top + middle + 0.36 * size, name, anchor="end", more=font))
        x = left + middle + (0.36 * size if upright else 0)
        turn = f' transform="rotate(-90 {x:.5g} {bottom + 8:.5g})"' if upright else ""
        y, anchor = (bottom + 8, "end") if upright else (bottom + 16, "middle")
        elements.append(text(x, y, name, anchor=anchor, more=f"{font}{turn}"))
    bottom += (longest + 10 if upright else 18) + LINE
    elements.append(text(left + side / 2, bottom, across, anchor="middle"))
    turn = f'transform="rotate(-90 14 {top + side / 2:.5g})"'
    elements.append(text(14, top + side / 2, down, anchor="middle", more=turn))
    # up to half of the last name extends past the matrix
    width = left + side + (8 if upright else max(8, (text_width(shown[-1], size) - cell) / 2))
    return Drawing(round(width), round(bottom + 8), description, elements)


def _cells(fractions: Array) -> Iterator[str]:
    """Yield a path for each shade; a cell is a line of length 1 and width 1."""
    shades = np.round(fractions * SHADES).astype(int)
    for shade in sorted(set(shades[shades > 0].tolist())):
        lines = "".join(f"M{c} {r}.5h1" for r, c in np.argwhere(shades == shade))
        yield f'<path stroke-opacity="{shade / SHADES:g}" d="{lines}"/>'
