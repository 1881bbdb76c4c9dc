"""Normalization layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import Ones, Zeros
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Positive, ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalization of each feature over the batch.

    y = gamma · (x - mean) / √(variance + epsilon) + beta

    Input `(..., features)`, output of the same shape. In training the mean and variance are those
    of the batch over all axes but the last, and update the running ones, of which the variance is
    unbiased; otherwise the running ones are used. A single value per feature has no variance, so a
    batch of one row is refused in training. Of sequences of different lengths `(time, ...)`, only
    the steps before the end of each count; a batch with a single one uses the running ones.
    PyTorch's momentum is 1 minus this one. Keras has the defaults 0.99 and 1e-3, and a running
    variance that is biased. Ioffe and Szegedy 2015.

    Options:
        momentum: decay of the running mean and variance per batch, in [0, 1)
        epsilon: added to the variance, > 0

    Parameters:
        gamma: (features,)
        beta: (features,)

    Buffers:
        running_mean: (features,)
        running_variance: (features,)
    """

    momentum: ProperFraction = 0.9
    epsilon: Positive = 1e-5
    combines_shards = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        builder.param("gamma", shape[-1:], Ones())
        builder.param("beta", shape[-1:], Zeros())
        builder.buffer("running_mean", shape[-1:], Zeros())
        builder.buffer("running_variance", shape[-1:], Ones(), non_negative=True)
        if math.prod(shape[:-1]) == 1:
            builder.min_training_rows = 2  # a single value has no variance
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        scale = 1 / np.sqrt(context.state["running_variance"] + self.epsilon)
        centered = x - context.state["running_mean"]
        return centered * (context.params["gamma"] * scale) + context.params["beta"]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        mask = context.mask if context.training else None
        if mask is None:
            return self._normalize(x, context)
        passing = replace(context, workspace=context.workspace.temporary())  # any number of steps
        points, backward_fn = self._normalize(x[mask], passing)

        def with_zeros(points: Array) -> Array:
            """Return the values of the real steps, with zeros at the others."""
            values = context.empty(x.shape)
            values.fill(0)
            values[mask] = points
            return values

        return with_zeros(points), lambda dy: with_zeros(backward_fn(dy[mask]))

    def _normalize(self, x: Array, context: Context) -> tuple[Array, Callable[[Array], Array]]:
        """Return gamma · (x - mean) / √(variance + epsilon) + beta, in few passes over `x`.

        With `c` = x - origin, an origin near the mean, that is c · slope + (beta + offset · slope),
        where offset = origin - mean. In training the origin is the mean of this shard.
        """
        gamma, beta = context.params["gamma"], context.params["beta"]
        kernels, scratch = context.kernels, context.workspace
        rows = x.reshape(1, -1, x.shape[-1])
        mean, variance = context.state["running_mean"], context.state["running_variance"]
        count, origin = 0, mean
        if context.training:
            count, origin, *statistics = self._batch_statistics(rows, context)
        from_batch = count > 1
        if from_batch:
            mean, variance = statistics
            if context.updates_buffers:
                self._update_running(context, mean, variance * (count / (count - 1)))
        else:
            origin = context.copy(mean)  # another use of the layer may update it before backward
        scale, offset = 1 / np.sqrt(variance + self.epsilon), origin - mean
        slope = gamma * scale
        y, center = context.empty(rows.shape), origin[None]
        shift = beta + offset * slope
        kernels.normalize_columns(rows, center, slope[None], shift[None], y, scratch)

        def backward(dy: Array) -> Array:
            dx, g = context.empty(rows.shape), dy.reshape(rows.shape)
            dbeta, dgamma = context.gradients["beta"], context.gradients["gamma"]
            kernels.column_products(g, rows, center, dbeta[None], dgamma[None], scratch)
            np.add(dgamma, dbeta * offset, out=dgamma)
            np.multiply(dgamma, scale, out=dgamma)
            if from_batch:
                dbeta, dgamma = context.sum_over_shards(np.stack([dbeta, dgamma]))
                change = slope * scale * (dgamma / count)
                shift = offset * change + slope * (dbeta / count)
            else:
                change = shift = np.zeros_like(slope)
            kernels.normalize_columns_backward(
                g, rows, center, slope[None], change[None], shift[None], dx, scratch
            )
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward

    def _batch_statistics(self, rows: Array, context: Context) -> tuple[int, Array, Array, Array]:
        """Return the number of values of each feature in the batch, and the mean of those here.

        Also returns the mean and variance of those in the batch.
        """
        count, channels = rows.shape[1:]
        own, squares = context.empty((1, channels)), context.empty((1, channels))
        context.kernels.column_moments(rows, own, squares, context.workspace)
        own, squares = own[0], squares[0]
        if not context.divided:
            return count, own, own, squares / max(count, 1)
        # The sums of squares of shards differ by those of their means (Chan et al. 1979).
        parts = np.stack(context.gather(np.concatenate([[count], own, squares])))
        counts, means, all_squares = np.split(parts, [1, 1 + len(own)], axis=1)
        total = int(counts.sum())
        mean = (counts * means).sum(axis=0) / max(total, 1)
        squares = (all_squares + counts * np.square(means - mean)).sum(axis=0)
        return total, own, mean.astype(rows.dtype), (squares / max(total, 1)).astype(rows.dtype)

    def _update_running(self, context: Context, mean: Array, variance: Array) -> None:
        for name, value in (("running_mean", mean), ("running_variance", variance)):
            running = context.state[name]
            np.multiply(running, self.momentum, out=running)
            np.add(running, value * (1 - self.momentum), out=running)


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Normalization over the last axis of each example.

    y = gamma · (x - mean) / √(variance + epsilon) + beta

    Input `(..., features)` with two features or more, output of the same shape. Keras's default
    epsilon is 1e-3. Ba et al. 2016.

    Options:
        epsilon: added to the variance, > 0

    Parameters:
        gamma: (features,)
        beta: (features,)
    """

    epsilon: Positive = 1e-5
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        builder.param("gamma", shape[-1:], Ones())
        builder.param("beta", shape[-1:], Zeros())
        builder.constant = shape[-1] == 1  # a single feature minus its mean is 0
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        centered = x - x.mean(axis=-1, keepdims=True)
        variance = (centered * centered).mean(axis=-1, keepdims=True)
        normal = centered / np.sqrt(variance + self.epsilon)
        return normal * context.params["gamma"] + context.params["beta"]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        gamma, beta = context.params["gamma"], context.params["beta"]
        kernels, scratch = context.kernels, context.workspace
        rows = x.reshape(-1, x.shape[-1])
        y = context.empty(rows.shape)
        mean, scale = context.empty(rows.shape[:1]), context.empty(rows.shape[:1])
        kernels.layer_norm(rows, gamma, beta, y, mean, scale, self.epsilon, scratch)

        def backward(dy: Array) -> Array:
            gradients = context.gradients["gamma"], context.gradients["beta"]
            dx = context.empty(rows.shape)
            g = dy.reshape(rows.shape)
            kernels.layer_norm_backward(g, rows, gamma, mean, scale, dx, *gradients, scratch)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        gamma, beta = context.params["gamma"][:, None], context.params["beta"][:, None]
        kernels, scratch = context.kernels, context.workspace
        rows = x.reshape(len(gamma), -1, x.shape[-1])
        flat = rows.reshape(-1, x.shape[-1])
        normal, y = context.empty(rows.shape), context.empty(rows.shape)
        mean, scale = context.empty(flat.shape[:1]), context.empty(flat.shape[:1])
        ones, unused = scratch.ones(x.shape[-1]), context.empty((2, x.shape[-1]))
        unused.fill(0)
        # one call without gamma and beta, which differ between members
        kernels.layer_norm(
            flat, ones, unused[0], normal.reshape(flat.shape), mean, scale, self.epsilon, scratch
        )
        np.multiply(normal, gamma, out=y)
        np.add(y, beta, out=y)

        def backward(dy: Array) -> Array:
            g, of_rows = dy.reshape(rows.shape), scratch.ones(rows.shape[1])
            dnormal, dx = context.empty(rows.shape), context.empty(flat.shape)
            np.multiply(g, normal, out=dnormal)
            np.matmul(of_rows, dnormal, out=context.gradients["gamma"])
            np.matmul(of_rows, g, out=context.gradients["beta"])
            np.multiply(g, gamma, out=dnormal)
            g, (dgamma, dbeta) = dnormal.reshape(flat.shape), unused
            kernels.layer_norm_backward(g, flat, ones, mean, scale, dx, dgamma, dbeta, scratch)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward
