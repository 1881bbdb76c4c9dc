"""The conformance checks of initializers. Each takes one instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg.interfaces.initializer import Initializer
from nnreg.testing.assertions import finite, same, shape

SHAPES = ((4,), (6, 5), (3, 3, 2, 4), (1, 1))


def shapes(initializer: Initializer) -> None:
    """It draws finite numbers of the given shape, for biases, weights and kernels."""
    for expected in SHAPES:
        values = initializer.draw(expected, np.random.default_rng(0))
        shape(initializer, f"the array drawn for {expected}", values, expected)
        finite(initializer, f"a value drawn for {expected}", values)


def repeatable(initializer: Initializer) -> None:
    """It depends on the generator alone: results for an equal one are bit-identical."""
    for expected in SHAPES:
        first, again = (initializer.draw(expected, np.random.default_rng(3)) for _ in range(2))
        same(initializer, f"the array drawn for {expected} from an equal generator", again, first)


CHECKS = (shapes, repeatable)


def checks_of(cls: type[Initializer]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(initializer: Initializer) -> Sequence[Initializer]:
    """Return the arguments of the checks."""
    return [initializer]
