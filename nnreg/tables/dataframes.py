"""Columns of pandas and polars data frames and of pyarrow tables, read without importing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical
from nnreg.tables.column_types import plain_values
from nnreg.tables.lazy import AnyColumn, materialize


def columns_of_arrow(table: Any, origin: str) -> Mapping[str, AnyColumn]:
    """Return the columns of a pyarrow table or record batch. Raises `DataError`."""
    names = table.schema.names
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{origin}: column {twice[0]!r} occurs twice; rename one")
    columns = {}
    for name in names:
        values = table.column(name)
        combined = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        columns[name] = _arrow_values(combined, f"{origin}, column {name!r}")
    return columns


def _arrow_values(values: Any, where: str) -> Array | Categorical:
    import pyarrow

    types, kind = pyarrow.types, values.type
    if types.is_dictionary(kind):
        categories = materialize(_arrow_values(values.dictionary, where))
        if categories.dtype == object and categories.ndim == 1:
            codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            return Categorical(tuple(categories.tolist()), codes)
        return _arrow_values(values.dictionary_decode(), where)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        lengths = values.value_lengths().unique().to_pylist()
        if len(lengths) != 1 or None in lengths:
            raise DataError(
                f"{where}: lists of different lengths; expected the same length in every row"
            )
        return materialize(_arrow_values(values.flatten(), where)).reshape(len(values), -1)
    if types.is_boolean(kind) or types.is_decimal(kind):
        values = values.cast(pyarrow.float64()) if types.is_decimal(kind) else values.cast("uint8")
    if types.is_temporal(values.type):
        values = values.cast(pyarrow.string())
    if types.is_null(values.type):
        return np.full(len(values), None, object)
    if types.is_primitive(values.type):
        array: Array = values.to_numpy(zero_copy_only=False)
        return array
    if types.is_string(values.type) or types.is_large_string(values.type):
        text = np.empty(len(values), object)
        text[:] = values.to_pylist()
        return text
    raise DataError(f"{where}: values of type {kind}; expected numbers or text")


def is_frame(x: Any) -> bool:
    """Return True for a data frame or a pyarrow table."""
    return hasattr(x, "columns") and hasattr(x, "__getitem__")


def columns_of_frame(frame: Any) -> dict[str, AnyColumn]:
    """Return the columns by name, without an index. Raises `DataError`."""
    if hasattr(frame, "column_names"):  # pyarrow: its `columns` are the values
        return dict(columns_of_arrow(frame, "the data"))
    names = [str(name) for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"the data frame has two columns {twice[0]!r}; rename one")
    return {name: _column(frame[key], name) for key, name in zip(frame.columns, names, strict=True)}


def _column(series: Any, name: str) -> AnyColumn:
    dtype = getattr(series, "dtype", None)
    if hasattr(dtype, "categories") and hasattr(series.cat, "codes"):  # pandas' categoricals
        categories = array_of(series.cat.categories, name)
        codes = np.asarray(series.cat.codes)
        if categories.dtype == object:
            return Categorical(tuple(categories.tolist()), codes)
        numbers: Array = np.append(categories.astype(np.float64), np.nan)[codes]
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
    return plain_values(array, name)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)
