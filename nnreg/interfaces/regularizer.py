"""The base class of regularizers."""

from __future__ import annotations

from collections.abc import Callable

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component


class Regularizer(Component):
    """A penalty on a parameter, which is added to what training minimizes."""

    kind = "regularizer"

    def check_shape(self, shape: Shape) -> None:
        """Raise `ValueError` with the reason if it is not for a parameter of this shape."""

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        """Return the penalty of a parameter, and the function that returns its gradient."""
        raise NotImplementedError
