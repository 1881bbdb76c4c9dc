"""Pictures of an activation and its derivative: for a terminal, and as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnreg.interfaces import Activation, Array

if TYPE_CHECKING:
    from rich.text import Text

REACH = 5.0
"""The curves are drawn from -REACH to REACH."""

TALLEST = 6.0
"""What lies beyond this height is cut off."""

JUMP = 0.15
"""A step from sample to sample by this share of the height is a jump, across which no line goes."""


@dataclass(frozen=True)
class Curves:
    """An activation's values and slopes over x, and the heights from `low` to `high` to show."""

    x: Array
    y: Array
    slope: Array
    elementwise: bool
    low: float
    high: float

    @property
    def labels(self) -> tuple[str, str]:
        """What is drawn: of an activation over several values, the first output of two."""
        return ("y", "dy/dx") if self.elementwise else ("y₁(x, 0)", "dy₁/dx")

    def down(self, values: Array) -> Array:
        """Return how far below the top each value is, as a share of the height."""
        share: Array = (self.high - values) / (self.high - self.low)
        return share


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
    both = np.concatenate([y[:, 0], slope])
    finite = both[np.isfinite(both)]
    if not len(finite):
        raise ValueError(f"no value between {-REACH:g} and {REACH:g} is finite")
    low, high = max(finite.min(initial=0), -TALLEST), min(finite.max(initial=0), TALLEST)
    margin = 0.04 * (high - low) or 1.0
    elementwise = np.array_equal(y[:, 0], beside_one[:, 0], equal_nan=True)
    return Curves(x, y[:, 0], slope, elementwise, float(low - margin), float(high + margin))


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
    for column, rows in enumerate(_strokes(curves.y, curves, 4 * height)):
        for row in rows:
            line[row // 4, column // 2] |= DOTS[row % 4][column % 2]
    for column, rows in enumerate(_strokes(curves.slope, curves, 4 * height)):
        for row in rows:
            if (row + column) % 2 == 0:
                dotted[row // 4, column // 2] |= DOTS[row % 4][column % 2]
    ticks = {_line_of(y, curves, height): _number(y) for y in _ticks(curves.low, curves.high)}
    zero = _line_of(0, curves, height)
    label, slope_label = curves.labels
    text = Text(no_wrap=True)
    text.append(f"{'':{MARGIN}}━━ {label}", STYLES["y"])
    text.append(f"   ┅┅ {slope_label}\n", STYLES["slope"])
    for row in range(height):
        text.append(f"{ticks.get(row, ''):>{MARGIN - 1}} ", STYLES["axis"])
        for column in range(columns):
            bits = int(line[row, column] | dotted[row, column])
            if bits:
                style = "y" if line[row, column] else "slope"
                text.append(chr(0x2800 + bits), STYLES[style])
            else:
                text.append(_axis(row == zero, column == columns // 2), STYLES["axis"])
        text.append("\n")
    half = columns // 2
    ends = f"{_number(-REACH):<{half}}{0:<{columns - half - 1}}{_number(REACH)}"
    text.append(f"{'':{MARGIN}}{ends}", STYLES["axis"])
    return text


def _line_of(y: float, curves: Curves, height: int) -> int:
    return round(float(curves.down(np.array(y))) * (4 * height - 1)) // 4


def _axis(horizontal: bool, vertical: bool) -> str:
    if horizontal:
        return "┼" if vertical else "─"
    return "│" if vertical else " "


def _strokes(values: Array, curves: Curves, rows: int) -> Iterator[range]:
    """Yield the rows of dots to set in each column: the value's, and those from the one before."""
    before = math.nan
    for share in curves.down(values):
        at = share * (rows - 1)
        start = before if abs(at - before) <= JUMP * rows else at
        before = at
        if math.isfinite(at):
            top, bottom = sorted((round(start), round(at)))
            yield range(max(top, 0), min(bottom, rows - 1) + 1)
        else:
            yield range(0)


# As SVG

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 84, 64, 44

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 17px; font-weight: 600; fill: #1f2328 }
  .page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #8c959f }
  .y, .slope { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .y { stroke: #0969da } .slope { stroke: #bc4c00; stroke-dasharray: 7 4 }
  text.at-y { fill: #0969da; font-weight: 600 } text.at-slope { fill: #bc4c00; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .page { fill: #0d1117 } .grid { stroke: #262c36 } .axis { stroke: #6e7681 }
    .y { stroke: #58a6ff } .slope { stroke: #f0883e }
    text.at-y { fill: #58a6ff } text.at-slope { fill: #f0883e }
  }
"""


def svg(activation: Activation, title: str, subtitle: str) -> str:
    """Return a picture as a file that needs no other, readable on light and dark pages."""
    curves = sample(activation, 601)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(x: float) -> float:
        return LEFT + (x + REACH) / (2 * REACH) * inner_width

    def down(y: float) -> float:
        return TOP + float(curves.down(np.array(y))) * inner_height

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
    for x in _ticks(-REACH, REACH):
        kind = "axis" if x == 0 else "grid"
        parts.append(
            f'<path class="{kind}" d="M{across(x):.1f} {TOP}v{inner_height}"/>'
            f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
            f"{_number(x)}</text>"
        )
    for y in _ticks(curves.low, curves.high):
        kind = "axis" if y == 0 else "grid"
        parts.append(
            f'<path class="{kind}" d="M{LEFT} {down(y):.1f}h{inner_width}"/>'
            f'<text x="{LEFT - 8}" y="{down(y) + 4:.1f}" text-anchor="end">{_number(y)}</text>'
        )
    parts.append(
        f'<text x="{LEFT + inner_width + 10}" y="{HEIGHT - BOTTOM + 20}" '
        'font-style="italic">x</text>'
    )
    heights = _label_heights([down(_last(values)) for values in (curves.y, curves.slope)])
    drawn = (("slope", curves.slope, curves.labels[1]), ("y", curves.y, curves.labels[0]))
    for kind, values, label in drawn:
        pieces = _pieces(values, JUMP * (curves.high - curves.low))
        path = "".join(
            "M" + "L".join(f"{across(curves.x[i]):.1f} {down(values[i]):.1f}" for i in piece)
            for piece in pieces
        )
        parts.append(f'<path class="{kind}" clip-path="url(#inside)" d="{path}"/>')
        parts.append(
            f'<text class="at-{kind}" x="{LEFT + inner_width + 8}" '
            f'y="{heights[kind == "slope"] + 4:.1f}">{label}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, about six of them."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float) -> str:
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
    gap = 18 - abs(heights[0] - heights[1])
    if gap > 0:
        lower = heights.index(max(heights)) if heights[0] != heights[1] else 1
        heights[lower] += gap / 2
        heights[1 - lower] -= gap / 2
    return heights
