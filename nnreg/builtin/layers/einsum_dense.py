"""A dense layer over any axes, as an equation in Einstein's notation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Identity
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.dense import ActivatedLayer, infer_activation
from nnreg.builtin.layers.einsum_equation import Equation, equation_for
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBackward, LayerBuilder


@dataclass(frozen=True)
class EinsumDense(ActivatedLayer):
    """Dense layer over any axes, by an equation of the axes of input, weight and output.

    y = activation(einsum(equation, x, weight) + bias)

    In "abc,cd->abd" a is the batch, and the products are summed over c. "..." at the start or the
    end stands for further axes, of which the first is the batch if it is at the start. Sequences of
    different lengths are taken if the equation keeps their time axis in its place, and the weight
    and the last axis are not over it. As Keras's EinsumDense, with products of matrices.

    Options:
        equation: "input,weight->output", a letter for each axis
        output_shape: sizes of the output's letters without the batch, null for one of the input
        activation: applied to the output, over its last axis
        bias_axes: letters of the output over which a bias is added; null for no bias
        initializer: first values of weight
        bias_initializer: first values of bias

    Parameters:
        weight: (...), an axis for each of its letters
        bias: (...), the axes of the output from the first of `bias_axes` on, with 1 for others
    """

    equation: str
    output_shape: Count | tuple[Count | None, ...]
    activation: Activation = Identity()
    bias_axes: str | None = None
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True

    @classmethod
    def examples(cls) -> Iterable[Any]:
        return [
            (cls("ab,bc->ac", 3, bias_axes="c"), (4,)),
            (cls("...b,bc->...c", 3, bias_axes="c"), (5, 4)),
            (cls("abc,bd->adc", (3, None), bias_axes="d"), (5, 4)),
            (cls("abc,cde->abde", (None, 2, 3), bias_axes="be"), (5, 4)),
            (cls("abcd,bcd->abc", (None, None)), (3, 2, 4)),
            (cls("ab...,bc->ac...", 3, bias_axes="c"), (5, 4, 2)),
        ]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        try:
            equation = equation_for(self.equation, len(shape) + 1)
        except ValueError as error:
            _refuse(builder, "equation", f"{error}")
        x, y = equation.x, equation.y
        if any(builder.masks) and (x[1] != y[1] or x[1] in equation.weight or len(y) < 3):
            problem = (
                "must keep the time axis of sequences of different lengths as the second of input "
                "and output, not in the weight, and have another after it"
            )
            _refuse(builder, "equation", problem)
        sizes = dict(zip(x[1:], shape, strict=True)) | self._new_sizes(equation, shape, builder)
        weight = tuple(sizes[one] for one in equation.weight)
        builder.param("weight", weight, self.initializer, regularized=True)
        if self.bias_axes:
            if other := [one for one in self.bias_axes if one not in equation.named]:
                found = ", ".join(equation.named)
                _refuse(builder, "bias_axes", f"has {other[0]!r}; choose from {found}")
            axes = y[min(map(y.index, self.bias_axes)) :]
            bias = tuple(sizes[one] if one in self.bias_axes else 1 for one in axes)
            builder.param("bias", bias, self.bias_initializer)
        count, multiplications = equation.products(sizes)
        builder.products = [multiplications] * count
        output = tuple(sizes[one] for one in y[1:])
        builder.activation("activation", self.activation, output[-1:])
        return output

    def _new_sizes(self, equation: Equation, shape: Shape, builder: LayerBuilder) -> dict[str, int]:
        """Return the sizes of the output's letters that the input does not have."""
        given = self.output_shape if isinstance(self.output_shape, tuple) else (self.output_shape,)
        if len(given) != len(equation.named):
            letters = ", ".join(equation.named)
            problem = f"must have a size for each of {letters}, the output without the batch"
            _refuse(builder, "output_shape", problem)
        known = dict(zip(equation.x[1:], shape, strict=True))
        found = {}
        for letter, size in zip(equation.named, given, strict=True):
            if size is None and letter not in known:
                problem = f"has no size for {letter!r}, which the input does not have; give it"
                _refuse(builder, "output_shape", problem)
            if size is not None and known.get(letter, size) != size:
                problem = f"has {size} for {letter!r}, but the input has {known[letter]}; give null"
                _refuse(builder, "output_shape", problem)
            if size is not None:
                found[letter] = size
        return found

    def infer(self, x: Any, context: Context) -> Any:
        axes = equation_for(self.equation, x.ndim)
        z = np.einsum(f"{axes.x},{axes.weight}->{axes.y}", x, context.params["weight"])
        bias = context.params.get("bias")
        return infer_activation(self.activation, z if bias is None else z + bias, context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        equation = equation_for(self.equation, x.ndim)
        z, multiply_backward = equation.multiply(x, context.params["weight"], context)
        shape, bias = z.shape, context.params.get("bias")
        if bias is not None:
            np.add(z, bias, out=z)
        inner = context.children["activation"] if context.children else context
        y, backward_fn = self.activation.forward_inplace(z.reshape(-1, shape[-1]), inner)

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(dy.reshape(y.shape)).reshape(shape)
            if bias is not None:
                _sum_to(dz, context.gradients["bias"], context)
            return multiply_backward(dz)

        return y.reshape(shape), backward


def _sum_to(dz: Array, out: Array, context: Context) -> None:
    """Write the sums over the axes before those of `out`, and over those where it has 1."""
    axes = dz.shape[dz.ndim - out.ndim :]
    totals = context.empty((math.prod(axes),))
    context.kernels.sum_rows(dz.reshape(-1, len(totals)), totals, context.workspace)
    ones = tuple(axis for axis, size in enumerate(out.shape) if size == 1)
    out[...] = np.sum(totals.reshape(axes), axis=ones, keepdims=True)


def _refuse(builder: LayerBuilder, option: str, problem: str) -> NoReturn:
    raise SpecError([Problem(f"{builder.path}.{option}", problem)])
