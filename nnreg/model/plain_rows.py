"""Arrays of numbers as the inputs of a model, by a plan that is made once.

What the general way finds out at each call is known of a model whose inputs are numbers that are
shifted and divided: only the type, the shape and the values of an array are to be looked at.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import HEADROOM, all_finite
from nnreg.builtin.encoders import Number, Values
from nnreg.builtin.encoders.scaling import scale_of_encoder
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.network.network import Network
from nnreg.network.parameters import nested

BLOCK = 2**14
"""The values that are scaled at a time, so that they stay in the processor's cache."""

TYPES = frozenset(map(np.dtype, ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")))


@dataclass(frozen=True)
class PlainRows:
    """The scaling of an array `(rows, *shape)`, and the limits of its numbers without a warning.

    Each has a number for each column, or one for all; None if the numbers stay what they are.
    """

    shape: Shape
    dtype: np.dtype[Any]
    scale: tuple[Array, Array] | None
    limits: tuple[Array, Array] | None

    def is_input(self, x: Any) -> bool:
        """Return whether rows are the input of the network as they are, if they are finite."""
        return (
            type(x) is np.ndarray
            and self.scale is None
            and self.limits is None
            and x.dtype == self.dtype
            and x.shape[1:] == self.shape
            and x.flags.c_contiguous
        )

    def encode(self, x: Any) -> Array | None:
        """Return the input of the network for raw rows, which may be the array itself.

        None if the rows are to be read in the general way, as those with missing or suspicious
        values are. To be called with NumPy's warnings of overflow switched off.
        """
        if self.is_input(x):
            return x if len(x) and all_finite(x) else None
        if type(x) is not np.ndarray or x.dtype not in TYPES or x.shape[1:] != self.shape:
            return None
        encoded = self._scaled(x)
        return encoded if len(x) and self._usual(x) and all_finite(encoded) else None

    def _scaled(self, x: Array) -> Array:
        """Return scaled numbers, computed in float64."""
        encoded = np.empty(x.shape, self.dtype)
        size = max(BLOCK // math.prod(self.shape), 1)
        for start in range(0, len(x), size):
            rows = x[start : start + size].astype(np.float64)
            if self.scale is not None:
                mean, std = self.scale
                np.subtract(rows, mean, rows)
                np.divide(rows, std, rows)
            encoded[start : start + size] = rows
        return encoded

    def _usual(self, x: Array) -> bool:
        """Return whether no number is far outside the range of training."""
        if self.limits is None:
            return True
        low, high = self.limits
        return bool((np.minimum.reduce(x) >= low).all() and (np.maximum.reduce(x) <= high).all())


def has_plain_input(
    preprocessing: Preprocessing, columns: Columns | None, network: Network
) -> bool:
    """Return whether a model reads a value per column and row, and no layer checks its input."""
    settings = columns or Columns()
    if preprocessing.groups or preprocessing.steps or preprocessing.window or network.masked:
        return False
    if preprocessing.sequence_columns or settings.list_columns or settings.array_columns:
        return False
    return not network.integer_input and not any(map(_checks_input, nested(network.plan)))


def plain_rows(
    preprocessing: Preprocessing, columns: Columns | None, dtype: np.dtype[Any]
) -> PlainRows | None:
    """Return how arrays become the inputs of a model; None if it needs the general way."""
    inputs = preprocessing.inputs
    if any(one.indicator or not is_linear(one) for one in inputs):
        return None
    asked = columns is not None and columns.missing is not None
    if asked and any(one.summary and one.summary.missing for one in inputs):
        return None  # rows without missing values may be suspicious
    numbers = isinstance(inputs[0].encoder, Number)
    shape = (len(inputs),) if numbers else inputs[0].shape
    if not math.prod(shape):
        return None
    scale = np.array([scale_of_encoder(one.encoder)[:2] for one in inputs]).T
    same = not scale[0].any() and bool((scale[1] == 1).all())
    limits = np.array([limits_of(one) for one in inputs]).T if numbers else None
    return PlainRows(
        shape,
        dtype,
        None if same else (scale[0], scale[1]),
        None if limits is None else (limits[0], limits[1]),
    )


def _checks_input(nested: tuple[Layer, LayerBuilder]) -> bool:
    return type(nested[0]).check_input is not Layer.check_input


def is_linear(column: InputColumn) -> bool:
    """Return whether numbers of a column are shifted and divided, and nothing else."""
    encoder = column.encoder
    if type(encoder) not in (Number, Values) or encoder.integer:
        return False
    scale = scale_of_encoder(encoder)
    largest = max(abs(scale.mean), scale.std)
    return scale.curve is None and not scale.clipped and largest <= sys.float_info.max / HEADROOM


def limits_of(column: InputColumn) -> tuple[float, float]:
    """Return between which numbers none is reported as far outside the range of training."""
    return (-math.inf, math.inf) if column.summary is None else column.summary.limits()
