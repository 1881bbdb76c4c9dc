"""What the conformance checks of regularizers and constraints share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.regularizer import Regularizer
from nnreg.testing.finite_differences import points
from nnreg.training.parameter_checks import SHAPES, shapes_taken

EXTREMES = (0.0, 1e-20, 1e4, 1e20)


def accepted(component: Regularizer | Constraint) -> Iterator[Array]:
    """Yield values of each shape that a component takes; fail if there is none."""
    shapes = list(shapes_taken(component))
    for shape in shapes:
        yield points(shape)
    if not shapes:
        raise AssertionError(f"{component}: check_shape refuses all of the shapes {SHAPES}")


def extreme(component: Regularizer | Constraint) -> Iterator[Array]:
    """Yield float32 values of extreme sizes in each of these shapes."""
    for values in accepted(component):
        for size in EXTREMES:
            yield (size * np.sign(values)).astype(np.float32)
