"""Normalization of each example over its positions and groups of its channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import sum_rows
from nnreg.builtin.initializers import Ones, Zeros
from nnreg.builtin.layers.global_pooling import real_positions
from nnreg.errors import ShapeError
from nnreg.interfaces.component import Count, Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features


class _GroupNormalization(Layer):
    """A normalization whose number of groups of these channels is `_groups`."""

    epsilon: float
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def _groups(self, channels: int) -> int:
        raise NotImplementedError

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., channels)")
        require_features(shape, builder)
        groups = self._groups(shape[-1])
        if shape[-1] % groups:
            raise ShapeError(shape, f"a number of channels that is a multiple of {groups}, groups")
        builder.param("gamma", shape[-1:], Ones())
        builder.param("beta", shape[-1:], Zeros())
        builder.constant = math.prod(shape) == groups  # a single value minus its mean is 0
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        channels, real = x.shape[-1], None
        groups, positions = self._groups(channels), math.prod(x.shape[1:-1])
        rows = x.reshape(x.shape[0], positions, groups, channels // groups)
        if context.mask is not None:
            real = real_positions(context.mask, x)[:, :, None, None]

        def mean(values: Any) -> Any:
            if real is None:
                return values.mean(axis=(1, 3), keepdims=True)
            count = np.maximum(real.sum(axis=1, keepdims=True), 1) * (channels // groups)
            return np.where(real, values, 0).sum(axis=(1, 3), keepdims=True) / count

        centered = rows - mean(rows)
        normal = centered / np.sqrt(mean(centered * centered) + self.epsilon)
        return normal.reshape(x.shape) * context.params["gamma"] + context.params["beta"]

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if context.mask is not None:
            return self._masked(x, context.mask, context)
        gamma, beta = context.params["gamma"], context.params["beta"]
        kernels, scratch = context.kernels, context.workspace
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        mean, scale = self._statistics(rows, context)
        y, shape = context.empty(rows.shape), scale.shape
        slope = np.multiply(scale, gamma, out=context.empty(shape))
        shift = context.empty(shape)
        shift[...] = beta
        kernels.normalize_columns(rows, mean, slope, shift, y, scratch)

        def backward(dy: Array) -> Array:
            dx, total, products = context.empty(rows.shape), *context.empty((2, *shape))
            g = dy.reshape(rows.shape)
            kernels.column_products(g, rows, mean, total, products, scratch)
            np.multiply(products, scale, out=products)
            kernels.sum_rows(total, context.gradients["beta"], scratch)
            kernels.sum_rows(products, context.gradients["gamma"], scratch)
            for sums in (total, products):
                np.multiply(sums, gamma, out=sums)
                self._average(sums, rows.shape[1])
                np.multiply(sums, scale, out=sums)
            np.multiply(products, scale, out=products)
            kernels.normalize_columns_backward(g, rows, mean, slope, products, total, dx, scratch)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward

    def _statistics(self, rows: Array, context: Context) -> tuple[Array, Array]:
        """Return the mean and 1 / √(variance + epsilon) of the group of each channel.

        The squares of a group are those of its channels, and those of the differences of their
        means, of which no digits are lost (Chan et al. 1979). Both are `(batch, channels)`.
        """
        batch, positions, channels = rows.shape
        own, mean, squares, part = context.empty((4, batch, channels))
        context.kernels.column_moments(rows, own, squares, context.workspace)
        mean[...] = own
        self._average(mean, 1)
        np.subtract(own, mean, out=part)
        np.multiply(part, part, out=part)
        np.multiply(part, positions, out=part)
        np.add(squares, part, out=squares)
        self._average(squares, positions)
        np.sqrt(np.add(squares, self.epsilon, out=squares), out=squares)
        return mean, np.divide(1, squares, out=squares)

    def _average(self, sums: Array, positions: int) -> None:
        """Replace the sums of channels over the positions by the mean of their group."""
        batch, channels = sums.shape
        groups = self._groups(channels)
        by_group = sums.reshape(batch, groups, channels // groups)
        count = max(positions, 1) * (channels // groups)
        by_group[...] = np.sum(by_group, axis=2, keepdims=True) / count

    def _masked(self, x: Array, mask: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Normalize by the statistics of the real steps alone."""
        gamma, beta = context.params["gamma"], context.params["beta"]
        batch, channels = x.shape[0], x.shape[-1]
        positions = math.prod(x.shape[1:-1])
        rows = x.reshape(batch, positions, channels)
        mean = _Means(self._groups(channels), x, mask, context)
        normal = np.subtract(rows, mean.of(rows), out=context.empty(rows.shape))
        mean.keep_real(normal)
        scale = mean.of(np.multiply(normal, normal, out=context.empty(rows.shape)))
        np.sqrt(np.add(scale, self.epsilon, out=scale), out=scale)
        np.divide(normal, scale, out=normal)
        y = np.multiply(normal, gamma, out=context.empty(rows.shape))
        np.add(y, beta, out=y)

        def backward(dy: Array) -> Array:
            points = (batch * positions, channels)
            kernels, gradients = context.kernels, context.gradients
            kernels.sum_rows(dy.reshape(points), gradients["beta"], context.workspace)
            dx = dy.reshape(rows.shape)
            part = np.multiply(dx, normal, out=context.empty(rows.shape))
            kernels.sum_rows(part.reshape(points), gradients["gamma"], context.workspace)
            across = mean.of(np.multiply(part, gamma, out=part))
            dx = np.multiply(dx, gamma, out=context.empty(rows.shape))
            np.subtract(dx, mean.of(dx), out=dx)
            np.subtract(dx, np.multiply(normal, across, out=part), out=dx)
            np.divide(dx, scale, out=dx)
            mean.keep_real(dx)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backward


