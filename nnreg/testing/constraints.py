"""The conformance checks of constraints. Each takes one instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.returned import Caller
from nnreg.testing.assertions import close, finite, same
from nnreg.testing.penalties import accepted, extreme
from nnreg.testing.strict_arrays import as_strict, unwrap


def returns(constraint: Constraint) -> None:
    """It returns an array of the parameter's shape and type."""
    for w in accepted(constraint):
        caller = Caller(constraint)
        caller.array("project", caller.call("project", w), w.shape, w.dtype)


def extremes(constraint: Constraint) -> None:
    """Values stay finite if they are 0, or up to 1e20, in float32."""
    for w in extreme(constraint):
        finite(constraint, "a value", constraint.project(w))


def float32(constraint: Constraint) -> None:
    """Values in float32 are float32, and agree with those in float64."""
    for w in accepted(constraint):
        found = constraint.project(w.astype(np.float32))
        if found.dtype != np.float32:
            raise AssertionError(f"{constraint}: values in float32 became {found.dtype}")
        close(constraint, "a value in float32", found, constraint.project(w), 1e-5)


def settles(constraint: Constraint) -> None:
    """A second projection changes the values no more than the first."""
    for w in accepted(constraint):
        once = constraint.project(w)
        first, second = (np.max(np.abs(constraint.project(one) - one)) for one in (w, once))
        if not second <= first + 1e-9:
            raise AssertionError(
                f"{constraint}: the first projection changes a value by {first:.3g}, the second by "
                f"{second:.3g}"
            )


def inputs_unchanged(constraint: Constraint) -> None:
    """The parameter is not modified."""
    for w in accepted(constraint):
        before = w.copy()
        constraint.project(w)
        same(constraint, "the parameter", w, before)


def repeatable(constraint: Constraint) -> None:
    """Results for the same parameter are bit-identical."""
    for w in accepted(constraint):
        same(constraint, "the value", constraint.project(w), constraint.project(w))


def dispatch(constraint: Constraint) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    for w in accepted(constraint):
        found = unwrap(constraint.project(as_strict(w)))
        close(constraint, "a value of another array type", found, constraint.project(w), 1e-12)


CHECKS = (returns, extremes, float32, settles, inputs_unchanged, repeatable, dispatch)


def checks_of(cls: type[Constraint]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(constraint: Constraint) -> Sequence[Constraint]:
    """Return the arguments of the checks."""
    return [constraint]
