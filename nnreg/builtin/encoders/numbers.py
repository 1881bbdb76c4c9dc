"""Encoders of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from nnreg._types import Array
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
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, Learner, RawColumn, learned
from nnreg.tables.columns import common_unit
from nnreg.tables.number_texts import NumberFormat, NumberTexts


@dataclass(frozen=True)
class Number(Encoder):
    """A number, scaled.

    y = (curve(x) - mean) / std

    What is learned from the training rows depends on `scaling`:

    - "standard": the mean and the standard deviation.
    - "robust": the median and the interquartile range, which outliers do not change.
    - "robust_clipped": the same, or half of the range where the interquartile range is 0; then z
      becomes z / sqrt(1 + (z / 3)²), between -3 and 3, as in RealMLP. Holzmüller et al. 2024.
    - "min_max": the smallest number and the range, so that y is between 0 and 1.
    - "quantile": up to 1000 quantiles, between which numbers are interpolated to those of the
      normal distribution; the smallest and the largest number, and all beyond, are -5.2 and 5.2.
    - "log": log(1 + x) of numbers >= 0, then as "standard".
    - "power": ((1 + x)^power - 1) / power, and -((1 - x)^(2 - power) - 1) / (2 - power) of negative
      numbers, with the power that makes them most normal, then as "standard". Yeo and Johnson 2000.
    - "none": 0 and 1.

    Options:
        scaling: One of these, or null for `data.scaling`.
        format: How numbers are written in a column of text: "1,234.5" with a decimal point, where
            commas, spaces or apostrophes may separate thousands, or "1.234,5" with a decimal comma.
            There may be a currency before or after the number, a percent sign or another unit
            after it, the same for all; parentheses make it negative. null for plain numbers.
        add_indicator: true for a second number that is 1 where the value is missing, as by
            `data.missing` "indicate" for all columns; false for none; null as in `data.missing`.

    Learned:
        mean: Subtracted.
        std: Divided by, 1 for a constant column.
        power: That of the scaling "power".
        quantiles: Those of the scaling "quantile".
        unit: The currency or unit that all numbers have with `format`.
    """

    numeric = True

    scaling: Scaling | None = None
    mean: float = learned(0.0)
    std: Positive = learned(1.0)
    power: float | None = learned(None, required=False)
    quantiles: tuple[float, ...] | None = learned(None, required=False)
    add_indicator: bool | None = None
    format: NumberFormat | None = None
    unit: str | None = learned(None, required=False)

    def __post_init__(self) -> None:
        require_ascending("quantiles", self.quantiles or ())

    @property
    def scale(self) -> Scale:
        """The scaling, with what it learned."""
        return scale_of_encoder(self)

    @property
    def number_texts(self) -> NumberTexts | None:
        """How numbers are written in text."""
        return None if self.format is None else NumberTexts(self.format, self.unit)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with what its scaling learns, and the unit."""
        unit = None
        if self.format is not None:
            unit = common_unit(column.table, column.name, NumberTexts(self.format))
        require_in_domain(column, self.scaling)
        found = learn_scale(column.values, self.scaling or "standard")
        return replace(self, unit=unit, **found.learned)

    def learner(self) -> Learner | None:
        """Return one of a mean or of the extremes; None for what needs all numbers in order."""
        if self.format is not None or self.scaling in WHOLE:
            return None
        return NumberLearner(self, ScaleInParts(self.scaling or "standard"))

    def encode(self, column: RawColumn) -> Array:
        """Return the scaled numbers."""
        require_in_domain(column, self.scaling)
        return self.scale.apply(column.values)[:, None]

    def text_of(self, encoded: Array) -> str:
        """Return the number."""
        return f"{float(self.scale.invert(encoded[0])):.6g}"


@dataclass(frozen=True)
class NumberLearner:
    """Learns the scale of numbers that are read in parts."""

    known: Number
    scale: ScaleInParts

    def add(self, column: RawColumn) -> None:
        """Learn from more rows."""
        require_in_domain(column, self.known.scaling)
        self.scale.add(column.values)

    def encoder(self) -> Number:
        """Return the encoder with the scale."""
        return replace(self.known, unit=None, **self.scale.result().learned)
