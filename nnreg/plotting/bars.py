"""Horizontal bars with error bars, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nnreg.plotting.chart import fit, number, short_name
from nnreg.plotting.palette import BLUE, GRID, INK, MUTED
from nnreg.plotting.svg import LINE, Drawing, text, text_width

WIDTH, BAR, GAP = 480, 14, 8
"""The width of the drawing, and the height of a bar and the space between two, in pixels."""


def bars(
    names: Sequence[str],
    values: Sequence[float],
    errors: Sequence[float | None],
    description: str,
    label: str,
) -> Drawing:
    """Return a bar for each name, from 0 to its value, with a line of its error to both sides.

    A value that is not finite has no bar. `label` is that of the horizontal axis.
    """
    shown = [short_name(name) for name in names]
    left = 14 + max(map(text_width, shown))
    ends = [
        value + side * (error or 0)
        for value, error in zip(values, errors, strict=True)
        for side in (-1, 1)
    ]
    axis = fit(label, [np.array([0.0, *ends])])
    bottom, right = 8 + len(names) * (BAR + GAP), WIDTH - 14

    def x(value: float) -> float:
        return left + float(axis.fraction(value)) * (right - left)

    elements = []
    for value in axis.ticks():
        colour = MUTED if value == 0 else GRID
        elements.append(f'<path d="M{x(value):.1f} 8v{bottom - 8}" stroke="{colour}" fill="none"/>')
        elements.append(text(x(value), bottom + 17, number(value), anchor="middle"))
    for index, (name, value, error) in enumerate(zip(shown, values, errors, strict=True)):
        top = 8 + GAP / 2 + index * (BAR + GAP)
        elements.append(text(left - 8, top + BAR - 3, name, fill=INK, anchor="end"))
        if math.isfinite(value):
            elements += _bar(x(0), x(value), top)
        if error and math.isfinite(value + error):
            elements.append(_error(x(value - error), x(value + error), top + BAR / 2))
    elements.append(text((left + right) / 2, bottom + 35, label, anchor="middle"))
    return Drawing(WIDTH, bottom + 35 + LINE / 2, description, elements)


def _bar(start: float, end: float, top: float) -> Iterator[str]:
    low, width = min(start, end), abs(end - start)
    yield f'<rect x="{low:.1f}" y="{top:g}" width="{width:.1f}" height="{BAR}" fill="{BLUE}"/>'


def _error(low: float, high: float, middle: float) -> str:
    ends = "".join(f"M{end:.1f} {middle - 3:g}v6" for end in (low, high))
    path = f"M{low:.1f} {middle:g}H{high:.1f}{ends}"
    return f'<path d="{path}" stroke="{INK}" stroke-width="1.5" fill="none"/>'
