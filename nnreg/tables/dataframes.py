"""Columns of pandas and polars data frames and of pyarrow tables, read without importing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.cells import MAX_EXACT, beyond_float, date_text
from nnreg.tables.column_types import plain_values
from nnreg.tables.columns import categories_of
from nnreg.tables.lazy import AnyColumn, materialize
from nnreg.tables.lists import from_arrays, from_lists
from nnreg.tables.padded import Padded
from nnreg.tables.ragged import Ragged, of_consecutive, of_rows
from nnreg.tables.sparse import column_of_sparse, is_sparse


def columns_of_arrow(
    table: Any, origin: str, text: Collection[str] = ()
) -> Mapping[str, AnyColumn]:
    """Return the columns of a pyarrow table or record batch. Raises `DataError`.

    Integers beside a missing one become text if they are in the columns `text`, or are so large
    that float64 would round them.
    """
    import pyarrow

    names = table.schema.names
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{origin}: column {twice[0]!r} occurs twice; rename one")
    columns: dict[str, AnyColumn] = {}
    for name in names:
        values = table.column(name)
        combined = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        where = f"{origin}, column {name!r}"
        if combined.null_count and pyarrow.types.is_integer(combined.type):
            known = combined.drop_null().to_numpy(zero_copy_only=False)
            if name in text or beyond_float(known):
                columns[name] = plain_values(_objects(combined.to_pylist()), where)
                continue
        columns[name] = _arrow_values(combined, where)
    return columns


def _arrow_values(values: Any, where: str) -> Array | Categorical | Ragged:
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
            return _arrow_sequences(values, where)
        inner = materialize(_arrow_items(values, where))
        return inner.reshape(len(values), lengths[0], *inner.shape[1:])
    if types.is_decimal(kind):
        values = values.cast(pyarrow.float64())
    if types.is_temporal(values.type):
        dates = values.cast(pyarrow.string()).to_pylist()
        return _objects([None if date is None else date_text(date) for date in dates])
    if types.is_null(values.type):
        return np.full(len(values), None, object)
    if types.is_primitive(values.type):
        return plain_values(values.to_numpy(zero_copy_only=False), where)
    if str(values.type) in ("string", "large_string", "string_view"):
        return plain_values(_objects(values.to_pylist()), where)
    raise DataError(f"{where}: values of type {kind}; expected numbers or text")


def _arrow_items(values: Any, where: str) -> Array | Categorical:
    """Return the items of all lists."""
    items = _arrow_values(values.flatten(), where)
    if isinstance(items, Ragged):
        raise DataError(
            f"{where}: lists within lists differ in length; only the outer ones, whose items are "
            "the steps of a sequence, may"
        )
    return items


def _arrow_sequences(values: Any, where: str) -> Ragged:
    """Return lists of different lengths as a column of sequences."""
    if values.null_count:
        raise DataError(f"{where}: a list is missing; write an empty one, or remove the row")
    inner = _arrow_items(values, where)
    if not isinstance(inner, Categorical) and inner.dtype.kind not in "biuf":
        inner = categories_of(inner)
    lengths = values.value_lengths().to_numpy(zero_copy_only=False)
    return of_consecutive(inner, lengths)


def _objects(cells: Sequence[object]) -> Array:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


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
    return {
        name: column_of(frame[key], name) for key, name in zip(frame.columns, names, strict=True)
    }


def column_of(series: Any, name: str) -> AnyColumn:
    """Return a column of a data frame, an array or a list as an array, categories or sequences."""
    if is_sparse(series):
        return column_of_sparse(series, name)
    if (sequences := _sequences_of(series, name)) is not None:
        return sequences
    dtype = getattr(series, "dtype", None)
    if hasattr(dtype, "categories") and hasattr(series.cat, "codes"):  # pandas' categoricals
        categories = array_of(series.cat.categories, name)
        codes = np.asarray(series.cat.codes)
        if categories.dtype == object:
            return replace(_coded(categories, codes), ordered=bool(series.cat.ordered))
        if (codes >= 0).all():
            return array_of(categories[codes], name)
        if categories.dtype == bool:
            return _coded(array_of(categories.astype(object), name), codes)
        numbers: Array = np.append(categories.astype(np.float64), np.nan)[codes]
        return numbers
    kind = getattr(dtype, "kind", "")
    if kind in tuple("biuf") and not isinstance(dtype, np.dtype):  # nullable
        if kind == "b" or beyond_float(series.dropna().to_numpy(dtype=kind + "8")):
            return array_of(series.to_numpy(dtype=object, na_value=None), name)
        return array_of(series.to_numpy(dtype=np.float64, na_value=np.nan), name)
    if getattr(dtype, "time_zone", None):  # polars' zones, which its arrays do not have
        return array_of(_objects(series.to_list()), name)
    polars_gaps = hasattr(series, "drop_nulls") and series.null_count()
    if polars_gaps and beyond_float(np.asarray(series.drop_nulls())):
        return array_of(_objects(series.to_list()), name)
    return array_of(series, name)


def _sequences_of(series: Any, name: str) -> Ragged | None:
    """Return padded values, or lists or arrays that differ in length, as sequences; None if not."""
    if isinstance(series, Padded):
        return of_rows(array_of(series.values, name), series.lengths)
    if isinstance(series, Ragged):
        return series
    dtype = getattr(series, "dtype", None)
    if hasattr(dtype, "inner"):  # polars' lists
        rows = series.to_list()
    elif isinstance(series, list | tuple):
        rows = series
    elif getattr(dtype, "kind", "") == "O":
        rows = list(series)
    else:
        return None
    if not rows or not all(map(_is_list, rows)) or len(set(map(len, rows))) == 1:
        return None
    if all(isinstance(row, np.ndarray) for row in rows):
        return from_arrays(rows, name)
    lists = (row.tolist() if isinstance(row, np.ndarray) else row for row in rows)
    return from_lists(lists, name)


def _coded(categories: Array, codes: Array) -> Categorical:
    """Return the categories of the codes, -1 where missing; two may be the same text."""
    code_of = CategoryCodes()
    own = np.array([code_of[category] for category in categories.tolist()] + [-1], np.int32)
    return Categorical(code_of.categories, own[codes])


def array_of(values: Any, name: str) -> Array:
    """Return values as an array of numbers or of text. Raises `DataError`."""
    try:
        if isinstance(values, list | tuple):
            values = [None if cell is np.ma.masked else cell for cell in values]
            masked = any(isinstance(cell, np.ma.MaskedArray) for cell in values)
            values = np.ma.stack(values) if masked else values
        array = _filled(np.asanyarray(values))
        if isinstance(values, list | tuple) and array.dtype.kind == "f":
            array = _exact(values, array)
        if array.dtype == object and array.ndim == 1 and len(array) and _is_list(array[0]):
            array = np.stack([np.asarray(row) for row in array])
    except ValueError as error:
        raise DataError(f"{name}: the rows differ in length: {error}") from error
    return plain_values(array, name)


def _filled(array: Array) -> Array:
    """Return an array whose masked values, if it has any, are missing."""
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    values: Array = np.array(array.data)
    mask = np.ma.getmaskarray(array)
    if not mask.any():
        return values
    exact = values.dtype.kind not in "iuf" or beyond_float(values)
    values = values.astype(object if exact else np.result_type(values, np.float32))
    values[mask] = None if exact else np.nan
    return values


def _exact(values: Any, array: Array) -> Array:
    """Return a list's array, of objects if integers in it are so large that they were rounded."""
    if not (np.abs(array) >= MAX_EXACT).any():
        return array
    objects = np.array(values, object)
    whole = [cell for cell in objects.flat if isinstance(cell, int) and abs(cell) > MAX_EXACT]
    return objects if whole else array


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
