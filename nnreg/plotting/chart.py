"""Description of a chart: axes, curves and points, drawn alike by all backends."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.plotting.palette import BLUE

JUMP = 0.15
"""In a curve with `breaks`, a step larger than this fraction of the height is drawn as a gap."""

MAX_POINTS = 1000
"""Points of a curve; of a longer one, the minimum and maximum of each segment are drawn."""

MAX_NAME = 24
"""Characters of a name; a longer one is truncated."""

Dash = tuple[float, ...]
"""Lengths of dashes and gaps in pixels; empty for a solid line."""

DOTTED: Dash = (3, 3)


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, which are decimal logarithms if it is `logarithmic`."""

    label: str
    low: float
    high: float
    logarithmic: bool = False
    integer: bool = False

    def fraction(self, values: Array | float) -> Array:
        """Return the positions of values: 0 at the low end, 1 at the high end."""
        with np.errstate(divide="ignore", invalid="ignore"):
            positions = np.log10(values) if self.logarithmic else np.asarray(values)
        result: Array = (positions - self.low) / (self.high - self.low)
        return result

    def ticks(self) -> list[float]:
        """Return about six round numbers to mark."""
        if self.logarithmic:
            return powers(self.low, self.high)
        return ticks(self.low, self.high, least=1 if self.integer else 0)


@dataclass(frozen=True)
class Curve:
    """Values over x; non-finite values and values outside the axes are gaps.

    A curve without a label is omitted from the legend. With `breaks`, jumps are gaps too. `dot` is
    the index of a value to mark.
    """

    label: str
    x: Array
    y: Array
    colour: str
    dash: Dash = ()
    width: float = 2
    breaks: bool = False
    dot: int | None = None


@dataclass(frozen=True)
class Band:
    """The area between two curves over the same x; not drawn where one of them is not finite."""

    x: Array
    low: Array
    high: Array
    colour: str


@dataclass(frozen=True)
class Points:
    """Points of a scatter plot."""

    x: Array
    y: Array
    colour: str = BLUE


@dataclass(frozen=True)
class Chart:
    """Curves, bands and points over two axes; `mark` is a value of x to mark, and its label."""

    across: Axis
    up: Axis
    curves: Sequence[Curve] = ()
    points: Points | None = None
    mark: tuple[float, str] | None = None
    bands: Sequence[Band] = ()


def fit(label: str, values: Iterable[Array], *, logarithmic: bool = False,
        integer: bool = False, margin: float = 0.04) -> Axis:  # fmt: skip
    """Return an axis that covers all finite values and a margin; 0 to 1 if there are none."""
    every = np.concatenate([np.empty(0), *values])
    finite = every[np.isfinite(every)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    spread = margin * (high - low)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        spread = 0.5 if integer or logarithmic else 0.1 * abs(high) or 1.0
    return Axis(label, low - spread, high + spread, logarithmic, integer)


def spans_decades(values: Iterable[Array]) -> bool:
    """Return True for positive values whose ratio exceeds 30, which suit a logarithmic axis."""
    every = np.concatenate([np.empty(0), *values])
    finite = every[np.isfinite(every)]
    return bool(finite.size and finite.min() > 0 and finite.max() > 30 * finite.min())


def ticks(low: float, high: float, least: float = 0) -> list[float]:
    """Return about six round numbers between `low` and `high`, at least `least` apart."""
    rough = max((high - low) / 6, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def powers(low: float, high: float) -> list[float]:
    """Return at most about eight round numbers between 10^`low` and 10^`high`."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    digits = (1, 2, 5) if len(decades) <= 3 else (1,)
    every = math.ceil(len(decades) / 8)
    marks = [digit * 10.0**decade for decade in decades[::every] for digit in digits]
    return [mark for mark in marks if low <= math.log10(mark) <= high]


def number(value: float) -> str:
    """Return the label of a tick, such as `−1.5e19`."""
    text = re.sub(r"e([+-])0*", lambda found: f"e{found[1].strip('+')}", f"{value:.6g}")
    return text.replace("-", "−")


def thin(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a curve with fewer points that preserves all peaks."""
    if len(x) <= MAX_POINTS:
        return x, y
    kept = []
    for segment in np.array_split(np.arange(len(x)), MAX_POINTS // 2):
        filled = np.where(np.isfinite(y[segment]), y[segment], 0)
        kept += [segment[filled.argmin()], segment[filled.argmax()]]
    indices = np.array(sorted({0, *map(int, kept), len(x) - 1}))
    return x[indices], y[indices]


def short_name(name: str) -> str:
    """Return a name from data or a spec, truncated and with non-printable characters replaced."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…"
