"""The piecewise linear encoder of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Interval

from nnreg._types import Array, Shape
from nnreg._utils.statistics import (
    mean_and_deviation,
    scale_of,
    standardize,
    unstandardize,
)
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned


@dataclass(frozen=True)
class PiecewiseLinear(Encoder):
    """A number, standardized, and how far it is through each of the bins of its quantiles.

    y = (z, p_1, ..., p_k) with z = (x - mean) / std, p_i = (x - e_{i-1}) / (e_i - e_{i-1})

    p_i is 0 for numbers below its bin and 1 for those above, so that a network of few layers fits
    functions that change fast. There are fewer than `bins` where quantiles are equal, as those of
    counts, and none if there are two distinct numbers. Gorishniy et al. 2022, without z.

    Options:
        bins: The maximum number of bins, each with as many of the training rows, in [2, 256].

    Learned:
        mean: Subtracted.
        std: Divided by, 1 for a constant column.
        edges: The edges of the bins, in ascending order.
    """

    bins: Annotated[int, Interval(ge=2, le=256)] = 16
    mean: float = learned(0.0)
    std: Positive = learned(1.0)
    edges: tuple[float, ...] = learned(())

    def __post_init__(self) -> None:
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges: must be in ascending order, each once")

    @property
    def shape(self) -> Shape:
        """The standardized number, and one number per bin."""
        return (1 + max(len(self.edges) - 1, 0),)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the moments and the edges."""
        values = column.values
        mean, deviation = mean_and_deviation(values)
        edges: tuple[float, ...] = ()
        low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
        if ((values > low) & (values < high)).any():  # more than two distinct values
            quantiles = np.quantile(values, np.linspace(0, 1, self.bins + 1))
            edges = tuple(sorted(set(quantiles.tolist())))
        return replace(
            self,
            mean=float(mean),
            std=float(scale_of(mean, deviation)),
            edges=edges,
        )

    def encode(self, column: RawColumn) -> Array:
        """Return the standardized number and its part of each bin."""
        values = column.values
        encoded = np.empty((len(values), *self.shape))
        encoded[:, 0] = standardize(values, self.mean, self.std)
        if self.edges:
            low, high = np.array(self.edges[:-1]), np.array(self.edges[1:])
            halves = values[:, None] / 2 - low / 2  # a difference of large numbers may overflow
            np.clip(halves / (high / 2 - low / 2), 0, 1, out=encoded[:, 1:])
        return encoded

    def infer(self, column: Any) -> Any:
        """Return the standardized number and its part of each bin."""
        values = column.values[:, None]
        number = standardize(values, self.mean, self.std)
        if not self.edges:
            return number
        low, high = np.array(self.edges[:-1]), np.array(self.edges[1:])
        parts = np.clip((values / 2 - low / 2) / (high / 2 - low / 2), 0, 1)
        return np.concatenate([number, parts], axis=1)

    def text_of(self, encoded: Array) -> str:
        """Return the number."""
        (value,) = unstandardize(encoded[:1].astype(np.float64), self.mean, self.std)
        return f"{float(value):.6g}"
