"""Pictures of an activation and its derivative: for a terminal, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg import charts
from nnreg.charts import JUMP, Curve, Frame, number, ticks
from nnreg.interfaces import Activation, Array

if TYPE_CHECKING:
    from rich.text import Text

REACH = 5.0
"""The curves are drawn from -REACH to REACH."""

TALLEST = 6.0
"""What lies beyond this height is cut off."""


@dataclass(frozen=True)
class Curves:
    """An activation's values and slopes over x, and the part of the plane to show."""

    x: Array
    y: Array
    slope: Array
    elementwise: bool
    frame: Frame

    @property
    def labels(self) -> tuple[str, str]:
        """What is drawn: of an activation over several values, the first output of two."""
        return ("y", "dy/dx") if self.elementwise else ("y₁(x, 0)", "dy₁/dx")

    @property
    def lines(self) -> list[Curve]:
        """The two curves, each with its label."""
        pairs = zip(self.labels, (self.y, self.slope), strict=True)
        return [Curve(label, self.x, values) for label, values in pairs]


def sample(activation: Activation, count: int) -> Curves:
    """Evaluate an activation at `count` places. Raises ValueError if no value is finite."""
    x = np.linspace(-REACH, REACH, count)
    rows = np.stack([x, np.zeros(count)], axis=1)
    first = np.zeros_like(rows)
    first[:, 0] = 1
    with np.errstate(all="ignore"):
        y, backward = activation.forward(rows)
        slope = backward(first)[:, 0]
        beside_one, _ = activation.forward(np.stack([x, np.ones(count)], axis=1))
    elementwise = np.array_equal(y[:, 0], beside_one[:, 0], equal_nan=True)
    frame = charts.around([Curve("y", x, y[:, 0]), Curve("dy/dx", x, slope)], TALLEST)
    return Curves(x, y[:, 0], slope, elementwise, frame)


def svg(activation: Activation, title: str, subtitle: str) -> str:
    """Return a picture as a file that needs no other, readable on light and dark pages."""
    curves = sample(activation, 601)
    return charts.svg(title, subtitle, curves.lines, frame=curves.frame)


# For a terminal

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot, four rows of two, in a braille character."""

MARGIN = 6
"""Columns at the left, for the numbers."""

STYLES = {"y": "bold cyan", "slope": "magenta", "axis": "dim"}


def draw(activation: Activation, width: int, height: int) -> Text:
    """Return a picture of so many columns and lines, in braille dots.

    The derivative is dotted, so that the two are told apart without colours.
    """
    from rich.text import Text  # only for a terminal

    columns = width - MARGIN
    curves = sample(activation, 2 * columns)
    line, dotted = np.zeros((2, height, columns), np.intp)
    for column, rows in enumerate(_strokes(curves.y, curves.frame, 4 * height)):
        for row in rows:
            line[row // 4, column // 2] |= DOTS[row % 4][column % 2]
    for column, rows in enumerate(_strokes(curves.slope, curves.frame, 4 * height)):
        for row in rows:
            if (row + column) % 2 == 0:
                dotted[row // 4, column // 2] |= DOTS[row % 4][column % 2]
    frame = curves.frame
    numbers = {_line_of(y, frame, height): number(y) for y in ticks(frame.low, frame.high)}
    zero = _line_of(0, frame, height)
    label, slope_label = curves.labels
    text = Text(no_wrap=True)
    text.append(f"{'':{MARGIN}}━━ {label}", STYLES["y"])
    text.append(f"   ┅┅ {slope_label}\n", STYLES["slope"])
    for row in range(height):
        text.append(f"{numbers.get(row, ''):>{MARGIN - 1}} ", STYLES["axis"])
        for column in range(columns):
            bits = int(line[row, column] | dotted[row, column])
            if bits:
                style = "y" if line[row, column] else "slope"
                text.append(chr(0x2800 + bits), STYLES[style])
            else:
                text.append(_axis(row == zero, column == columns // 2), STYLES["axis"])
        text.append("\n")
    half = columns // 2
    ends = f"{number(-REACH):<{half}}{0:<{columns - half - 1}}{number(REACH)}"
    text.append(f"{'':{MARGIN}}{ends}", STYLES["axis"])
    return text


def _line_of(y: float, frame: Frame, height: int) -> int:
    return round(float(frame.below(np.array(y))) * (4 * height - 1)) // 4


def _axis(horizontal: bool, vertical: bool) -> str:
    if horizontal:
        return "┼" if vertical else "─"
    return "│" if vertical else " "


def _strokes(values: Array, frame: Frame, rows: int) -> Iterator[range]:
    """Yield the rows of dots to set in each column: the value's, and those from the one before."""
    before = math.nan
    for share in frame.below(values):
        at = share * (rows - 1)
        start = before if abs(at - before) <= JUMP * rows else at
        before = at
        if math.isfinite(at):
            top, bottom = sorted((round(start), round(at)))
            yield range(max(top, 0), min(bottom, rows - 1) + 1)
        else:
            yield range(0)
