"""The constraints: conditions that the values of a parameter meet after each update.

By default, a norm is that of the weights of one output: over all axes but the last, and over all
values of a vector. Weights that meet a condition are not changed at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Len

from nnreg._types import Array, Shape
from nnreg.builtin.regularizers import norms
from nnreg.interfaces.component import NonNegative, Positive, PositiveFraction
from nnreg.interfaces.constraint import Constraint

Axes = Annotated[tuple[int, ...], Len(1)] | None


class _OfNorms(Constraint):
    """A condition on norms along `axes`."""

    axes: Axes

    def check_shape(self, shape: Shape) -> None:
        axes, count = self.axes or (), len(shape)
        if not shape or any(not -count <= axis < count for axis in axes):
            raise ValueError(f"it has {count} axes, and {list(axes)} are not among them")
        if len({axis % count for axis in axes}) < len(axes):
            raise ValueError(f"an axis occurs twice in {list(axes)}")

    def _norms(self, w: Array) -> Array:
        return norms(w, self.axes or tuple(range(w.ndim - 1)) or (0,))


@dataclass(frozen=True)
class MaxNorm(_OfNorms):
    """Norms of at most a value.

    w ← w · min(1, max_value / ‖w‖)

    Keras adds 1e-7 to the norm it divides by. Srivastava et al. 2014.

    Options:
        max_value: largest norm, > 0
        axes: axes along which the norm is taken; by default all but the last
    """

    max_value: Positive = 2.0
    axes: Axes = None

    def project(self, w: Array) -> Array:
        return w * np.minimum(1, self.max_value / self._norms(w))


@dataclass(frozen=True)
class UnitNorm(_OfNorms):
    """Norms of 1.

    w ← w / ‖w‖

    As in Keras, which adds 1e-7 to the norm it divides by. Zeros remain zeros.

    Options:
        axes: axes along which the norm is taken; by default all but the last
    """

    axes: Axes = None

    def project(self, w: Array) -> Array:
        return w / self._norms(w)


@dataclass(frozen=True)
class MinMaxNorm(_OfNorms):
    """Norms between two values.

    w ← w · (rate · clip(‖w‖, min_value, max_value) / ‖w‖ + 1 - rate)

    As in Keras, which adds 1e-7 to the norm it divides by. Zeros remain zeros.

    Options:
        min_value: smallest norm, >= 0
        max_value: largest norm, at least min_value, > 0
        rate: fraction of the way to that norm made at each step, in (0, 1]
        axes: axes along which the norm is taken; by default all but the last
    """

    min_value: NonNegative = 0.0
    max_value: Positive = 1.0
    rate: PositiveFraction = 1.0
    axes: Axes = None

    def __post_init__(self) -> None:
        if self.min_value > self.max_value:
            raise ValueError("'min_value' is larger than 'max_value'; exchange them")

    @classmethod
    def examples(cls) -> tuple[MinMaxNorm, ...]:
        """Return instances for the checks, as two drawn values may be in the wrong order."""
        return cls(), cls(0.5, 2.0), cls(1.0, 1.0, rate=0.25, axes=(0,))

    def project(self, w: Array) -> Array:
        lengths = self._norms(w)
        wanted = np.clip(lengths, self.min_value, self.max_value)
        return w * (1 + self.rate * (wanted / lengths - 1))


@dataclass(frozen=True)
class NonNegativeValues(Constraint):
    """Values of at least 0.

    w ← max(w, 0)

    Lee and Seung 1999.
    """

    def project(self, w: Array) -> Array:
        return np.maximum(w, 0)
