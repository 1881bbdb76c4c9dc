"""Parquet files and data sets, read with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from nnreg._utils.extras import needed
from nnreg._utils.memory import array_bytes, data_limit, require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.concat import concat_chunks, require_columns
from nnreg.tables.dataframes import columns_of_arrow
from nnreg.tables.table import Table

ROWS = 2**14
"""The rows that are read at once."""


NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The name of a missing value in the name of a directory."""


@dataclass(frozen=True)
class Parquet(Source):
    """A Parquet file, or a directory of them; needs `pip install 'nnreg[parquet]'`.

    Columns may be numeric, boolean, text, dictionary-encoded, or lists of equal length; dates and
    times become text. In a directory, the files in all directories below it are one table, in
    sorted order, and the name of a directory such as `year=2024` is the value of a column `year` in
    its files. Names that begin with `.` or `_` are ignored.
    """

    suffixes = (".parquet", ".pq", "/.parquet", "/.pq")

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def files(self, path: Path) -> Sequence[Path]:
        """Return the file, or those in a directory, sorted."""
        if not path.is_dir():
            return (path,)
        found = [
            one
            for suffix in ("parquet", "pq")
            for one in path.rglob(f"*.{suffix}")
            if not any(part.startswith((".", "_")) for part in one.relative_to(path).parts)
        ]
        if not found:
            raise DataError(f"{path}: no Parquet files in this directory")
        return sorted(found)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        names: Collection[str] = ()
        files = self.files(path)  # some of a data set may have no rows
        for number, file in enumerate(files):
            partition = _partition(file.relative_to(path).parent) if file != path else {}
            for table in _file_chunks(file, text):
                if twice := sorted(partition.keys() & table.columns.keys()):
                    raise DataError(
                        f"{file}: column {twice[0]!r} is in the file and in the name of its "
                        "directory; rename one"
                    )
                columns = {**table.columns, **_constants(partition, len(table))}
                names = names or columns.keys()
                require_columns(columns, names, str(file), files[0].name)
                done = (number + table.fraction_read) / len(files)
                yield replace(table, columns=columns, fraction_read=done)
        if not names:
            raise DataError(f"{path}: there are no rows")


def _partition(directory: Path) -> dict[str, str | None]:
    """Return the columns that the names of directories have: of `year=2024/month=1`, two."""
    pairs = (part.split("=", 1) for part in directory.parts if "=" in part)
    return {unquote(k): None if v == NO_VALUE else unquote(v) for k, v in pairs}


def _constants(partition: Mapping[str, str | None], rows: int) -> dict[str, Categorical]:
    """Return columns that have one value each."""
    return {
        name: Categorical(
            () if value is None else (value,), np.full(rows, -1 if value is None else 0, np.int16)
        )
        for name, value in partition.items()
    }


def _file_chunks(path: Path, text: Collection[str]) -> Iterator[Table]:
    with needed(path, "reading Parquet", "pyarrow", "parquet"):
        import pyarrow
        import pyarrow.parquet
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
