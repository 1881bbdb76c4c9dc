"""Checks of regularizers, constraints and optimizers of plugins, once before training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.optimizer_trial import trial_state
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.returned import Caller, describe
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


def check_optimizer(caller: Caller, dtype: npt.DTypeLike) -> None:
    """Check that an optimizer changes the parameters in place."""
    optimizer = caller.component
    assert isinstance(optimizer, Optimizer)
    before, gradient = (_values((7,), seed).astype(dtype) for seed in (0, 1))
    parameters = before.copy()
    vectors = {name: np.zeros_like(before) for name in optimizer.state_names}
    state = trial_state(optimizer, parameters, gradient, vectors, Workspace(dtype, reuse=False))
    returned = caller.call("update", parameters, gradient, state)
    if returned is not None and np.array_equal(parameters, before):
        found = f"returned {describe(returned)}, and did not change `parameters`"
        raise caller.error("update", f"{found}; expected it to change them in place")
    if optimizer.overrides_evaluation_parameters():
        found = caller.call("evaluation_parameters", parameters, state)
        caller.array("evaluation_parameters", found, parameters.shape, dtype)


def check_penalty(caller: Caller, w: Array) -> Array:
    """Require a penalty and its gradient for a parameter; return the gradient."""
    returned = caller.call("forward", w)
    penalty, backward = caller.pair("forward", returned, "the penalty")
    number = caller.number("forward", penalty)
    if not 0 <= number < math.inf:
        raise caller.error("forward", f"returned the penalty {number}; expected a number >= 0")
    name = "forward: the backward function"
    return caller.array(name, caller.run(name, backward), w.shape, w.dtype)


def _values(shape: Shape, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)
