"""The conformance checks of regularizers. Each takes one instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.returned import Caller
from nnreg.testing.assertions import TOLERANCE, close, finite, same
from nnreg.testing.finite_differences import central_difference
from nnreg.testing.penalties import accepted, extreme
from nnreg.testing.strict_arrays import as_strict, unwrap
from nnreg.training.parameter_checks import check_penalty


def returns(regularizer: Regularizer) -> None:
    """It returns a number >= 0, and a function that returns an array of the parameter's shape."""
    for w in accepted(regularizer):
        check_penalty(Caller(regularizer), w)


def gradient(regularizer: Regularizer) -> None:
    """The gradient agrees with central differences, in float64."""
    for w in accepted(regularizer):
        found, x = regularizer.forward(w.copy())[1](), w.copy()
        expected = central_difference(lambda x=x: regularizer.forward(x)[0], x)  # type: ignore[misc]
        close(regularizer, "the gradient", found, expected, TOLERANCE)


def extremes(regularizer: Regularizer) -> None:
    """The gradient is finite at values of 0 and up to 10,000, in float32."""
    for w in extreme(regularizer):
        if np.max(np.abs(w)) <= 1e4:
            finite(regularizer, "the gradient", regularizer.forward(w)[1]())


def float32(regularizer: Regularizer) -> None:
    """The gradient in float32 is float32, and agrees with that in float64."""
    for w in accepted(regularizer):
        found = regularizer.forward(w.astype(np.float32))[1]()
        if found.dtype != np.float32:
            raise AssertionError(f"{regularizer}: the gradient in float32 became {found.dtype}")
        close(regularizer, "the gradient in float32", found, regularizer.forward(w)[1](), 1e-4)


def inputs_unchanged(regularizer: Regularizer) -> None:
    """The parameter is not modified."""
    for w in accepted(regularizer):
        before = w.copy()
        regularizer.forward(w)[1]()
        same(regularizer, "the parameter", w, before)


def repeatable(regularizer: Regularizer) -> None:
    """Results for the same parameter are bit-identical."""
    for w in accepted(regularizer):
        (first, one), (again, other) = (regularizer.forward(w.copy()) for _ in range(2))
        same(regularizer, "the penalty", np.asarray(again), np.asarray(first))
        same(regularizer, "the gradient", other(), one())


def dispatch(regularizer: Regularizer) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    for w in accepted(regularizer):
        found = unwrap(regularizer.forward(as_strict(w.copy()))[1]())
        what = "the gradient of another array type"
        close(regularizer, what, found, regularizer.forward(w)[1](), 1e-12)


CHECKS = (returns, gradient, extremes, float32, inputs_unchanged, repeatable, dispatch)


def checks_of(cls: type[Regularizer]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return [check for check in CHECKS if cls.exact_gradient or check is not gradient]


def cases(regularizer: Regularizer) -> Sequence[Regularizer]:
    """Return the arguments of the checks."""
    return [regularizer]
