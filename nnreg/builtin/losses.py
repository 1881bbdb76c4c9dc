"""The losses. Each is the mean over the batch and over the outputs of one example."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Interval, Len

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean, means_of_rows, unstandardize
from nnreg.builtin.activations import Sigmoid, Softmax
from nnreg.interfaces.component import Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import Loss

Gradient = Callable[[], Array]
Fraction = Annotated[float, Interval(ge=0, lt=1)]


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean squared error.

    loss = mean((y - t)²)

    The gradient is 2 (y - t) / n over all n values.
    """

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        difference = y - t
        flat = difference.reshape(-1)
        value = float(flat.dot(flat)) / y.size
        if math.isinf(value):  # perhaps their sum alone is
            value = mean(flat * flat)
        return value, lambda: difference * (2 / y.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return _by_example((y - t) ** 2)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Mean absolute error.

    loss = mean(|y - t|)

    The gradient is 0 where y = t.
    """

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        difference = y - t
        return mean(np.abs(difference)), lambda: np.sign(difference) * (1 / y.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return _by_example(np.abs(y - t))


@dataclass(frozen=True)
class Huber(Loss):
    """Squared error for small differences, absolute error for large ones.

    loss = mean(d²/2 where |d| ≤ delta, otherwise delta · (|d| - delta/2)), d = y - t

    Huber 1964.

    Options:
        delta: largest difference with squared error, > 0
    """

    delta: Annotated[float, Gt(0)] = 1.0

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        difference = y - t
        clipped = np.clip(difference, -self.delta, self.delta)
        value = mean(clipped * (difference - 0.5 * clipped))
        return value, lambda: clipped * (1 / y.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        difference = y - t
        clipped = np.clip(difference, -self.delta, self.delta)
        return _by_example(clipped * (difference - 0.5 * clipped))


@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss, by which outputs become quantiles of the target.

    loss = mean(max(q (t - y), (q - 1) (t - y)))

    The network has an output for each quantile q: for several targets, first those of all targets
    for the first quantile. Metrics compare the quantile that is closest to the median. Koenker and
    Bassett 1978.

    Options:
        quantiles: fractions between 0 and 1, in ascending order
    """

    quantiles: Annotated[tuple[Annotated[float, Interval(gt=0, lt=1)], ...], Len(1)] = (
        0.1,
        0.5,
        0.9,
    )

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
        return _blocks(y, len(self.quantiles))[nearest]

    def in_units(self, y: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
        for block in _blocks(y, len(self.quantiles)):
            unstandardize(block, mean, std)
        return y

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        differences = self._differences(y, t)

        def backward() -> Array:
            slopes = [
                ((d < 0) * (1 - q) - (d > 0) * q) * (1 / y.size)
                for d, q in zip(differences, self.quantiles, strict=True)
            ]
            return np.concatenate(slopes, axis=-1).astype(y.dtype)

        return mean(self._values(differences)), backward

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return _by_example(self._values(self._differences(y, t)))

    def _differences(self, y: Array, t: Array) -> list[Array]:
        return [t - block for block in _blocks(y, len(self.quantiles))]

    def _values(self, differences: list[Array]) -> Array:
        pairs = zip(differences, self.quantiles, strict=True)
        return np.concatenate([np.maximum(q * d, (q - 1) * d) for d, q in pairs], axis=-1)


@dataclass(frozen=True)
class GaussianNll(Loss):
    """Negative log-likelihood of a normal distribution, of which the network predicts both moments.

    loss = mean((log v + (t - m)² / v) / 2), v = log(1 + exp(z)) + min_variance

    The network has two outputs for each target: first the means m of all targets, then z, from
    which the variances follow. The constant log(2π)/2 is omitted. Predictions are means and
    variances, in the target's units and their squares; metrics compare the means. Nix and Weigend
    1994.

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
        return _blocks(y, 2)[0]

    def in_units(self, y: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
        m, z = _blocks(y, 2)
        unstandardize(m, mean, std)
        z[...] = self._variance(z) * np.square(std)
        return y

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        m, z = _blocks(y, 2)
        d, v = m - t, self._variance(z)

        def backward() -> Array:
            slope, _ = Sigmoid().forward(z)
            ratio = d / v
            parts = [ratio, 0.5 * (1 / v - ratio * ratio) * slope]
            return np.concatenate(parts, axis=-1) * (1 / t.size)

        return mean(0.5 * (np.log(v) + d / v * d)), backward

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        m, z = _blocks(y, 2)
        v = self._variance(z)
        return _by_example(0.5 * (np.log(v) + np.square(m - t) / v))

    def _variance(self, z: Array) -> Array:
        v: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) + self.min_variance
        return v


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of independent probabilities y and targets t in [0, 1].

    loss = mean(-t log y - (1 - t) log(1 - y))

    After a sigmoid it is computed from the logits z as max(z, 0) - z t + log(1 + exp(-|z|)). Label
    smoothing by s replaces t by (1 - s) t + s/2: Szegedy et al. 2016.

    Options:
        label_smoothing: amount s by which targets are moved towards 1/2, in [0, 1)
    """

    label_smoothing: Fraction = 0.0
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    fused_activation = Sigmoid

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        """Clip probabilities to [eps, 1 - eps]."""
        t = _smooth(t, self.label_smoothing, 2)
        eps = float(np.finfo(y.dtype).eps)
        p = np.clip(y, eps, 1 - eps)
        inside = (y >= eps) & (y <= 1 - eps)
        value = -float(np.mean(_log_likelihood(p, t)))
        return value, lambda: inside * (p - t) / (p * (1 - p)) * (1 / y.size)

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        t = _smooth(t, self.label_smoothing, 2)
        p, _ = Sigmoid().forward(z)
        return mean(_from_logits(z, t)), lambda: (p - t) * (1 / z.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        t = _smooth(t, self.label_smoothing, 2)
        if logits:
            return _by_example(_from_logits(y, t))
        eps = float(np.finfo(y.dtype).eps)
        return -_by_example(_log_likelihood(np.clip(y, eps, 1 - eps), t))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of class probabilities y on the last axis, as a mean over examples.

    loss = mean(-Σ_k t_k log y_k)

    Targets are class numbers `(batch,)` or rows of probabilities `(batch, classes)`. After a
    softmax it is computed from the logits z, as log Σ exp(z) - z_t. Label smoothing by s with K
    classes replaces t_k by (1 - s) t_k + s/K: Szegedy et al. 2016.

    Options:
        label_smoothing: fraction s of the target that is spread over all classes, in [0, 1)
    """

    label_smoothing: Fraction = 0.0
    takes_labels = True
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    takes_distribution = True
    fused_activation = Softmax

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        """Clip probabilities from below to the smallest normal number."""
        p = np.maximum(y, np.finfo(y.dtype).tiny)
        rows = math.prod(y.shape[:-1])
        weights = _smooth(_rows_of(t, y), self.label_smoothing, y.shape[-1])
        value = -float(np.sum(weights * np.log(p))) / rows
        return value, lambda: -weights / p * (1 / rows)

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        classes = z.shape[-1]
        rows = z.size // classes
        if self.label_smoothing:
            t = _smooth(_rows_of(t, z), self.label_smoothing, classes)
        z2 = z.reshape(rows, classes)
        shifted = z2 - np.max(z2, axis=1, keepdims=True)
        e = np.exp(shifted)
        total = np.sum(e, axis=1, keepdims=True)
        if t.ndim == z.ndim:
            t2 = t.reshape(rows, classes)
            mass = np.sum(t2, axis=1, keepdims=True)
            value = float(np.sum(mass * np.log(total)) - np.sum(t2 * shifted)) / rows
            return value, lambda: ((e * (mass / total) - t2) * (1 / rows)).reshape(z.shape)

        labels = t.reshape(rows)
        index = np.arange(rows)
        value = float(np.sum(np.log(total)) - np.sum(shifted[index, labels])) / rows

        def backward() -> Array:
            dz: Array = e * (1 / (rows * total))
            dz[index, labels] -= 1 / rows
            return dz.reshape(z.shape)

        return value, backward

    def forward_with_workspace(
        self, y: Array, t: Array, context: Context, *, logits: bool
    ) -> tuple[float, Gradient]:
        """Use the kernel that computes loss and gradient together if targets are class numbers."""
        if not logits or t.ndim == y.ndim or not y.size:
            return super().forward_with_workspace(y, t, context, logits=logits)
        z = y.reshape(-1, y.shape[-1])
        dz = context.empty(z.shape)
        loss = context.kernels.softmax_cross_entropy(
            z, t.reshape(-1), dz, context.workspace, smoothing=self.label_smoothing
        )
        return loss, lambda: dz.reshape(y.shape)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        if logits:
            shifted = y - np.max(y, axis=-1, keepdims=True)
            logs = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        else:
            logs = np.log(np.maximum(y, np.finfo(y.dtype).tiny))
        weights = _smooth(_rows_of(t, y), self.label_smoothing, y.shape[-1])
        return -_by_example(np.sum(weights * logs, axis=-1))


@dataclass(frozen=True)
class Value(Loss):
    """An output that is itself a loss, such as one that a layer computes.

    loss = mean(y)

    It takes no target.
    """

    takes_target = False
    predicts_target = False

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        return mean(y), lambda: np.full_like(y, 1 / y.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return _by_example(y)


def _blocks(y: Array, count: int) -> list[Array]:
    """Return views of outputs divided into `count` parts along the last axis."""
    size = y.shape[-1] // count
    return [y[..., k * size : (k + 1) * size] for k in range(count)]


def _fit_blocks(output: Shape, target: Shape, classes: int | None, count: int, which: str) -> bool:
    """Return whether there are `count` outputs for each target. Raises ValueError if not."""
    if classes is not None:
        raise ValueError("the loss takes a numeric target, not classes")
    expected = (*target[:-1], count * target[-1])
    if output != expected:
        raise ValueError(f"the loss takes {count} outputs for each target, {which}: {expected}")
    return True


def _by_example(losses: Array) -> Array:
    """Return the mean over all axes but the first, the examples."""
    return means_of_rows(losses.reshape(len(losses), -1))


def _log_likelihood(p: Array, t: Array) -> Array:
    """Return t log p + (1 - t) log(1 - p) of each value."""
    values: Array = t * np.log(p) + (1 - t) * np.log1p(-p)
    return values


def _from_logits(z: Array, t: Array) -> Array:
    """Return -t log p - (1 - t) log(1 - p) of p = σ(z), without forming p."""
    values: Array = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return values


def _rows_of(t: Array, y: Array) -> Array:
    """Return targets as rows of probabilities, one-hot if they are class numbers."""
    if t.ndim == y.ndim:
        return t
    rows: Array = np.equal(np.expand_dims(t, -1), np.arange(y.shape[-1])).astype(y.dtype)
    return rows


def _smooth(t: Array, smoothing: float, classes: int) -> Array:
    """Return probabilities with the fraction `smoothing` spread over all classes."""
    return t * (1 - smoothing) + smoothing / classes if smoothing else t
