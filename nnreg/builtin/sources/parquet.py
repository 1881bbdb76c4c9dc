"""Parquet, read with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils.memory import array_bytes, data_limit, require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.concat import concat_chunks
from nnreg.tables.dataframes import columns_of_arrow
from nnreg.tables.table import Table

ROWS = 2**14
"""The rows that are read at once."""


@dataclass(frozen=True)
class Parquet(Source):
    """A Parquet file; needs `pip install 'nnreg[parquet]'`.

    Columns may be numeric, boolean, text, dictionary-encoded, or lists of equal length; dates and
    times become text.
    """

    suffixes = (".parquet", ".pq")

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise DataError(
                f"{path}: reading Parquet needs pyarrow: pip install 'nnreg[parquet]'"
            ) from error
        try:
            with path.open("rb") as raw:
                metadata = pyarrow.parquet.read_metadata(raw)
                encoded = _check_row_groups(metadata, path)
                file = pyarrow.parquet.ParquetFile(raw, metadata=metadata, read_dictionary=encoded)
                total, done = metadata.num_rows, 0
                for batch in file.iter_batches(ROWS):
                    require_memory(batch.nbytes, f"{path}, {len(batch):,} rows after row {done:,}")
                    rows = np.arange(done, done + len(batch))
                    done += len(batch)
                    yield Table(
                        columns_of_arrow(batch, str(path), text),
                        str(path),
                        row_numbers=rows,
                        fraction_read=done / total,
                        missing_texts=MISSING_TEXTS,
                    )
        except (pyarrow.ArrowException, ValueError) as error:
            raise DataError(f"{path}: not a readable Parquet file: {error}") from error
        if not done:
            raise DataError(f"{path}: there are no rows")


def _check_row_groups(metadata: Any, path: Path) -> list[str]:
    """Raise `DataError` for a group of rows, read at once, that declares more than the memory.

    Returns the columns to leave dictionary-encoded, because a chunk of their text may be too large.
    """
    encoded = set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        hint = "write it with smaller groups, such as row_group_size=100_000 of pyarrow"
        require_memory(group.total_byte_size, f"{path}, a group of {group.num_rows:,} rows", hint)
        for index in range(group.num_columns):
            column, kind = group.column(index), metadata.schema.column(index)
            text = column.physical_type == "BYTE_ARRAY"
            if kind.max_repetition_level:
                size = array_bytes((column.num_values,), np.dtype(object if text else np.float64))
                require_memory(size, f"{path}, lists of {column.num_values:,} values", hint)
            elif text and ROWS * column.total_uncompressed_size > data_limit():
                encoded.add(kind.name)
    return sorted(encoded)
