"""Layers that replace each number of a table by a vector of periodic functions of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Relu
from nnreg.builtin.initializers import GlorotUniform, Normal, Zeros
from nnreg.builtin.layers.dense import infer_activation
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count, Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.features import Features
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features


@dataclass(frozen=True)
class _PerFeature(Initializer):
    """The same distribution for the weight of each feature, `(features, inputs, outputs)`."""

    each: Initializer

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.stack([self.each.draw(shape[1:], rng) for _ in range(shape[0])])


@dataclass(frozen=True)
class PeriodicEmbedding(Layer):
    """A trained vector for each number of a table, from its sines and cosines.

    y = activation([cos(2π c x), sin(2π c x)] · weight + bias), for each number x

    Input `(..., features)`, output the features that are not numbers, unchanged and in their order,
    and then the vectors in the order of the numbers. Numbers are the features of `number` and other
    encoders of numbers; positions and one-hot encoded categories, and indicators of missing values,
    are not. Without preprocessing, as after another layer, all features are. It may precede or
    follow `column_embedding`. With `shared` weights it is PLR (lite). The numbers should be scaled.
    Gorishniy et al. 2022; numbers kept beside their vectors: Holzmüller et al. 2024.

    Options:
        units: length of the vector of a number
        frequencies: number of frequencies c of a number
        sigma: standard deviation of the first frequencies; larger for a target that changes with
            small differences of a number
        shared: whether all numbers have the same weight and bias
        keep_numbers: whether the numbers stay too, in their places
        activation: applied to the vectors
        initializer: first values of weight

    Parameters:
        frequencies: (numbers, frequencies)
        weight: (...), (numbers, 2 · frequencies, units), or (2 · frequencies, units) if `shared`
        bias: (...), (numbers, units), or (units,) if `shared`
    """

    units: Count = 8
    frequencies: Count = 16
    sigma: Positive = 0.1
    shared: bool = False
    keep_numbers: bool = False
    activation: Activation = Relu()
    initializer: Initializer = GlorotUniform()
    takes_indices = True
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        numbers, kept = self._places(builder.features, shape[-1])
        builder.output_features = (builder.features or Features()).taken(kept)
        if not numbers:
            return shape
        count, inputs = len(numbers), 2 * self.frequencies
        each = () if self.shared else (count,)
        initializer = self.initializer if self.shared else _PerFeature(self.initializer)
        builder.param("frequencies", (count, self.frequencies), Normal(std=self.sigma))
        builder.param("weight", (*each, inputs, self.units), initializer, regularized=True)
        builder.param("bias", (*each, self.units), Zeros())
        positions = math.prod(shape[:-1])
        product = positions * inputs * self.units
        builder.products = [count * product] if self.shared else [product] * count
        builder.activation_count = positions * count * (3 * inputs + 2 * self.units)
        builder.activation("activation", self.activation, (self.units,))
        return (*shape[:-1], len(kept) + count * self.units)

    def _places(self, features: Features | None, width: int) -> tuple[list[int], list[int]]:
        """Return the places of the numbers, and of the features that stay."""
        numbers = list(range(width) if features is None else features.numbers)
        known = set() if self.keep_numbers else set(numbers)
        return numbers, [place for place in range(width) if place not in known]

    def infer(self, x: Any, context: Context) -> Any:
        numbers, kept = self._places(context.features, x.shape[-1])
        if not numbers:
            return x
        params = context.params
        angles = np.take(x, numbers, axis=-1)[..., None] * (2 * math.pi * params["frequencies"])
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
        weight = params["weight"]
        z = waves @ weight if self.shared else (waves[..., None, :] @ weight)[..., 0, :]
        vectors = infer_activation(self.activation, z + params["bias"], context)
        width = len(numbers) * self.units
        flat = vectors.reshape(*x.shape[:-1], width)
        return np.concatenate([np.take(x, kept, axis=-1), flat], axis=-1) if kept else flat

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        width = x.shape[-1]
        numbers, kept = self._places(context.features, width)
        if not numbers:
            return x, lambda dy: dy
        rows = x.reshape(math.prod(x.shape[:-1]), width)
        count, units = len(numbers), self.units
        frequencies, bias = context.params["frequencies"], context.params["bias"]
        each = context.copy(rows[:, numbers].T)  # (numbers, rows)
        waves = context.empty((count, len(rows), 2 * self.frequencies))
        cosines, sines = waves[..., : self.frequencies], waves[..., self.frequencies :]
        angles = context.empty(cosines.shape)
        np.multiply(each[:, :, None], (2 * math.pi * frequencies)[:, None], out=angles)
        np.cos(angles, out=cosines)
        np.sin(angles, out=sines)
        z = context.empty((count, len(rows), units))
        for waves_in, weight, out in self._products(waves, context.params["weight"], z):
            context.workspace.dot(waves_in, weight, out=out)
        np.add(z, bias if self.shared else bias[:, None], out=z)
        inner = context.children["activation"] if context.children else context
        vectors, backward_fn = self.activation.forward_inplace(z.reshape(-1, units), inner)
        y = context.empty((len(rows), len(kept) + count * units))
        y[:, : len(kept)] = rows[:, kept]
        vectors = vectors.reshape(z.shape).transpose(1, 0, 2)
        y[:, len(kept) :].reshape(vectors.shape)[...] = vectors

        def backward(dy: Array) -> Array | None:
            dy = dy.reshape(y.shape)
            dvectors = dy[:, len(kept) :].reshape(len(rows), count, units).transpose(1, 0, 2)
            dz = backward_fn(context.copy(dvectors).reshape(-1, units)).reshape(z.shape)
            gradients, dwaves = context.gradients, context.empty(waves.shape)
            products = self._products(waves, context.params["weight"], dz, dwaves)
            dweights = gradients["weight"] if not self.shared else [gradients["weight"]]
            for (waves_in, weight, dout, din), dweight in zip(products, dweights, strict=True):
                context.workspace.dot(waves_in.T, dout, out=dweight)
                context.workspace.dot(dout, weight.T, out=din)
            axes = (0, 1) if self.shared else 1
            np.sum(dz, axis=axes, out=gradients["bias"])
            dcosines, dsines = dwaves[..., : self.frequencies], dwaves[..., self.frequencies :]
            np.multiply(dsines, cosines, out=angles)
            np.multiply(dcosines, sines, out=dcosines)
            np.subtract(angles, dcosines, out=angles)
            np.multiply(angles, 2 * math.pi, out=angles)
            if context.needs_input_gradient:
                dx = context.empty(rows.shape)
                dx.fill(0)
                dx[:, kept] = dy[:, : len(kept)]
                np.multiply(angles, frequencies[:, None], out=dsines)
                dx[:, numbers] += np.sum(dsines, axis=2).T
            np.multiply(angles, each[:, :, None], out=angles)
            np.sum(angles, axis=1, out=gradients["frequencies"])
            return dx.reshape(x.shape) if context.needs_input_gradient else None

        return y.reshape((*x.shape[:-1], y.shape[1])), backward

    def _products(self, waves: Array, weight: Array, *others: Array) -> list[tuple[Array, ...]]:
        """Return the matrices of each product: one of all numbers if `shared`, else one of each."""
        if not self.shared:
            return list(zip(waves, weight, *others, strict=True))
        arrays = [one.reshape(-1, one.shape[-1]) for one in (waves, *others)]
        return [(arrays[0], weight, *arrays[1:])]