class _Means:
    """Means of `(batch, positions, channels)` over the real positions and the groups."""

    def __init__(self, groups: int, x: Array, mask: Array, context: Context) -> None:
        batch, positions, channels = x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]
        self._groups, self._context = groups, context
        self._real = context.empty((batch, positions, 1))
        self._real[...] = np.expand_dims(real_positions(mask, x), 2)
        steps = np.maximum(np.sum(self._real, axis=1), 1)
        self._count = np.multiply(steps, channels // groups, out=steps)

    def keep_real(self, rows: Array) -> None:
        """Set the values at masked steps to 0."""
        np.multiply(rows, self._real, out=rows)

    def of(self, rows: Array) -> Array:
        """Return the mean of each group as `(batch, 1, channels)`, for each of its channels."""
        batch, _, channels = rows.shape
        empty, groups = self._context.empty, self._groups
        # values at masked steps are arbitrary
        real = np.multiply(rows, self._real, out=empty(rows.shape))
        totals = empty((batch, channels))
        sum_rows(real, self._context.workspace.ones, totals)
        by_group = totals.reshape(batch, groups, channels // groups)
        means = np.sum(by_group, axis=2, out=empty((batch, groups)))
        np.divide(means, self._count, out=means)
        by_group[...] = np.expand_dims(means, 2)
        return totals.reshape(batch, 1, channels)


@dataclass(frozen=True)
class GroupNorm(_GroupNormalization):
    """Normalization of each example over its positions and the channels of each group.

    y = gamma · (x - mean) / √(variance + epsilon) + beta

    Input `(..., channels)`, output of the same shape. The mean and variance of a group are over its
    channels and all axes before them, of one example. Of sequences of different lengths
    `(time, ...)`, only the steps before the end of each count; a group of a single value becomes
    beta. As PyTorch's; Keras's default epsilon is 1e-3. Wu and He 2018.

    Options:
        groups: number of groups of channels that follow each other; 1 normalizes an example as a
            whole
        epsilon: added to the variance, > 0

    Parameters:
        gamma: (channels,)
        beta: (channels,)
    """

    groups: Count
    epsilon: Positive = 1e-5

    def _groups(self, channels: int) -> int:
        return self.groups


@dataclass(frozen=True)
class InstanceNorm(_GroupNormalization):
    """Normalization of each channel of an example over its positions.

    y = gamma · (x - mean) / √(variance + epsilon) + beta

    Input `(..., channels)` with two positions or more, output of the same shape. Of sequences of
    different lengths `(time, ...)`, only the steps before the end of each count; a sequence of one
    step becomes beta. As PyTorch's with affine=True; in Keras, a GroupNormalization with groups=-1.
    Ulyanov et al. 2016.

    Options:
        epsilon: added to the variance, > 0

    Parameters:
        gamma: (channels,)
        beta: (channels,)
    """

    epsilon: Positive = 1e-5

    def _groups(self, channels: int) -> int:
        return channels

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        output = super().build(shape, builder)
        if math.prod(shape[:-1]) < 2:
            raise ShapeError(shape, "(batch, ..., channels) with two positions or more")
        return output
