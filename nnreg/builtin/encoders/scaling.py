"""Scaling of numbers, of inputs as of targets: a curve for some, then a shift and a factor."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.normal_distribution import normal_quantile
from nnreg._utils.statistics import (
    HEADROOM,
    Moments,
    mean_and_deviation,
    scale_of,
    standardize,
    unstandardize,
)
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.encoder import RawColumn
from nnreg.operations.functions import erf

TargetScaling: TypeAlias = Literal[
    "standard", "robust", "min_max", "quantile", "log", "power", "none"
]
Scaling: TypeAlias = Literal[TargetScaling, "robust_clipped"]
Curved: TypeAlias = Literal["log", "power", "quantile"]
CURVED = ("log", "power", "quantile")
"""The scalings with a curve before the shift and the factor."""

WHOLE = ("robust", "robust_clipped", "quantile", "power")
"""The scalings that are learned from all numbers at once, as they sort them or try many powers."""

MAX_QUANTILES = 1000
"""The most quantiles that are kept of a column."""

SMALLEST_PROBABILITY = 1e-7
"""The probability that the smallest number of the training rows has, and any smaller one."""

CLIP = 3.0
"""The bound that a clipped number approaches."""

LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Curve(Configurable):
    """An increasing function of numbers, which are standardized after it.

    `power` is the lambda of Yeo and Johnson 2000, `quantiles` are those of the training rows. An
    inverted number is within `bounds`, if they are given.
    """

    type: Curved
    power: float = 1.0
    quantiles: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        require_ascending("quantiles", self.quantiles)
        require_ascending("bounds", self.bounds or ())

    def apply(self, x: Array) -> Array:
        """Return the function of float64 numbers; infinite where it is beyond their range."""
        with np.errstate(over="ignore", invalid="ignore"):
            match self.type:
                case "log":
                    return np.log1p(x)
                case "power":
                    return yeo_johnson(x, self.power)
                case "quantile":
                    return normal_scores(x, self.quantiles)

    def invert(self, y: Array) -> Array:
        """Return the numbers whose function is `y`, within the bounds; NaN if `y` is not finite."""
        low, high = self.bounds or (-LARGEST, LARGEST)
        with np.errstate(over="ignore", invalid="ignore"):
            match self.type:
                case "log":
                    x = np.expm1(y)
                case "power":
                    x = inverse_yeo_johnson(y, self.power)
                case "quantile":
                    x = from_normal_scores(y, self.quantiles)
        return np.where(np.isfinite(y), np.clip(x, low, high), np.nan)


def require_ascending(name: str, numbers: tuple[float, ...]) -> None:
    """Raise ValueError unless numbers of a checkpoint are in ascending order."""
    if any(np.diff(np.array(numbers) / HEADROOM) < 0):
        raise ValueError(f"{name}: must be in ascending order")


class Scale(NamedTuple):
    """How numbers are scaled: y = (curve(x) - mean) / std, then smoothly `clipped`."""

    mean: float = 0.0
    std: float = 1.0
    curve: Curve | None = None
    clipped: bool = False

    def apply(self, x: Array) -> Array:
        """Return scaled float64 numbers; infinite where they are too large."""
        y = standardize(x if self.curve is None else self.curve.apply(x), self.mean, self.std)
        return clip_smoothly(y) if self.clipped else y

    def invert(self, y: Array) -> Array:
        """Return the numbers that are scaled to `y`, as far as it tells them."""
        y = np.array(y, np.float64)
        x = unstandardize(unclip(y) if self.clipped else y, self.mean, self.std)
        return x if self.curve is None else self.curve.invert(x)

    @property
    def learned(self) -> dict[str, Any]:
        """What an encoder learns of it, by the names of its fields."""
        kind, curve = self.curve.type if self.curve else None, self.curve
        return {
            "mean": self.mean,
            "std": self.std,
            "power": curve.power if curve and kind == "power" else None,
            "quantiles": curve.quantiles if curve and kind == "quantile" else None,
        }


def scale_of_encoder(encoder: Any) -> Scale:
    """Return the scale of an encoder that has `scaling` and the fields of `Scale.learned`."""
    curve = None
    if encoder.scaling in CURVED:
        power = 1.0 if encoder.power is None else encoder.power
        curve = Curve(encoder.scaling, power, encoder.quantiles or ())
    return Scale(encoder.mean, encoder.std, curve, encoder.scaling == "robust_clipped")


def require_in_domain(column: RawColumn, scaling: Scaling | None) -> None:
    """Raise `DataError` with the location of a number that has no logarithm, if one is needed."""
    if scaling == "log":
        values = column.values
        valid = np.all((values >= 0) | np.isnan(values), axis=tuple(range(1, values.ndim)))
        column.require(valid, 'a number >= 0, as its scaling is "log"; set the scaling "power"')


def learn_scale(values: Array, scaling: Scaling) -> Scale:
    """Return the scale of the training rows' numbers, all finite, of any shape.

    Those of "log" must not be negative.
    """
    x = values.reshape(-1)
    if scaling == "none" or not x.size:
        return Scale()
    if scaling in ("robust", "robust_clipped"):
        return _robust(x, clipped=scaling == "robust_clipped")
    if scaling == "min_max":
        low, high = float(np.min(x)), float(np.max(x))
        return Scale(low, _difference(low, high) or 1.0)
    curve = None
    if scaling == "quantile":
        return Scale(curve=Curve("quantile", quantiles=_quantiles_of_rows(x)))
    if scaling in ("log", "power"):
        curve = Curve("log") if scaling == "log" else Curve("power", learn_power(x))
        x = curve.apply(x)
    mean, deviation = mean_and_deviation(x)
    return Scale(float(mean), float(scale_of(mean, deviation)), curve)


class ScaleInParts:
    """Learns the scale of numbers `(rows,)` that are added in parts, as `learn_scale` of all does.

    Not for those of `WHOLE`.
    """

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.moments = Moments()
        self.low, self.high = math.inf, -math.inf

    def add(self, values: Array) -> None:
        """Learn from more numbers, all finite."""
        if self.scaling == "min_max":
            self.low = min(self.low, float(np.min(values, initial=math.inf)))
            self.high = max(self.high, float(np.max(values, initial=-math.inf)))
        elif self.scaling != "none":
            self.moments.add(np.log1p(values) if self.scaling == "log" else values)

    def result(self) -> Scale:
        """Return the scale."""
        if self.scaling == "min_max" and self.low <= self.high:
            return Scale(self.low, _difference(self.low, self.high) or 1.0)
        if not self.moments.rows:
            return Scale()
        mean, deviation = self.moments.result()
        curve = Curve("log") if self.scaling == "log" else None
        return Scale(float(mean), float(scale_of(mean, deviation)), curve)


def with_bounds(scale: Scale, values: Array) -> Scale:
    """Return a scale whose curve is inverted to the range of `values`, or as far again beyond it.

    Elsewhere, a small error of a prediction could become any number.
    """
    if scale.curve is None or not values.size:
        return scale
    low, high = float(np.min(values)), float(np.max(values))
    width = _difference(low, high)
    bounds = max(low - width, -LARGEST), min(high + width, LARGEST)
    return scale._replace(curve=replace(scale.curve, bounds=bounds))


def _difference(low: float, high: float) -> float:
    return min(high - low, LARGEST)


def _robust(x: Array, *, clipped: bool) -> Scale:
    """Return the median and the interquartile range; if it is 0, 1, or half of the range."""
    low, median, high = map(float, percentiles(x, np.array([25, 50, 75])))
    width = _difference(low, high)
    if clipped and width == 0:
        width = _difference(float(np.min(x)) / 2, float(np.max(x)) / 2)
    return Scale(median, float(scale_of(np.array(median), np.array(width))), clipped=clipped)


def clip_smoothly(x: Array) -> Array:
    """Return x / sqrt(1 + (x / 3)²), which is between -3 and 3 and near x if that is small."""
    clipped: Array = x / np.hypot(1, x / CLIP)
    return clipped


def unclip(y: Array) -> Array:
    """Return the numbers that `clip_smoothly` makes these; those near ±3 are imprecise."""
    part = np.clip(np.asarray(y, np.float64) / CLIP, -1 + 2**-24, 1 - 2**-24)
    found: Array = CLIP * part / np.sqrt(1 - np.square(part))
    return found


def percentiles(x: Array, at: Array) -> Array:
    """Return the percentiles of numbers, interpolated, in ascending order."""
    unit = HEADROOM if np.max(np.abs(x)) > LARGEST / HEADROOM else 1.0  # a difference may overflow
    found = np.maximum.accumulate(np.percentile(x / unit, at))
    return np.clip(found, -LARGEST / unit, LARGEST / unit) * unit


def _quantiles_of_rows(x: Array) -> tuple[float, ...]:
    at = 100 * np.linspace(0, 1, min(MAX_QUANTILES, x.size))  # rounded as in scikit-learn
    return tuple(percentiles(x, at).tolist())


def normal_scores(x: Array, quantiles: tuple[float, ...]) -> Array:
    """Return the quantiles of the normal distribution that numbers have among given ones.

    The smallest and the largest given one, and all beyond, are at ±5.2; the only one is at 0. A
    number that has several quantiles is at the middle of them.
    """
    if not quantiles:
        return np.zeros_like(x)
    known = np.array(quantiles)
    fractions = np.linspace(0, 1, len(known))
    above = np.interp(x, known, fractions)
    below = -np.interp(-x, -known[::-1], -fractions[::-1])
    middle = (above + below) / 2
    least, most = known[0], known[-1]
    if least == most:
        middle = np.where(x == least, 0.5, x > least)
    else:
        middle = np.where(x <= least, 0, np.where(x >= most, 1, middle))
    end = SMALLEST_PROBABILITY - sys.float_info.epsilon  # so that it is inverted to the end
    return normal_quantile(np.clip(middle, end, 1 - end))


def from_normal_scores(y: Array, quantiles: tuple[float, ...]) -> Array:
    """Return the numbers that have these quantiles of the normal distribution."""
    if not quantiles:
        return np.zeros_like(y)
    probability = (1 + erf(y * math.sqrt(0.5))) / 2
    highest = np.where(probability > 1 - SMALLEST_PROBABILITY, 1, probability)
    probability = np.where(probability < SMALLEST_PROBABILITY, 0, highest)
    found: Array = np.interp(probability, np.linspace(0, 1, len(quantiles)), quantiles)
    return found


def yeo_johnson(x: Array, power: float) -> Array:
    """Return the power transform of numbers of either sign, y = ((1 + x)^power - 1) / power."""
    size = np.log1p(np.abs(x))
    return np.where(x >= 0, _box_cox(size, power), -_box_cox(size, 2 - power))


def inverse_yeo_johnson(y: Array, power: float) -> Array:
    """Return the numbers whose transform is `y`; very large ones for what no number has."""
    size = np.abs(y)
    found = np.where(y >= 0, _inverse_box_cox(size, power), _inverse_box_cox(size, 2 - power))
    return np.copysign(np.expm1(found), y)


def _box_cox(logs: Array, power: float) -> Array:
    return logs if abs(power) < sys.float_info.epsilon else np.expm1(power * logs) / power


def _inverse_box_cox(y: Array, power: float) -> Array:
    if abs(power) < sys.float_info.epsilon:
        return y
    return np.log1p(np.maximum(power * y, sys.float_info.epsilon - 1)) / power


def learn_power(x: Array) -> float:
    """Return the power whose transform of these numbers has the greatest normal likelihood.

    The negative logarithm of the likelihood is convex (Marchand et al. 2022), so that a
    golden-section search finds its minimum. With the powers that are tried, results keep half of
    their digits, and the squares of those of numbers 20 times as large are within the range of
    float64.
    """
    positive, negative = np.log1p(x[x >= 0]), np.log1p(-x[x < 0])
    slope = float(np.sum(positive) - np.sum(negative))
    # of numbers of one sign, a factor is taken out, so that no digits are lost
    up = 0.0 if negative.size else float(np.mean(positive))
    down = 0.0 if positive.size else float(np.mean(negative))

    def misfit(power: float) -> float:
        parts = [_box_cox(positive - up, power), -_box_cox(negative - down, 2 - power)]
        deviation = float(np.std(np.concatenate(parts)))
        if not deviation:
            return math.inf
        logarithm = math.log(deviation) + power * up + (2 - power) * down
        return x.size * logarithm - (power - 1) * slope

    largest, epsilon = float(np.max(np.abs(x))), math.log(sys.float_info.epsilon)
    low = epsilon / 2 / (math.log1p(largest) or 1.0)
    high = (math.log(LARGEST) + epsilon) / 2 / (math.log1p(min(20 * largest, LARGEST)) or 1.0)
    if not positive.size:
        low, high = 2 - high, 2 - low
    elif negative.size:
        low, high = max(2 - high, low), min(2 - low, high)
    if np.min(x) == np.max(x) or low >= high:
        return 1.0  # which changes nothing
    with np.errstate(over="ignore", invalid="ignore"):
        return golden_section(misfit, low, high)


def golden_section(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum between two numbers has it."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-9 * max(1.0, abs(left)):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
