"""What the features of an input are: numbers, positions of categories, or others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnreg.errors import Problem, SpecError

MAX_SHOWN = 3
"""The most columns that an error names."""


@dataclass(frozen=True)
class Features:
    """What the features of a value are, by their places on its last axis.

    `numbers` are scaled numbers, `indices` are positions of categories, each with the number of
    categories, and `columns` has the column of the data of each of these. Others are neither, such
    as those of a one-hot encoded category.
    """

    numbers: tuple[int, ...] = ()
    indices: Mapping[int, int] = field(default_factory=dict)
    columns: Mapping[int, str] = field(default_factory=dict)

    def taken(self, places: Sequence[int]) -> Features:
        """Return what the features at these places of a value are, in this order."""
        known, now = set(self.numbers), list(enumerate(places))
        numbers = tuple(place for place, before in now if before in known)
        indices = {place: self.indices[before] for place, before in now if before in self.indices}
        columns = {place: self.columns[before] for place, before in now if before in self.columns}
        return Features(numbers, indices, columns)


def refuse_indices(layer: Any, plan: Any, inputs: Sequence[Features | None]) -> None:
    """Raise `SpecError` if positions of categories reach a layer that would compute with them."""
    if layer.takes_indices or plan.integer:  # a layer that takes integers looks them up
        return
    names = [name for one in inputs if one is not None for name in one.columns.values()]
    if names:
        shown = ", ".join(map(repr, names[:MAX_SHOWN])) + ", …" * (len(names) > MAX_SHOWN)
        problem = (
            f"the input has positions of categories, not numbers, of {shown}; begin with "
            'column_embedding, or choose another encoder than "index" in data.columns'
        )
        raise SpecError([Problem(plan.path, problem)])
