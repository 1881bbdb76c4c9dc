"""Curves in braille characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg.plotting.svg import JUMP, Curve, Frame, number, powers, ticks

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Picture:
    """One curve or two, the part of the plane to show, and what x is."""

    curves: Sequence[Curve]
    frame: Frame
    along: str = "x"


DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot, four rows of two, in a braille character."""

MARGIN = 6
"""Columns at the left, for the numbers."""

STYLES = {"first": "bold cyan", "second": "magenta", "axis": "dim"}


def draw_picture(drawn: Picture, width: int, height: int) -> Text:
    """Return a picture whose curves have two values for each of its `width - MARGIN` columns.

    A second curve is dotted, so that the two are told apart without colours.
    """
    from rich.text import Text  # only for a terminal

    columns, frame = width - MARGIN, drawn.frame
    bits = np.zeros((2, height, columns), np.intp)
    for dotted, curve in enumerate(drawn.curves):
        for column, rows in enumerate(_strokes(curve, frame, 4 * height)):
            for row in rows:
                if not dotted or (row + column) % 2 == 0:
                    bits[dotted, row // 4, column // 2] |= DOTS[row % 4][column % 2]
    marked = (powers if frame.logarithmic else ticks)(frame.low, frame.high)
    numbers = {_line_of(y, frame, height): number(y) for y in marked}
    zero = None if frame.logarithmic else _line_of(0, frame, height)
    upright = round(-frame.left / (frame.right - frame.left) * columns)
    text = Text(no_wrap=True)
    marks = (f"{'':{MARGIN}}━━", "   ┅┅")
    for curve, mark, style in zip(drawn.curves, marks, STYLES, strict=False):
        text.append(f"{mark} {curve.label}", STYLES[style])
    text.append("\n")
    for row in range(height):
        text.append(f"{numbers.get(row, ''):>{MARGIN - 1}} ", STYLES["axis"])
        for column in range(columns):
            both = int(bits[0, row, column] | bits[1, row, column])
            if both:
                style = "first" if bits[0, row, column] else "second"
                text.append(chr(0x2800 + both), STYLES[style])
            else:
                text.append(_axis(row == zero, column == upright), STYLES["axis"])
        text.append("\n")
    half, right = columns // 2, number(round(frame.right))
    middle = "0" if frame.left < 0 else drawn.along
    ends = f"{number(frame.left):<{half}}{middle:<{columns - half - len(right)}}{right}"
    text.append(f"{'':{MARGIN}}{ends}", STYLES["axis"])
    return text


def _line_of(y: float, frame: Frame, height: int) -> int:
    return round(float(frame.below(np.array(y))) * (4 * height - 1)) // 4


def _axis(horizontal: bool, vertical: bool) -> str:
    if horizontal:
        return "┼" if vertical else "─"
    return "│" if vertical else " "


def _strokes(curve: Curve, frame: Frame, rows: int) -> Iterator[range]:
    """Yield the rows of dots to set in each column: the value's, and those from the one before."""
    before, farthest = math.nan, math.inf if curve.whole else JUMP * rows
    for share in frame.below(curve.y):
        at = share * (rows - 1)
        start = before if abs(at - before) <= farthest else at
        before = at
        if math.isfinite(at):
            top, bottom = sorted((round(start), round(at)))
            yield range(max(top, 0), min(bottom, rows - 1) + 1)
        else:
            yield range(0)
