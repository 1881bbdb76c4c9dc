"""Encoders of arrays of numbers."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Self

from annotated_types import Ge

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation_of_chunks, scale_of, standardize
from nnreg.builtin.encoders.numbers import Scaling, moments
from nnreg.errors import DataError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned


@dataclass(frozen=True)
class Values(Encoder):
    """An array of numbers, such as an image, scaled by one mean and deviation for all of them.

    y = (x - mean) / std

    It is the only column of its input.

    Options:
        scaling: "standard" for the mean and standard deviation of the training rows, "none" for 0
            and 1; null for `data.scaling`.

    Learned:
        mean: Subtracted.
        std: Divided by.
        shape: The shape of an array.
        integer: Whether the values are integers, for a layer that takes these.
    """

    takes = "arrays"
    numeric = True

    scaling: Scaling | None = None
    shape: tuple[Annotated[int, Ge(0)], ...] = learned(())
    mean: float = learned(0.0)
    std: Positive = learned(1.0)
    integer: bool = learned(False, required=False)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the shape, the mean and the standard deviation."""
        known = replace(self, shape=tuple(column.shape[1:]))
        if self.integer:
            return known
        if not column.in_file:
            mean, std = moments(column.values, self.scaling)
            return replace(known, mean=mean, std=std)
        with closing(column.chunks()) as chunks:
            values = (_complete(chunk).reshape(-1) for chunk in chunks)
            if not math.prod(column.shape):
                return known
            center, deviation = mean_and_deviation_of_chunks(values)
        if self.scaling == "none":
            return known
        return replace(known, mean=float(center), std=float(scale_of(center, deviation)))

    def encode(self, column: RawColumn) -> Array:
        """Return the scaled arrays."""
        shape = column.shape[1:]
        if shape != self.shape:
            raise DataError(
                f"{column.table.origin}: column {column.name!r} has examples of shape "
                f"{shape}; the model expects {self.shape}"
            )
        values = column.values
        return values if self.integer else standardize(values, self.mean, self.std)


def _complete(column: RawColumn) -> Array:
    column.require_complete()
    return column.values
