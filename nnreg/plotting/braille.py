"""Charts in a terminal, in braille characters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import JUMP, Axis, Band, Chart, Curve, number
from nnreg.plotting.palette import TERMINAL

if TYPE_CHECKING:
    from rich.text import Text

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot in a braille character, which has four rows of two."""

MARGIN = 6
"""Columns to the left of the plot, for the numbers."""


def draw(chart: Chart, width: int, height: int) -> Text:
    """Return a chart with `width` columns and `height` lines, plus a legend and an axis line.

    Dashed curves are dotted, to be distinguishable without colours; solid ones are drawn on top,
    the first one last.
    """
    from rich.text import Text  # imported only when drawing in a terminal

    columns = width - MARGIN
    chart = replace(chart, across=_without_margin(chart))
    x = np.linspace(chart.across.low, chart.across.high, 2 * columns)
    cells = np.zeros((height, columns), np.intp)
    owners = np.full((height, columns), -1)
    backwards = chart.curves[::-1]
    curves = [one for dashed in (True, False) for one in backwards if bool(one.dash) == dashed]
    shades = [(band, index) for index, curve in enumerate(curves) for band in chart.bands
              if band.colour == curve.colour]  # fmt: skip
    for band, index in shades:
        for column, rows in enumerate(_between(band, x, chart.up, 4 * height)):
            for row in rows:
                if row % 4 == 2 * (column % 2) and column % 2 == index % 2:
                    cells[row // 4, column // 2] |= DOTS[row % 4][column % 2]
                    owners[row // 4, column // 2] = index
    for index, curve in enumerate(curves):
        for column, rows in enumerate(_strokes(curve, x, chart, 4 * height)):
            for row in rows:
                if not curve.dash or (row + column) % 2 == 0:
                    cells[row // 4, column // 2] |= DOTS[row % 4][column % 2]
                    owners[row // 4, column // 2] = index
    numbers = {_line_of(value, chart.up, height): number(value) for value in chart.up.ticks()}
    zero = None if chart.up.logarithmic else _line_of(0, chart.up, height)
    upright = round(float(chart.across.fraction(0)) * columns)
    text = Text(no_wrap=True)
    room = 0
    for curve in curves[::-1]:
        if not curve.label:
            continue
        entry = f"{'┅┅' if curve.dash else '━━'} {curve.label}   "
        if len(entry) > room:
            text.append(("\n" if text else "") + " " * MARGIN)
            room = columns
        text.append(entry, _style(curve))
        room -= len(entry)
    text.append("\n")
    for row in range(height):
        text.append(f"{numbers.get(row, ''):>{MARGIN - 1}} ", "dim")
        for column in range(columns):
            if owners[row, column] >= 0:
                style = _style(curves[owners[row, column]])
                text.append(chr(0x2800 + int(cells[row, column])), style)
            else:
                text.append(_axis(row == zero, column == upright), "dim")
        text.append("\n")
    half, right = columns // 2, number(round(chart.across.high))
    middle = "0" if chart.across.low < 0 else chart.across.label
    left = number(round(chart.across.low))
    text.append(f"{'':{MARGIN}}{left:<{half}}{middle:<{columns - half - len(right)}}{right}", "dim")
    return text


def _without_margin(chart: Chart) -> Axis:
    """Return the horizontal axis; that of whole numbers, such as epochs, from first to last."""
    ends = [end for curve in chart.curves if len(curve.x) for end in (curve.x[0], curve.x[-1])]
    if not chart.across.integer or not ends or min(ends) == max(ends):
        return chart.across
    return replace(chart.across, low=float(min(ends)), high=float(max(ends)))


def _style(curve: Curve) -> str:
    return TERMINAL.get(curve.colour, "")


def _line_of(value: float, axis: Axis, height: int) -> int:
    return round((1 - float(axis.fraction(value))) * (4 * height - 1)) // 4


def _axis(horizontal: bool, vertical: bool) -> str:
    if horizontal:
        return "┼" if vertical else "─"
    return "│" if vertical else " "


def _between(band: Band, x: Array, axis: Axis, rows: int) -> Iterator[range]:
    """Yield the rows of dots of a band in each column."""
    ends = [axis.fraction(np.interp(x, band.x, one, math.nan, math.nan))
            for one in (band.high, band.low)]  # fmt: skip
    for high, low in zip(*ends, strict=True):
        if math.isfinite(high + low):
            top, bottom = (round((1 - float(one)) * (rows - 1)) for one in (high, low))
            yield range(max(top, 0), min(bottom, rows - 1) + 1)
        else:
            yield range(0)


def _strokes(curve: Curve, x: Array, chart: Chart, rows: int) -> Iterator[range]:
    """Yield the rows of dots to set in each column: from the previous value to this one."""
    previous, max_step = math.nan, JUMP * rows if curve.breaks else math.inf
    values = _resampled(curve, x)
    if chart.across.integer and len(curve.x) > 1:  # a run may end before the others
        values = np.where(x <= curve.x[-1], values, math.nan)
    for fraction in chart.up.fraction(values):
        row = (1 - fraction) * (rows - 1)
        start = previous if abs(row - previous) <= max_step else row
        previous = row
        if math.isfinite(row):
            top, bottom = sorted((round(start), round(row)))
            yield range(max(top, 0), min(bottom, rows - 1) + 1)
        else:
            yield range(0)


def _resampled(curve: Curve, x: Array) -> Array:
    """Return the value of a curve at each x: the nearest if it breaks, otherwise interpolated."""
    if curve.breaks:
        nearest = np.searchsorted((curve.x[1:] + curve.x[:-1]) / 2, x)
        return curve.y[nearest]
    known = np.isfinite(curve.y)
    if not known.any():
        return np.full(len(x), np.nan)
    return np.interp(x, curve.x[known], curve.y[known])
