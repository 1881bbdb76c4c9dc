"""Columns of pandas and polars data frames and of pyarrow tables, read without importing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.cells import date_text
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
            return _coded(categories, codes)
        return _arrow_values(values.dictionary_decode(), where)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        lengths = values.value_lengths().unique().to_pylist()
        if len(lengths) != 1 or None in lengths:
            raise DataError(
                f"{where}: lists of different lengths; expected the same length in every row"
            )
        return materialize(_arrow_values(values.flatten(), where)).reshape(len(values), -1)
    if types.is_decimal(kind):
        values = values.cast(pyarrow.float64())
    if types.is_temporal(values.type):
        dates = values.cast(pyarrow.string()).to_pylist()
        return _text([None if date is None else date_text(date) for date in dates])
    if types.is_null(values.type):
        return np.full(len(values), None, object)
    if types.is_primitive(values.type):
        return plain_values(values.to_numpy(zero_copy_only=False), where)
    if types.is_string(values.type) or types.is_large_string(values.type):
        return plain_values(_text(values.to_pylist()), where)
    raise DataError(f"{where}: values of type {kind}; expected numbers or text")


def _text(cells: Sequence[str | None]) -> Array:
    text = np.empty(len(cells), object)
    text[:] = cells
    return text


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
            return _coded(categories, codes)
        if (codes >= 0).all():
            return array_of(categories[codes], name)
        if categories.dtype == bool:
            return _coded(array_of(categories.astype(object), name), codes)
        numbers: Array = np.append(categories.astype(np.float64), np.nan)[codes]
        return numbers
    if getattr(dtype, "kind", "") in tuple("biuf") and not isinstance(dtype, np.dtype):  # nullable
        if dtype.kind == "b":
            return array_of(series.to_numpy(dtype=object, na_value=None), name)
        return array_of(series.to_numpy(dtype=np.float64, na_value=np.nan), name)
    return array_of(series, name)


def _coded(categories: Array, codes: Array) -> Categorical:
    """Return the categories of the codes, -1 where missing; two may be the same text."""
    code_of = CategoryCodes()
    own = np.array([code_of[category] for category in categories.tolist()] + [-1], np.int32)
    return Categorical(code_of.categories, own[codes])


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
