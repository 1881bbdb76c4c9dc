"""A Kolmogorov-Arnold layer, Liu et al. 2024, for nnreg."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval

from nnreg import Activation, Count, Initializer, Layer, ShapeError, Units, hookimpl
from nnreg.builtin.activations import Silu
from nnreg.builtin.initializers import GlorotUniform


@dataclass(frozen=True)
class Kan(Layer):
    """y_j = Σ_i (weight_ij · base(x_i) + Σ_g coefficients_igj · B_g(x_i)), over the last axis.

    Every edge from an input to an output has its own function, learned as a sum of B-splines on a
    grid, instead of a weight; no activation is needed after it. Kolmogorov-Arnold networks, Liu et
    al. 2024. The splines, of degree `order`, divide [-span, span] into `intervals`; outside it they
    fall to 0 and `base` remains. Input: `(..., features)`; output: `(..., units)`. Parameters, both
    with `initializer`: weight `(features, units)` and coefficients `(features, intervals + order,
    units)`.
    """

    units: Units
    intervals: Count = 5
    order: Annotated[int, Interval(ge=2, le=5)] = 3
    span: Annotated[float, Ge(0.5)] = 3.0
    base: Activation = Silu()
    initializer: Initializer = GlorotUniform()
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def build(self, shape, builder):
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        if len(shape) == 1 and any(builder.masks):
            raise ShapeError(shape, "(batch, time, features) of sequences of different lengths")
        units, functions = builder.size(self.units), self.intervals + self.order
        builder.param("weight", (shape[-1], units), self.initializer, regularized=True)
        splines = (shape[-1], functions, units)
        builder.param("coefficients", splines, self.initializer, regularized=True)
        builder.activation("base", self.base, shape[-1:])
        builder.activation_count = math.prod(shape) * functions
        return (*shape[:-1], units)

    def forward(self, x, context):
        weight, coefficients = context.params["weight"], context.params["coefficients"]
        features, _, units = coefficients.shape
        table = coefficients.reshape(-1, units)
        rows = x.reshape(-1, features)
        own = context.children.get("base")  # of a base with parameters
        base, base_backward = self.base.forward(rows, own) if own else self.base.forward(rows)
        width = 2 * self.span / self.intervals
        splines, lower = b_splines((rows + self.span) / width, self.intervals, self.order)
        flat = splines.reshape(-1, table.shape[0])
        y = np.matmul(base, weight, out=context.empty((rows.shape[0], units)))
        y += np.matmul(flat, table, out=context.empty(y.shape))

        def backward(dy):
            dy = dy.reshape(-1, units)
            np.matmul(base.T, dy, out=context.gradients["weight"])
            np.matmul(flat.T, dy, out=context.gradients["coefficients"].reshape(table.shape))
            if not context.needs_input_gradient and own is None:
                return None
            dsplines = np.matmul(dy, table.T, out=context.empty(flat.shape)).reshape(splines.shape)
            slopes = (lower[..., :-1] - lower[..., 1:]) / width
            dbase = np.matmul(dy, weight.T, out=context.empty(rows.shape))
            return (base_backward(dbase) + np.sum(dsplines * slopes, axis=-1)).reshape(x.shape)

        return y.reshape((*x.shape[:-1], units)), backward


def b_splines(t, intervals, order):
    """Return the B-splines of degree `order` at t, and those of one degree less.

    The knots are integers: function g is nonzero between g - order and g + 1. There are
    intervals + order functions, on a new last axis, and one more of the lower degree. Computed by
    the recursion of de Boor 1972; the slope of a function is the difference of two lower ones.
    """
    offset = t[..., None] - np.arange(-order, intervals + order, dtype=t.dtype)
    functions = ((offset >= 0) & (offset < 1)).astype(t.dtype)
    for degree in range(1, order + 1):
        lower, offset = functions, offset[..., :-1]
        rising, falling = offset / degree, (degree + 1 - offset) / degree
        functions = rising * lower[..., :-1] + falling * lower[..., 1:]
    return functions, lower


@hookimpl
def nnreg_layers():
    return {"kan": Kan}
