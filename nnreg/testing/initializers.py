"""The conformance checks of initializers. Each takes one instance."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Shape
from nnreg.interfaces.initializer import Initializer
from nnreg.testing.assertions import finite, same, shape

SHAPES = ((4,), (6, 5), (3, 3, 2, 4), (1, 1))


def shapes(initializer: Initializer) -> None:
    """It draws finite numbers of the given shape, for biases, weights and kernels."""
    if not (taken := _shapes(initializer)):
        raise AssertionError(f"{initializer}: check_shape refuses all of the shapes {SHAPES}")
    for expected in taken:
        values = initializer.draw(expected, np.random.default_rng(0))
        shape(initializer, f"the array drawn for {expected}", values, expected)
        finite(initializer, f"a value drawn for {expected}", values)


def repeatable(initializer: Initializer) -> None:
    """It depends on the generator alone: results for an equal one are bit-identical."""
    for expected in _shapes(initializer):
        first, again = (initializer.draw(expected, np.random.default_rng(3)) for _ in range(2))
        same(initializer, f"the array drawn for {expected} from an equal generator", again, first)


def _shapes(initializer: Initializer) -> Sequence[Shape]:
    """Return the shapes of which it draws values."""
    found = []
    for tried in SHAPES:
        with contextlib.suppress(ValueError):
            initializer.check_shape(tried)
            found.append(tried)
    return found


CHECKS = (shapes, repeatable)


def checks_of(cls: type[Initializer]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(initializer: Initializer) -> Sequence[Initializer]:
    """Return the arguments of the checks."""
    return [initializer]
