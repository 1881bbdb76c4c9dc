"""The regularizers: penalties on the values of a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.component import NonNegative
from nnreg.interfaces.regularizer import Regularizer


@dataclass(frozen=True)
class L1(Regularizer):
    """Sum of absolute values, which makes many of them nearly 0.

    penalty = factor · Σ|w|

    Tibshirani 1996.

    Options:
        factor: size of the penalty, >= 0
    """

    factor: NonNegative = 0.01

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        return _sum(self.factor, np.abs(w)), lambda: self.factor * np.sign(w)


@dataclass(frozen=True)
class L2(Regularizer):
    """Sum of squares.

    penalty = factor · Σw²

    Hoerl and Kennard 1970.

    Options:
        factor: size of the penalty, >= 0
    """

    factor: NonNegative = 0.01

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        return _sum(self.factor, np.square(w)), lambda: 2 * self.factor * w


@dataclass(frozen=True)
class L1L2(Regularizer):
    """Sum of absolute values and sum of squares, the elastic net.

    penalty = l1 · Σ|w| + l2 · Σw²

    Zou and Hastie 2005.

    Options:
        l1: size of the sum of absolute values, >= 0
        l2: size of the sum of squares, >= 0
    """

    l1: NonNegative = 0.01
    l2: NonNegative = 0.01

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        penalty = _sum(self.l1, np.abs(w)) + _sum(self.l2, np.square(w))
        return penalty, lambda: self.l1 * np.sign(w) + 2 * self.l2 * w


@dataclass(frozen=True)
class Orthogonal(Regularizer):
    """Mean absolute cosine between the rows, or the columns, of a matrix.

    penalty = factor · mean of |n_i · n_j| over the pairs i < j, n = w / ‖w‖ of each row

    Brock et al. 2017, with the absolute values of Keras.

    Options:
        factor: size of the penalty, >= 0
        mode: "rows", one for each input, or "columns", one for each output
    """

    factor: NonNegative = 0.01
    mode: Literal["rows", "columns"] = "rows"

    def check_shape(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise ValueError("it takes a matrix")
        if shape[self.mode == "columns"] < 2:
            raise ValueError(f"it needs two {self.mode}")

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        if self.mode == "columns":
            penalty, backward = self._rows(w.T)
            return penalty, lambda: backward().T
        return self._rows(w)

    def _rows(self, w: Array) -> tuple[float, Callable[[], Array]]:
        count = w.shape[0]
        lengths = norms(w, (1,))
        n = w / lengths
        cosines = n @ n.T
        signs = np.sign(cosines) * (1 - np.eye(count, dtype=w.dtype, like=w))
        scale = self.factor / (count * (count - 1))

        def backward() -> Array:
            dn = 2 * scale * (signs @ n)
            dw: Array = (dn - n * np.sum(dn * n, axis=1, keepdims=True)) / lengths
            return dw

        return _sum(scale, signs * cosines), backward


def norms(w: Array, axes: tuple[int, ...]) -> Array:
    """Return the norms of the parts of an array along these axes; 1 where all values are 0."""
    largest = np.max(np.abs(w), axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest, np.ones_like(largest))  # squares could overflow
    lengths = scale * np.sqrt(np.sum(np.square(w / scale), axis=axes, keepdims=True))
    found: Array = np.where(largest > 0, lengths, np.ones_like(lengths))
    return found


def _sum(factor: float, values: Array) -> float:
    return factor * float(np.sum(values))
