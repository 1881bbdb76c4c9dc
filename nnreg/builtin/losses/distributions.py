"""Losses with several outputs for each target, which describe its distribution."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Len

from nnreg._types import Array, Shape
from nnreg._utils.statistics import unstandardize
from nnreg.builtin.activations.functions import log1p_exp, logistic
from nnreg.builtin.losses.terms import blocks
from nnreg.interfaces.component import Positive
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class Quantile(TermLoss):
    """Pinball loss, by which outputs become quantiles of the target.

    loss = mean(max(q (t - y), (q - 1) (t - y)))

    The network has an output for each quantile q: for several targets, first those of all targets
    for the first quantile. Metrics compare the quantile that is closest to the median. An ensemble
    predicts the mean of each quantile. Koenker and Bassett 1978.

    Options:
        quantiles: fractions between 0 and 1, in ascending order
    """

    quantiles: Annotated[tuple[Annotated[float, Interval(gt=0, lt=1)], ...], Len(1)] = (
        0.1,
        0.5,
        0.9,
    )

    predicts_values = True

    def __post_init__(self) -> None:
        if any(a >= b for a, b in itertools.pairwise(self.quantiles)):
            raise ValueError("'quantiles' must be in ascending order, each one once")

    @classmethod
    def examples(cls) -> Iterable[Any]:
        y, t = np.sin(np.arange(24.0)).reshape(4, 6), np.cos(3 * np.arange(8.0)).reshape(4, 2)
        return [(cls((0.1, 0.5, 0.9)), y, t), (cls((0.3,)), y, np.tile(t, 3))]

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        return _fit_blocks(output, target, classes, len(self.quantiles), "one for each quantile")

    def prediction(self, y: Array) -> Array:
        nearest = min(range(len(self.quantiles)), key=lambda k: abs(self.quantiles[k] - 0.5))
        return blocks(y, len(self.quantiles))[nearest]

    def output_names(self, targets: Sequence[str]) -> Sequence[str]:
        return _names(targets, [f"{q:g}" for q in self.quantiles])

    def in_units(self, y: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
        each = blocks(y, len(self.quantiles))
        found: Array = np.concatenate([unstandardize(one, mean, std) for one in each], axis=-1)
        return found

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        pairs = [
            (t - block, q)
            for block, q in zip(blocks(y, len(self.quantiles)), self.quantiles, strict=True)
        ]

        def slopes() -> Array:
            parts = [(d < 0) * (1 - q) - (d > 0) * q for d, q in pairs]
            return np.concatenate(parts, axis=-1).astype(y.dtype)

        return np.concatenate([np.maximum(q * d, (q - 1) * d) for d, q in pairs], axis=-1), slopes


@dataclass(frozen=True)
class GaussianNll(TermLoss):
    """Negative log-likelihood of a normal distribution, of which the network predicts both moments.

    loss = mean((log v + (t - m)² / v) / 2), v = log(1 + exp(z)) + min_variance

    The network has two outputs for each target: first the means m of all targets, then z, from
    which the variances follow. The constant log(2π)/2 is omitted, as in PyTorch, where the network
    predicts v itself. Predictions are means and variances, in the target's units and their squares,
    of the mixture of its members for an ensemble; metrics compare the means. Nix and Weigend 1994.

    Options:
        min_variance: lower bound of the variance of the scaled target, > 0
    """

    min_variance: Positive = 1e-6

    @classmethod
    def examples(cls) -> Iterable[Any]:
        y, t = np.sin(np.arange(16.0)).reshape(4, 4), np.cos(3 * np.arange(8.0)).reshape(4, 2)
        return [(cls(), y, t), (cls(0.1), y, t)]

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        return _fit_blocks(output, target, classes, 2, "its mean and its variance")

    def prediction(self, y: Array) -> Array:
        return blocks(y, 2)[0]

    def output_names(self, targets: Sequence[str]) -> Sequence[str]:
        return _names(targets, ["mean", "variance"])

    def in_units(self, y: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
        m, z = blocks(y, 2)
        variance = self._variance(z) * np.square(std)
        found: Array = np.concatenate([unstandardize(m, mean, std), variance], axis=-1)
        return found

    def average(self, y: Array) -> Array:
        m, z = blocks(y, 2)
        variance = np.mean(self._variance(z), axis=1) + np.var(m, axis=1)
        above = np.maximum(variance - self.min_variance, np.finfo(y.dtype).tiny)
        inverse = above + np.log(-np.expm1(-above))  # of log(1 + exp(z))
        return np.concatenate([np.mean(m, axis=1), inverse], axis=-1)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        m, z = blocks(y, 2)
        d, v = m - t, self._variance(z)

        def slopes() -> Array:
            ratio = d / v
            parts = [ratio, 0.5 * (1 / v - ratio * ratio) * logistic(z)]
            return np.concatenate(parts, axis=-1)

        return 0.5 * (np.log(v) + d / v * d), slopes

    def _variance(self, z: Array) -> Array:
        return log1p_exp(z) + self.min_variance


def _names(targets: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Return the names of the blocks of outputs, with those of the targets if there are several."""
    return [f"{one}_{part}" if targets[1:] else part for part in parts for one in targets]


def _fit_blocks(output: Shape, target: Shape, classes: int | None, count: int, which: str) -> bool:
    """Return whether there are `count` outputs for each target. Raises ValueError if not."""
    if classes is not None:
        raise ValueError("the loss takes a numeric target, not classes")
    expected = (*target[:-1], count * target[-1])
    if output != expected:
        raise ValueError(f"the loss takes {count} outputs for each target, {which}: {expected}")
    return True
