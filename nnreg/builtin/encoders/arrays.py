"""Encoders of arrays of numbers."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean_and_deviation_of_chunks, scale_of
from nnreg.builtin.encoders.scaling import (
    WHOLE,
    Scale,
    ScaleInParts,
    Scaling,
    learn_scale,
    require_ascending,
    require_in_domain,
    scale_of_encoder,
)
from nnreg.errors import DataError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, Learner, RawColumn, learned


@dataclass(frozen=True)
class Values(Encoder):
    """An array of numbers, such as an image, of which all are scaled alike.

    y = (curve(x) - mean) / std

    It is the only column of its input.

    Options:
        scaling: One of those of `number`, or null for `data.scaling`. Arrays that stay in their
            file are scaled by "standard" or "none".

    Learned:
        mean: Subtracted.
        std: Divided by.
        shape: The shape of an array.
        integer: Whether the values are integers, for a layer that takes these.
        power: That of the scaling "power".
        quantiles: Those of the scaling "quantile".
    """

    takes = "arrays"
    numeric = True

    scaling: Scaling | None = None
    shape: tuple[Annotated[int, Ge(0)], ...] = learned(())
    mean: float = learned(0.0)
    std: Positive = learned(1.0)
    integer: bool = learned(False, required=False)
    power: float | None = learned(None, required=False)
    quantiles: tuple[float, ...] | None = learned(None, required=False)

    def __post_init__(self) -> None:
        require_ascending("quantiles", self.quantiles or ())

    @property
    def scale(self) -> Scale:
        """The scaling, with what it learned."""
        return scale_of_encoder(self)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the shape, and what its scaling learns."""
        known = replace(self, shape=tuple(column.shape[1:]))
        if self.integer:
            return known
        if not column.in_file:
            require_in_domain(column, self.scaling)
            return replace(known, **learn_scale(column.values, self.scaling or "standard").learned)
        if self.scaling not in (None, "standard", "none"):
            raise DataError(
                f"{column.table.origin}: column {column.name!r} stays in its file, so that its "
                f'scaling cannot be "{self.scaling}"; set it to "standard" or "none" in '
                "data.columns"
            )
        with closing(column.chunks()) as chunks:
            values = (_complete(chunk).reshape(-1) for chunk in chunks)
            if not math.prod(column.shape):
                return known
            center, deviation = mean_and_deviation_of_chunks(values)
        if self.scaling == "none":
            return known
        return replace(known, mean=float(center), std=float(scale_of(center, deviation)))

    def learner(self) -> Learner | None:
        """Return one of a mean or of the extremes; None for what needs all numbers in order."""
        whole = not self.integer and self.scaling in WHOLE
        return None if whole else ValuesLearner(self, ScaleInParts(self.scaling or "standard"))

    def encode(self, column: RawColumn) -> Array:
        """Return the scaled arrays."""
        shape = column.shape[1:]
        if shape != self.shape:
            raise DataError(
                f"{column.table.origin}: column {column.name!r} has examples of shape "
                f"{shape}; the model expects {self.shape}"
            )
        if self.integer:
            return column.values
        require_in_domain(column, self.scaling)
        return self.scale.apply(column.values)

    def infer(self, column: Any) -> Any:
        """Return the scaled arrays."""
        return column.values if self.integer else self.scale.apply(column.values)


def _complete(column: RawColumn) -> Array:
    column.require_complete()
    return column.values


class ValuesLearner:
    """Learns the shape and the scale of arrays that are read in parts."""

    def __init__(self, known: Values, scale: ScaleInParts) -> None:
        self.known = known
        self.scale = scale
        self.shape: Shape = ()

    def add(self, column: RawColumn) -> None:
        """Learn from more rows."""
        self.shape = column.shape[1:]
        if not self.known.integer:
            require_in_domain(column, self.known.scaling)
            self.scale.add(column.values.reshape(-1))

    def encoder(self) -> Values:
        """Return the encoder with the shape and the scale."""
        known = replace(self.known, shape=self.shape)
        return known if known.integer else replace(known, **self.scale.result().learned)
