"""Several arrays with the same rows, such as the inputs of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from nnreg._types import Array
from nnreg.tables.lazy import Column
from nnreg.tables.padded import Padded, concatenate_padded
from nnreg.tables.relative import RelativeTargets, concatenate_relative
from nnreg.tables.windows import Windows


class NamedArrays:
    """Arrays by name, with one row per example. A name selects an array, anything else rows.

    Some may be `Padded` or `Windows`.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays: dict[str, Any] = dict(arrays)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @overload
    def __getitem__(self, key: str) -> Any: ...
    @overload
    def __getitem__(self, key: slice | Array) -> NamedArrays: ...
    def __getitem__(self, key: str | slice | Array) -> Any:
        """Return an array by its name, or these rows of all."""
        if isinstance(key, str):
            return self.arrays[key]
        return self.each(lambda array: array[key])

    def each(self, function: Callable[[Any], Any]) -> NamedArrays:
        """Return the results of a function for each array."""
        return NamedArrays({name: function(array) for name, array in self.arrays.items()})

    @property
    def nbytes(self) -> int:
        """The size of all arrays in bytes."""
        return sum(array.nbytes for array in self.arrays.values())


Inputs: TypeAlias = Column | Padded | Windows | NamedArrays
"""The input of a network, or its inputs by name."""


def concatenate(parts: Sequence[Any]) -> Any:
    """Return the rows of several parts: of arrays, or of these classes by which they are kept."""
    first = parts[0]
    if isinstance(first, Padded):
        return concatenate_padded(parts)
    if isinstance(first, RelativeTargets):
        return concatenate_relative(parts)
    if not isinstance(first, NamedArrays):
        return np.concatenate(parts)
    return NamedArrays({name: concatenate([part[name] for part in parts]) for name in first.arrays})
