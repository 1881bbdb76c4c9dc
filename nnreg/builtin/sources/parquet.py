"""Parquet files and data sets, read with pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nnreg.builtin.sources.parquet_file import ParquetFile, ParquetRows, constants, partition_of
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.concat import concat_chunks, require_columns
from nnreg.tables.table import Table


@dataclass(frozen=True)
class Parquet(Source):
    """A Parquet file, or a directory of them; needs `pip install 'nnreg[parquet]'`.

    Columns may be numeric, boolean, text, dictionary-encoded, or lists of equal length; dates and
    times become text. In a directory, the files in all directories below it are one table, in
    sorted order, and the name of a directory such as `year=2024` is the value of a column `year` in
    its files. Names that begin with `.` or `_` are ignored.

    With `stream`, the inputs stay in the files, and rows are read on demand, in groups of rows.
    With "auto", that is a table that would take more than a fifth of the memory in float64.

    Options:
        stream: leave rows in the file and read them as needed; "auto" decides by their size
    """

    suffixes = (".parquet", ".pq", "/.parquet", "/.pq")

    stream: Literal["auto"] | bool = "auto"

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
            partition = partition_of(file, path)
            for table in ParquetFile(file).tables(text):
                if twice := sorted(partition.keys() & table.columns.keys()):
                    raise DataError(
                        f"{file}: column {twice[0]!r} is in the file and in the name of its "
                        "directory; rename one"
                    )
                columns = {**table.columns, **constants(partition, len(table))}
                names = names or columns.keys()
                require_columns(columns, names, str(file), files[0].name)
                done = (number + table.fraction_read) / len(files)
                yield replace(table, columns=columns, fraction_read=done)
        if not names:
            raise DataError(f"{path}: there are no rows")

    def rows(self, path: Path) -> ParquetRows | None:
        if self.stream is False:
            return None
        required = self.stream is True
        return ParquetRows(path, self.files(path), self.iter_chunks, required=required)
