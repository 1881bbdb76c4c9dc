"""Data frames of pandas and polars, and tables of pyarrow, through what they have in common."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from nnreg.builtin.sources import columns_of_arrow, plain
from nnreg.categorical import Categorical
from nnreg.errors import DataError
from nnreg.interfaces import Array
from nnreg.stored import AnyColumn


def is_frame(x: Any) -> bool:
    """Tell a data frame from an array or a mapping."""
    return hasattr(x, "columns") and hasattr(x, "__getitem__")


def columns_of_frame(frame: Any) -> dict[str, AnyColumn]:
    """Return the columns by name; an index is none. Raises `DataError`."""
    if hasattr(frame, "column_names"):  # pyarrow, whose `columns` are the values
        return dict(columns_of_arrow(frame, "the data"))
    names = [str(name) for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"the data frame has two columns {twice[0]!r}; rename one")
    return {name: _column(frame[key], name) for key, name in zip(frame.columns, names, strict=True)}


def _column(series: Any, name: str) -> AnyColumn:
    dtype = getattr(series, "dtype", None)
    if hasattr(dtype, "categories") and hasattr(series.cat, "codes"):  # pandas' categoricals
        words = array_of(series.cat.categories, name)
        codes = np.asarray(series.cat.codes)
        if words.dtype == object:
            return Categorical(tuple(words.tolist()), codes)
        numbers: Array = np.append(words.astype(np.float64), np.nan)[codes]
        return numbers
    if getattr(dtype, "kind", "") in tuple("biuf") and not isinstance(dtype, np.dtype):
        return array_of(series.to_numpy(dtype=np.float64, na_value=np.nan), name)  # nullable
    return array_of(series, name)


def array_of(values: Any, name: str) -> Array:
    """Return values as an array of numbers or of text. Raises `DataError`."""
    try:
        array = np.asarray(values)
        if array.dtype == object and array.ndim == 1 and len(array) and _is_list(array[0]):
            array = np.stack([np.asarray(row) for row in array])
    except ValueError as error:
        raise DataError(f"{name}: the rows differ in length: {error}") from error
    return plain(array, name)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)
