"""Encoders of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from nnreg._types import Array
from nnreg.builtin.encoders.scaling import (
    Scale,
    Scaling,
    learn_scale,
    require_ascending,
    require_in_domain,
    scale_of_encoder,
)
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned


@dataclass(frozen=True)
class Number(Encoder):
    """A number, scaled.

    y = (curve(x) - mean) / std

    The curve changes nothing, except for the scalings "log", "power" and "quantile". Of a constant
    column, `std` is 1.

    Options:
        scaling: null for `data.scaling`, or one of these, of the training rows.
            "standard": mean and standard deviation.
            "robust": median and interquartile range, which outliers do not change.
            "robust_clipped": as robust, with half of the range where the interquartile range is 0;
            then y = z / sqrt(1 + (z / 3)²), which is between -3 and 3. Holzmüller et al. 2024.
            "min_max": smallest number and range, so that y is between 0 and 1.
            "quantile": y has a normal distribution, by up to 1000 quantiles, between which it is
            interpolated; the smallest and the largest number, and all beyond, are -5.2 and 5.2.
            "log": log(1 + x) of numbers >= 0, then standard.
            "power": ((1 + x)^power - 1) / power, of negative numbers -((1 - x)^(2 - power) - 1) /
            (2 - power), with the power that makes y most normal, then standard. Yeo and Johnson
            2000.
            "none": 0 and 1.
        add_indicator: true for a second number that is 1 where the value is missing, as by
            `data.missing` "indicate" for all columns; false for none; null as in `data.missing`.

    Learned:
        mean: Subtracted.
        std: Divided by, 1 for a constant column.
        power: That of the scaling "power".
        quantiles: Those of the scaling "quantile".
    """

    scaling: Scaling | None = None
    mean: float = learned(0.0)
    std: Positive = learned(1.0)
    power: float | None = learned(None, required=False)
    quantiles: tuple[float, ...] | None = learned(None, required=False)
    add_indicator: bool | None = None

    def __post_init__(self) -> None:
        require_ascending("quantiles", self.quantiles or ())

    @property
    def scale(self) -> Scale:
        """The scaling, with what it learned."""
        return scale_of_encoder(self)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with what its scaling learns."""
        require_in_domain(column, self.scaling)
        return replace(self, **learn_scale(column.values, self.scaling or "standard").learned)

    def encode(self, column: RawColumn) -> Array:
        """Return the scaled numbers."""
        require_in_domain(column, self.scaling)
        return self.scale.apply(column.values)[:, None]
