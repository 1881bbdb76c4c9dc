"""Layers that contain layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape, Shapes
from nnreg.errors import Problem, ShapeError, SpecError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.passes import HasForward, OfMembers, chain, infer


@dataclass(frozen=True)
class Residual(Layer):
    """Layers with a skip connection around them.

    y = x + layers(x)

    Input of any shape that the layers keep. He et al. 2015.

    Options:
        layers: the layers, in order
    """

    layers: tuple[Layer, ...]
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        output = builder.chain(self.layers, shape)
        if output != shape:
            raise ShapeError(shape, f"inputs whose shape its layers keep; these return {output}")
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return x + infer(zip(self.layers, context.children.values(), strict=True), x)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return self._around(x, context, self.layers)

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return self._around(x, context, map(OfMembers, self.layers))

    def _around(
        self, x: Array, context: Context, layers: Iterable[HasForward]
    ) -> tuple[Array, LayerBackward]:
        y, backward_fn = chain(zip(layers, context.children.values(), strict=True), x)

        def backward(dy: Array) -> Array:
            dx = backward_fn(dy)
            return dy if dx is None else np.add(dx, dy, out=context.empty(x.shape))

        return np.add(x, y, out=context.empty(x.shape)), backward


@dataclass(frozen=True)
class Stack(Layer):
    """A list of layers, repeated with weights of their own.

    y = layers(… layers(x))

    Input of any shape that the layers take, and if they are repeated also return.

    Options:
        layers: the layers, in order
        times: number of repetitions
    """

    layers: tuple[Layer, ...]
    times: Count = 1
    independent = True
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shapes:
        if self.times == 1:
            several: Shapes = builder.chain(self.layers, shape)
            return several
        integer, mask = builder.integer, next(iter(builder.masks), None)
        for index in range(self.times):
            once = replace(self, times=1)
            if not isinstance(shape, tuple):
                problem = f"repeats layers with several outputs, {', '.join(shape)}; read one last"
                raise SpecError([Problem(builder.path, problem)])
            name, path = str(index), builder.path
            shape = builder.layer(name, once, shape, integer=integer, mask=mask, path=path)
            integer, mask = None, builder.children[name][1].output_mask
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return infer(zip(self._steps(), context.children.values(), strict=True), x)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return chain(zip(self._steps(), context.children.values(), strict=True), x)

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        steps = map(OfMembers, self._steps())
        return chain(zip(steps, context.children.values(), strict=True), x)

    def _steps(self) -> Sequence[Layer]:
        return self.layers if self.times == 1 else [replace(self, times=1)] * self.times
