"""Curves over an axis as SVG: a file that needs no other, readable on light and dark pages."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 84, 64, 44

JUMP = 0.15
"""A step from sample to sample by this share of the height is a jump, across which no line goes."""

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 17px; font-weight: 600; fill: #1f2328 }
  .page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #8c959f }
  .first, .second { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .first { stroke: #0969da } .second { stroke: #bc4c00; stroke-dasharray: 7 4 }
  .at-first { fill: #0969da; font-weight: 600 } .at-second { fill: #bc4c00; font-weight: 600 }
  .mark { stroke: #8c959f; stroke-dasharray: 2 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .page { fill: #0d1117 } .grid { stroke: #262c36 } .axis { stroke: #6e7681 }
    .first { stroke: #58a6ff } .second { stroke: #f0883e }
    .at-first { fill: #58a6ff } .at-second { fill: #f0883e }
    .mark { stroke: #6e7681 }
  }
"""


@dataclass(frozen=True)
class Curve:
    """Values over x, and the name that stands at the right end. What is not finite is left out.

    `whole` is drawn as one line; else a line ends before a jump and begins anew after it.
    """

    label: str
    x: Array
    y: Array
    whole: bool = False


@dataclass(frozen=True)
class Frame:
    """What a picture shows: from `left` to `right` and from `low` to `high`.

    Heights are those of the values, or of their decimal logarithms if `logarithmic`; `low` and
    `high` are logarithms then.
    """

    left: float
    right: float
    low: float
    high: float
    logarithmic: bool = False

    def across(self, x: float) -> float:
        """Return where a value of x is, in pixels from the left."""
        return LEFT + (x - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def below(self, values: Array) -> Array:
        """Return how far below the top each value is, as a share of the height."""
        heights = np.log10(values) if self.logarithmic else values
        share: Array = (self.high - heights) / (self.high - self.low)
        return share

    def down(self, y: float) -> float:
        """Return where a value of y is, in pixels from the top."""
        return TOP + float(self.below(np.array(y))) * (HEIGHT - TOP - BOTTOM)


def around(curves: Sequence[Curve], tallest: float = math.inf) -> Frame:
    """Return a frame with all finite values and 0, up to a height of ±`tallest`.

    Raises ValueError if no value is finite.
    """
    finite = _finite(curves)
    low, high = max(finite.min(initial=0), -tallest), min(finite.max(initial=0), tallest)
    return _frame(curves, low, high, logarithmic=False)


def around_powers(curves: Sequence[Curve]) -> Frame:
    """Return a frame with all finite values, which are above 0, on a logarithmic scale.

    Raises ValueError if no value is finite.
    """
    logarithms = np.log10(_finite(curves))
    return _frame(curves, logarithms.min(), logarithms.max(), logarithmic=True)


def _finite(curves: Sequence[Curve]) -> Array:
    y = np.concatenate([curve.y for curve in curves])
    finite: Array = y[np.isfinite(y)]
    if not len(finite):
        x = np.concatenate([curve.x for curve in curves])
        raise ValueError(f"no value between {x.min():g} and {x.max():g} is finite")
    return finite


def _frame(curves: Sequence[Curve], low: float, high: float, *, logarithmic: bool) -> Frame:
    x = np.concatenate([curve.x for curve in curves])
    margin = 0.04 * (high - low) or 1.0
    return Frame(float(x.min()), float(x.max()), float(low - margin), float(high + margin),
                 logarithmic)  # fmt: skip


def svg(
    title: str,
    subtitle: str,
    curves: Sequence[Curve],
    *,
    frame: Frame | None = None,
    along: str = "x",
    mark: tuple[float, str] | None = None,
) -> str:
    """Return a picture of one or two curves.

    `along` names what x is. `mark` is a value of x at which a line goes up, and what stands at it.
    """
    frame = frame or around(curves)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>{html.escape(f'{title}: {subtitle}')}</title>",
        f"<style>{STYLE}</style>",
        f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{inner_width}" '
        f'height="{inner_height}"/></clipPath>',
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="28">{html.escape(title)}</text>',
        f'<text x="{LEFT}" y="48">{html.escape(subtitle)}</text>',
    ]
    for x in ticks(frame.left, frame.right):
        kind = "axis" if x == 0 else "grid"
        parts.append(
            f'<path class="{kind}" d="M{frame.across(x):.1f} {TOP}v{inner_height}"/>'
            f'<text x="{frame.across(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
            f"{number(x)}</text>"
        )
    for y in powers(frame.low, frame.high) if frame.logarithmic else ticks(frame.low, frame.high):
        kind = "axis" if y == 0 else "grid"
        parts.append(
            f'<path class="{kind}" d="M{LEFT} {frame.down(y):.1f}h{inner_width}"/>'
            f'<text x="{LEFT - 8}" y="{frame.down(y) + 4:.1f}" text-anchor="end">{number(y)}</text>'
        )
    parts.append(
        f'<text x="{LEFT + inner_width + 20}" y="{HEIGHT - BOTTOM + 20}" '
        f'font-style="italic">{html.escape(along)}</text>'
    )
    if mark is not None:
        at, words = frame.across(mark[0]), html.escape(mark[1])
        parts.append(
            f'<path class="mark" d="M{at:.1f} {TOP}v{inner_height}"/>'
            f'<text x="{at - 6:.1f}" y="{TOP + 14}" text-anchor="end">{words}</text>'
        )
    heights = _label_heights([frame.down(_last(curve.y)) for curve in curves])
    jump = JUMP * (frame.high - frame.low)
    drawn = zip(("first", "second"), curves, heights, strict=False)
    for kind, curve, height in reversed(list(drawn)):  # the first lies above the second
        path = "".join(
            "M"
            + "L".join(
                f"{frame.across(curve.x[i]):.1f} {frame.down(curve.y[i]):.1f}" for i in piece
            )
            for piece in _pieces(curve.y, math.inf if curve.whole else jump)
        )
        parts.append(f'<path class="{kind}" clip-path="url(#inside)" d="{path}"/>')
        parts.append(
            f'<text class="at-{kind}" x="{LEFT + inner_width + 8}" '
            f'y="{height + 4:.1f}">{html.escape(curve.label)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, about six of them."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def powers(low: float, high: float) -> list[float]:
    """Return round numbers between two powers of ten, at most about eight of them."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    digits = (1, 2, 5) if len(decades) <= 3 else (1,)
    every = math.ceil(len(decades) / 8)
    marks = [digit * 10.0**decade for decade in decades[::every] for digit in digits]
    return [mark for mark in marks if low <= math.log10(mark) <= high]


def number(value: float) -> str:
    """Write a number at an axis."""
    return f"{value:.6g}".replace("-", "−")


def _pieces(values: Array, jump: float) -> Iterator[list[int]]:
    """Yield the indices of each stretch without gaps and jumps."""
    piece: list[int] = []
    for index, value in enumerate(values):
        if piece and not abs(value - values[index - 1]) <= jump:
            yield piece
            piece = []
        if math.isfinite(value):
            piece.append(index)
    if piece:
        yield piece


def _last(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else 0.0


def _label_heights(ends: list[float]) -> list[float]:
    """Return where labels go: at the curves' ends, inside the picture and apart."""
    heights = [min(max(end, TOP + 6.0), HEIGHT - BOTTOM - 6.0) for end in ends]
    if len(heights) == 2 and (gap := 18 - abs(heights[0] - heights[1])) > 0:
        lower = heights.index(max(heights)) if heights[0] != heights[1] else 1
        heights[lower] += gap / 2
        heights[1 - lower] -= gap / 2
    return heights
