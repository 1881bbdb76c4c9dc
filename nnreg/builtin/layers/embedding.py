"""Layers with a trained vector for each category."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import Uniform
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.global_pooling import GlobalAveragePool
from nnreg.errors import DataError, Problem, ShapeError, SpecError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.features import Features
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder, PairForward
from nnreg.interfaces.masks import require_features
from nnreg.interfaces.passes import HasForward, OfMembers, chain
from nnreg.operations.functions import gather
from nnreg.operations.recorded import require


@dataclass(frozen=True)
class Embedding(Layer):
    """A trained vector for each integer.

    y = weight[x]

    Input of any shape, integers from 0 to vocabulary - 1; output `(..., units)`.

    Options:
        vocabulary: number of different integers
        units: length of the vectors
        initializer: first values of weight

    Parameters:
        weight: (vocabulary, units)
    """

    vocabulary: Count
    units: Count
    initializer: Initializer = Uniform()
    integer_input = True
    joined_kernel = "mean_by_index"
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def transposed(self, params: Mapping[str, Param]) -> Layer:
        return Dense(self.vocabulary, bias=False)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        builder.param("weight", (self.vocabulary, self.units), self.initializer, regularized=True)
        builder.products = ()
        return (*shape, self.units)

    def check_input(self, x: Array) -> None:
        if not np.all((x >= 0) & (x < self.vocabulary) & (x == np.floor(x))):
            raise DataError(
                f"embedding takes integers from 0 to {self.vocabulary - 1}, but the input has "
                f"values from {np.min(x)} to {np.max(x)}; raise 'vocabulary' or fix the data"
            )

    def infer(self, x: Any, context: Context) -> Any:
        weight, indices = context.params["weight"], x.astype(np.int64)
        last = len(weight) - 1
        valid = (indices >= 0) & (indices <= last)
        axes = tuple(range(1, x.ndim))
        require(np.all(valid, axis=axes) if axes else valid, f"integers from 0 to {last}")
        return gather(weight, np.clip(indices, 0, last))  # a program must not read beyond it

    def joined(self, following: Layer) -> PairForward | None:
        return self._mean if isinstance(following, GlobalAveragePool) else None

    def _mean(self, x: Array, context: Context, following: Context) -> tuple[Array, LayerBackward]:
        """Compute the mean of the vectors without an array of them all."""
        if following.mask is not None:
            return chain(((self, context), (GlobalAveragePool(), following)), x)
        index = x.reshape(len(x), math.prod(x.shape[1:])).astype(np.intp)

        def backward(dy: Array) -> None:
            gradient, workspace = context.gradients["weight"], context.workspace
            context.kernels.mean_by_index_backward(dy, index, gradient, workspace)

        y = context.empty((len(x), self.units))
        context.kernels.mean_by_index(context.params["weight"], index, y, context.workspace)
        return y, backward

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        index = x.astype(np.intp)

        def backward(dy: Array) -> None:
            gradient = context.gradients["weight"]
            rows = dy.reshape(-1, gradient.shape[1])
            context.kernels.sum_by_index(rows, index.reshape(-1), gradient)

        return np.take(context.params["weight"], index, axis=0), backward

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight = context.params["weight"]
        members, _, units = weight.shape
        index = x.astype(np.intp)
        rows = index.reshape(members, -1)

        def backward(dy: Array) -> None:
            parts = dy.reshape(*rows.shape, units)
            for gradient, part, own in zip(context.gradients["weight"], parts, rows, strict=True):
                context.kernels.sum_by_index(part, own, gradient)

        y = weight[np.arange(members)[:, None], rows]
        return y.reshape(*index.shape, units), backward


MOST_EXACT = 2**24
"""The most categories whose positions float32 has exactly."""


@dataclass(frozen=True)
class ColumnEmbedding(Layer):
    """A trained vector for each category of each column that `index` encodes, beside numbers.

    y = [x without the positions, weight₁[x₁], weight₂[x₂], …]

    Input `(..., features)`, output the other features, unchanged and in their order, and then the
    vectors in the order of the columns. Which features are positions, and of how many categories,
    is known from `data.columns`; without such a column the output is the input, so that one list of
    layers suits any table. It is the first layer, or follows `periodic_embedding`. The vectors of
    unknown and of missing categories keep their first values where training has none. Guo and
    Berkhahn 2016; the default of `units` is that of fastai, which has at most 600.

    Options:
        units: length of each vector; null for one that grows with the n positions of a column,
            1.6 · n^0.56 rounded, at most 50
        initializer: first values of the weights

    Parameters:
        columns/K/weight: (positions, units) of the K-th of these columns, from 0
    """

    units: Count | None = None
    initializer: Initializer = Uniform()
    takes_indices = True
    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        features = builder.features or Features()
        others = _others(features, shape[-1])
        builder.output_features = features.taken(others)
        width = len(others)
        for number, count in enumerate(features.indices.values()):
            if count > MOST_EXACT:
                problem = f"a column has {count:,} categories; set max_categories in data.columns"
                raise SpecError([Problem(builder.path, problem)])
            units = self.units or min(50, round(1.6 * count**0.56))
            embedding = Embedding(count, units, self.initializer)
            builder.layer(f"columns/{number}", embedding, shape[:-1], path=builder.path)
            width += units
        return (*shape[:-1], width)

    def infer(self, x: Any, context: Context) -> Any:
        features = context.features
        if features is None or not features.indices:
            return x
        others = _others(features, x.shape[-1])
        parts = [np.take(x, others, axis=-1)] if others else []
        for number, place in enumerate(features.indices):
            own = context.children[f"columns/{number}"]
            parts.append(gather(own.params["weight"], x[..., place].astype(np.int64)))
        return np.concatenate(parts, axis=-1)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return self._beside(x, context, Embedding(1, 1))

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return self._beside(x, context, OfMembers(Embedding(1, 1)))

    def _beside(
        self, x: Array, context: Context, embedding: HasForward
    ) -> tuple[Array, LayerBackward]:
        """Run with an embedding, whose options are those of its arrays."""
        features = context.features
        if features is None or not features.indices:
            return x, lambda dy: dy
        others = _others(features, x.shape[-1])
        parts, backwards = [np.take(x, others, axis=-1)], list[LayerBackward]()
        for number, place in enumerate(features.indices):
            vectors, backward_fn = embedding.forward(
                x[..., place], context.children[f"columns/{number}"]
            )
            parts.append(vectors)
            backwards.append(backward_fn)
        ends = list(itertools.accumulate(part.shape[-1] for part in parts))
        y = np.concatenate(parts, axis=-1, out=context.empty((*x.shape[:-1], ends[-1])))

        def backward(dy: Array) -> Array | None:
            unchanged, *vectors = np.split(dy, ends[:-1], axis=-1)
            for dvectors, backward_fn in zip(vectors, backwards, strict=True):
                backward_fn(dvectors)
            if not context.needs_input_gradient:
                return None
            dx = context.empty(x.shape)
            dx.fill(0)
            dx[..., others] = unchanged
            return dx

        return y, backward


def _others(features: Features, width: int) -> list[int]:
    """Return the features of a value that are not positions of categories."""
    return [place for place in range(width) if place not in features.indices]
