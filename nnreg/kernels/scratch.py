"""Where kernels get their temporary arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy.typing as npt

from nnreg._types import Array, Shape


class ScratchSpace(Protocol):
    """A provider of temporary arrays for kernels, such as `nnreg.interfaces.Workspace`."""

    @property
    def dot(self) -> Callable[..., Any]:
        """Multiplies two matrices into `out`."""

    @property
    def divides_products(self) -> bool:
        """Whether threads share large products, which should then not be divided otherwise."""

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array whose values are arbitrary."""

    def ones(self, count: int) -> Array:
        """Return a vector of ones, which must not be modified."""

    def scalars(self, *values: float) -> Sequence[Array]:
        """Return these numbers as arrays without axes, which NumPy takes faster than numbers."""
