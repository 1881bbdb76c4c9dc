"""Pictures of an activation and its derivative, or of a schedule: for a terminal, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg import charts
from nnreg.charts import JUMP, Curve, Frame, number, powers, ticks
from nnreg.interfaces import Activation, Moment, Schedule

if TYPE_CHECKING:
    from rich.text import Text

REACH = 5.0
"""An activation is drawn from -REACH to REACH."""

TALLEST = 6.0
"""What lies beyond this height is cut off."""


EPOCHS, STEPS = 60, 8
"""The training over which a schedule is drawn: its epochs, and the steps of each."""

IMPROVING = 20
"""The epochs after which the losses of that training fall no more."""


@dataclass(frozen=True)
class Picture:
    """One curve or two, the part of the plane to show, and what x is."""

    curves: Sequence[Curve]
    frame: Frame
    along: str = "x"


def picture(component: Activation | Schedule, count: int) -> Picture:
    """Evaluate a component at `count` places. Raises ValueError if no value is finite."""
    drawn = _activation if isinstance(component, Activation) else _schedule
    return drawn(component, count)  # type: ignore[arg-type]  # each takes its kind


def _activation(activation: Activation, count: int) -> Picture:
    """Return an activation and its derivative; of one over several values the first of two."""
    x = np.linspace(-REACH, REACH, count)
    rows = np.stack([x, np.zeros(count)], axis=1)
    first = np.zeros_like(rows)
    first[:, 0] = 1
    with np.errstate(all="ignore"):
        y, backward = activation.forward(rows)
        slope = backward(first)[:, 0]
        beside_one, _ = activation.forward(np.stack([x, np.ones(count)], axis=1))
    elementwise = np.array_equal(y[:, 0], beside_one[:, 0], equal_nan=True)
    labels = ("y", "dy/dx") if elementwise else ("y₁(x, 0)", "dy₁/dx")
    curves = [Curve(labels[0], x, y[:, 0]), Curve(labels[1], x, slope)]
    return Picture(curves, charts.around(curves, TALLEST))


def _schedule(schedule: Schedule, count: int) -> Picture:
    """Return the factors of a training that gets better at first, and then no more."""
    total = EPOCHS * STEPS
    losses = [1 / min(epoch, IMPROVING) for epoch in range(1, EPOCHS + 1)]
    watched = schedule.watches() or "loss"
    history = [{watched: loss} for loss in losses]
    steps = np.linspace(0, total - 1, min(count, total)).astype(int)
    factors = [
        schedule.factor(Moment(step, total, STEPS, history[: step // STEPS]))
        for step in steps.tolist()
    ]
    curves = [Curve("factor", steps / STEPS, np.array(factors))]
    return Picture(curves, charts.around(curves), "epoch")


def svg(component: Activation | Schedule, title: str, subtitle: str) -> str:
    """Return a picture as a file that needs no other, readable on light and dark pages."""
    drawn = picture(component, 601)
    return charts.svg(title, subtitle, drawn.curves, frame=drawn.frame, along=drawn.along)


# For a terminal

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot, four rows of two, in a braille character."""

MARGIN = 6
"""Columns at the left, for the numbers."""

STYLES = {"first": "bold cyan", "second": "magenta", "axis": "dim"}


def draw(component: Activation | Schedule, width: int, height: int) -> Text:
    """Return a picture of so many columns and lines, in braille dots."""
    return draw_picture(picture(component, 2 * (width - MARGIN)), width, height)


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
