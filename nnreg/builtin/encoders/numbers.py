"""Encoders of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation, scale_of, standardize
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned

Scaling = Literal["standard", "none"]


@dataclass(frozen=True)
class Number(Encoder):
    """A number, scaled.

    y = (x - mean) / std

    Options:
        scaling: "standard" for the mean and standard deviation of the training rows, "none" for 0
            and 1; null for `data.scaling`.

    Learned:
        mean: Subtracted.
        std: Divided by, 1 for a constant column.
    """

    numeric = True

    scaling: Scaling | None = None
    mean: float = learned(0.0)
    std: Positive = learned(1.0)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the mean and standard deviation."""
        mean, std = moments(column.values, self.scaling)
        return replace(self, mean=mean, std=std)

    def encode(self, column: RawColumn) -> Array:
        """Return the scaled numbers."""
        return standardize(column.values, self.mean, self.std)[:, None]


def moments(values: Array, scaling: Scaling | None) -> tuple[float, float]:
    """Return the mean, and the number to divide by; or 0 and 1 if values are not scaled."""
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values.reshape(-1)  # a view if possible
    if scaling == "none" or not known.size:
        return 0.0, 1.0
    mean, deviation = mean_and_deviation(known)
    return float(mean), float(scale_of(mean, deviation))
