"""Steps that depend on the shapes of the parameters, or on the norm of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval, Lt

from nnreg._types import Array, Shape
from nnreg._utils.statistics import norm
from nnreg.builtin.optimizers.adam import Adam, AdamW
from nnreg.builtin.optimizers.moments import (
    add_to_mean,
    add_to_mean_square,
    corrections,
    divide_by_root,
)
from nnreg.interfaces.component import Count, NonNegative, Positive, ProperFraction
from nnreg.interfaces.optimizer import Optimizer, UpdateState


@dataclass(frozen=True)
class Lamb(Adam):
    """Adam, with the step of each parameter scaled to the norm of its values.

    u = m̂ / (√v̂ + epsilon) + weight_decay · p; p ← p - learning_rate · ‖p‖ / ‖u‖ · u

    m̂ and v̂ are those of Adam; the norms are those of each weight or bias of a layer, and their
    ratio is 1 where one is 0. The weight decay is part of u, as in the paper; Keras has it outside.
    For large batches. You et al. 2020.

    Options:
        weight_decay: fraction of the parameters in u, >= 0
    """

    elementwise = False
    epsilon: Positive = 1e-6
    weight_decay: NonNegative = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, v = state.vectors["m"], state.vectors["v"]
        change, scratch = state.empty(parameters), state.empty(parameters)
        add_to_mean(m, gradient, self.beta1, scratch)
        add_to_mean_square(v, gradient, self.beta2, scratch)
        factor, floor = corrections(self.beta1, self.beta2, state.count)
        divide_by_root(m, v, self.epsilon * floor, change)
        np.multiply(change, factor, out=change)
        if self.weight_decay:
            np.multiply(parameters, self.weight_decay, out=scratch)
            np.add(change, scratch, out=change)
        for _, p, u in state.each(parameters, change):
            size, length = norm(p.reshape(-1)), norm(u.reshape(-1))
            ratio = size / length if size and length else 1.0
            np.multiply(u, self.learning_rate * ratio, out=u)
            np.subtract(p, u, out=p)


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """Steps relative to the size of each parameter, scaled by means over rows and columns.

    u = g / √v; r = max(epsilon2, RMS(p)) · min(learning_rate, 1 / √t);
    p ← p - r · u / max(1, RMS(u) / clip_threshold)

    v is a mean of g² + epsilon1 in which step t has the weight t^beta2_decay. Of a matrix, or of
    the last two axes of a larger array, it is the product of the means of rows and columns,
    divided by the mean of all; RMS is the root of the mean square. The weight decay is decoupled.
    The state `square` holds the means of rows, then of columns; it is as long as the parameters,
    so that this saves no memory here. As in Keras, epsilon1 is added to g²; PyTorch limits v
    instead. Shazeer and Stern 2018.

    Options:
        learning_rate: largest relative step, > 0
        beta2_decay: exponent of the weight of a step in v, < 0
        epsilon1: added to g², > 0
        epsilon2: smallest RMS(p), > 0
        clip_threshold: RMS of u above which it is scaled down, > 0
        weight_decay: fraction by which parameters shrink per step, times learning_rate, >= 0
    """

    state_names = ("square",)
    non_negative = ("square",)
    learning_rate: Positive = 0.01
    beta2_decay: Annotated[float, Lt(0)] = -0.8
    epsilon1: Positive = 1e-30
    epsilon2: Positive = 0.001
    clip_threshold: Positive = 1.0
    weight_decay: NonNegative = 0.0

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        weight = state.count**self.beta2_decay
        rate = min(self.learning_rate, 1 / math.sqrt(state.count))
        squares = state.empty(gradient)
        np.multiply(gradient, gradient, out=squares)
        np.add(squares, self.epsilon1, out=squares)
        views = state.each(parameters, gradient, squares, state.vectors["square"])
        for _, p, g, new, kept in views:
            u = g / np.sqrt(_factored(new, kept.reshape(-1), weight))
            clipped = max(1.0, _rms(u) / self.clip_threshold)
            size = max(self.epsilon2, _rms(p))
            if self.weight_decay:
                np.multiply(p, 1 - self.learning_rate * self.weight_decay, out=p)
            np.subtract(p, rate * size / clipped * u, out=p)


def _rms(values: Array) -> float:
    return norm(values.reshape(-1)) / math.sqrt(values.size)


def _factored(squares: Array, kept: Array, weight: float) -> Array:
    """Return the mean squares, after adding new ones to those that are kept."""
    shape = squares.shape
    if len(shape) < 2 or min(shape[-2:]) < 2:  # of a single row, the mean of rows is the row
        return _added(kept.reshape(shape), squares, weight)
    ends = squares.size // shape[-1], squares.size // shape[-1] + squares.size // shape[-2]
    rows = _added(kept[: ends[0]].reshape(shape[:-1]), np.mean(squares, axis=-1), weight)
    columns = kept[ends[0] : ends[1]].reshape(*shape[:-2], shape[-1])
    columns = _added(columns, np.mean(squares, axis=-2), weight)
    relative = rows / np.mean(rows, axis=-1, keepdims=True)
    product: Array = relative[..., :, None] * columns[..., None, :]
    return product


def _added(mean: Array, values: Array, weight: float) -> Array:
    return np.add(mean, weight * (values - mean), out=mean)


@dataclass(frozen=True)
class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix to a momentum; AdamW for all but matrices.

    b ← momentum · b + g; p ← (1 - learning_rate · weight_decay) · p;
    p ← p - learning_rate · scale · O(g + momentum · b)

    O(b) has the singular vectors of b, and singular values near 1, from `iterations` steps of a
    Newton-Schulz iteration of degree 5. Parameters of two axes get this step; all others, such as
    biases and the kernels of convolutions, and the matrices that `adamw_parameters` names, get
    AdamW's: the authors do so with embeddings and the last layer. The weight decay is decoupled.
    Jordan et al. 2024, Liu et al. 2025.

    scale is 0.2 · √(largest side) for "match_rms_adamw", with which learning rates of AdamW fit,
    and √max(1, outputs / inputs) for "original", with learning rates about 0.02; matrices are
    (inputs, outputs) here, and (outputs, inputs) in PyTorch.

    Options:
        learning_rate: step size, > 0
        momentum: decay of the momentum b, in [0, 1)
        nesterov: use g + momentum · b, or else b
        iterations: steps that make the matrix orthogonal, in [1, 20]
        scale: "match_rms_adamw" or "original"
        weight_decay: fraction by which parameters shrink per step, times learning_rate, >= 0
        adamw_parameters: patterns of names of matrices that get AdamW's step
        adamw_learning_rate_ratio: learning rate of AdamW divided by that of matrices, > 0
        beta1: decay of AdamW's mean of the gradient, in [0, 1)
        beta2: decay of AdamW's mean of the squared gradient, in [0, 1)
        epsilon: added to the divisor of AdamW, > 0
    """

    state_names = ("momentum", "v")
    non_negative = ("v",)
    learning_rate: Positive = 0.001
    momentum: ProperFraction = 0.95
    nesterov: bool = True
    iterations: Annotated[int, Interval(ge=1, le=20)] = 5
    scale: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    weight_decay: NonNegative = 0.1
    adamw_parameters: tuple[str, ...] = ()
    adamw_learning_rate_ratio: Positive = 1.0
    beta1: ProperFraction = 0.9
    beta2: ProperFraction = 0.999
    epsilon: Positive = 1e-8

    def check_parameters(self, shapes: Mapping[str, Shape]) -> None:
        for pattern in self.adamw_parameters:
            if not any(fnmatchcase(name, pattern) for name in shapes):
                raise ValueError(f"no parameter matches {pattern!r} of adamw_parameters")

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        rate = self.learning_rate * self.adamw_learning_rate_ratio
        adamw = AdamW(rate, self.beta1, self.beta2, self.epsilon, self.weight_decay)
        vectors = state.vectors["momentum"], state.vectors["v"]
        for name, p, g, momentum, v in state.each(parameters, gradient, *vectors):
            if p.ndim == 2 and not any(fnmatchcase(name, one) for one in self.adamw_parameters):
                self._step(p, g, momentum)
                continue
            flat = {"m": momentum.reshape(-1), "v": v.reshape(-1)}
            one = UpdateState(state.count, flat, state.workspace)
            adamw.update(p.reshape(-1), g.reshape(-1), one)

    def _step(self, p: Array, g: Array, momentum: Array) -> None:
        np.multiply(momentum, self.momentum, out=momentum)
        np.add(momentum, g, out=momentum)
        direction = g + self.momentum * momentum if self.nesterov else momentum
        rows, columns = p.shape
        size = 0.2 * math.sqrt(max(rows, columns))
        if self.scale == "original":
            size = math.sqrt(max(1, columns / rows))
        np.multiply(p, 1 - self.learning_rate * self.weight_decay, out=p)
        np.subtract(p, self.learning_rate * size * orthogonal(direction, self.iterations), out=p)


def orthogonal(x: Array, iterations: Count = 5) -> Array:
    """Return a matrix with the singular vectors of another, and singular values near 1."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T, iterations).T
    x = x / (norm(x.reshape(-1)) + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x
