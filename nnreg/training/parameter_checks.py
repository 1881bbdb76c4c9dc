"""Checks of regularizers and constraints of plugins, once before training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.returned import Caller
from nnreg.training.gradient_check import wrong_gradient

SHAPES: tuple[Shape, ...] = ((4,), (4, 3), (2, 2, 3, 4))
"""The shapes of a bias, a weight and a kernel."""


def shapes_taken(component: Regularizer | Constraint) -> Iterator[Shape]:
    """Yield those of `SHAPES` that a component takes."""
    for shape in SHAPES:
        try:
            component.check_shape(shape)
        except ValueError:
            continue
        yield shape


def check_constraint(caller: Caller, dtype: npt.DTypeLike) -> None:
    """Check what a constraint returns."""
    constraint = caller.component
    assert isinstance(constraint, Constraint)
    for shape in caller.run("check_shape", lambda: list(shapes_taken(constraint))):
        w = _values(shape).astype(dtype)
        caller.array("project", caller.call("project", w), shape, dtype)


def check_regularizer(caller: Caller, dtype: npt.DTypeLike) -> str:
    """Check what a regularizer returns; return what is wrong with its gradient, if anything."""
    regularizer = caller.component
    assert isinstance(regularizer, Regularizer)
    for shape in caller.run("check_shape", lambda: list(shapes_taken(regularizer))):
        check_penalty(caller, _values(shape).astype(dtype))
        x = _values(shape)
        dx = check_penalty(caller, x)
        wrong = wrong_gradient(lambda at: float(regularizer.forward(at)[0]), x, dx)
        if wrong and regularizer.exact_gradient:
            return wrong
    return ""


def check_penalty(caller: Caller, w: Array) -> Array:
    """Require a penalty and its gradient for a parameter; return the gradient."""
    returned = caller.call("forward", w)
    penalty, backward = caller.pair("forward", returned, "the penalty")
    number = caller.number("forward", penalty)
    if not 0 <= number < math.inf:
        raise caller.error("forward", f"returned the penalty {number}; expected a number >= 0")
    name = "forward: the backward function"
    return caller.array(name, caller.run(name, backward), w.shape, w.dtype)


def _values(shape: Shape) -> Array:
    return np.random.default_rng(0).normal(size=shape)
