"""The base class of constraints."""

from __future__ import annotations

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component


class Constraint(Component):
    """A condition on a parameter, which is met again after each update."""

    kind = "constraint"

    def check_shape(self, shape: Shape) -> None:
        """Raise `ValueError` with the reason if it is not for a parameter of this shape."""

    def project(self, w: Array) -> Array:
        """Return the values nearest to those of a parameter that meet the condition."""
        raise NotImplementedError
