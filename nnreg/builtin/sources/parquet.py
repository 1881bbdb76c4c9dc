"""Parquet, through pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.categorical import Categorical
from nnreg.errors import DataError
from nnreg.gathering import gather
from nnreg.interfaces import Array, Source, Table
from nnreg.stored import AnyColumn, whole

ROWS = 2**14
"""How many rows are read at a time."""


@dataclass(frozen=True)
class Parquet(Source):
    """A Parquet file; needs `pip install 'nnreg[parquet]'`.

    Columns of numbers, truth values, text, dictionaries and lists of equal length are read; dates
    and times become text.
    """

    suffixes = (".parquet", ".pq")

    def read(self, path: Path) -> Table:
        return gather(self, path)

    def pieces(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise DataError(
                f"{path}: reading Parquet needs pyarrow: pip install 'nnreg[parquet]'"
            ) from error
        try:
            with path.open("rb") as raw, pyarrow.parquet.ParquetFile(raw) as file:
                whole, place = file.metadata.num_rows, 0
                for batch in file.iter_batches(ROWS):
                    rows = np.arange(place, place + len(batch))
                    place += len(batch)
                    columns = columns_of_arrow(batch, str(path))
                    yield Table(columns, str(path), rows=rows, share=place / whole)
        except (pyarrow.ArrowException, ValueError) as error:
            raise DataError(f"{path}: not a Parquet file that can be read: {error}") from error
        if not place:
            raise DataError(f"{path}: there are no rows")


def columns_of_arrow(table: Any, origin: str) -> Mapping[str, AnyColumn]:
    """Return the columns of a table or a batch of pyarrow. Raises `DataError`."""
    names = table.schema.names
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{origin}: column {twice[0]!r} occurs twice; rename one")
    columns = {}
    for name in names:
        values = table.column(name)
        combined = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        columns[name] = _column(combined, f"{origin}, column {name!r}")
    return columns


def _column(values: Any, where: str) -> Array | Categorical:
    import pyarrow

    types, kind = pyarrow.types, values.type
    if types.is_dictionary(kind):
        words = whole(_column(values.dictionary, where))
        if words.dtype == object and words.ndim == 1:
            codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            return Categorical(tuple(words.tolist()), codes)
        return _column(values.dictionary_decode(), where)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        lengths = values.value_lengths().unique().to_pylist()
        if len(lengths) != 1 or None in lengths:
            raise DataError(f"{where}: lists of different lengths; expected the same in each row")
        return whole(_column(values.flatten(), where)).reshape(len(values), -1)
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
        words = np.empty(len(values), object)
        words[:] = values.to_pylist()
        return words
    raise DataError(f"{where}: values of type {kind}; expected numbers or text")
