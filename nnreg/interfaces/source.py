"""The base class of data sources."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from nnreg.interfaces.component import Component
from nnreg.tables.table import RowReader, Table


class Source(Component):
    """A format of data files."""

    kind = "source"
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The lowercase file name extensions by which `nnreg init` recognizes the format; "/" for
    directories, "/.parquet" for those whose files have that one."""

    def read(self, path: Path) -> Table:
        """Return the columns of a file. Raises `DataError` for a file that it cannot read."""
        raise NotImplementedError

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        """Yield the rows in order, in chunks, to limit the memory needed.

        All chunks have the same columns; those named in `text` are text even if they look like
        numbers, so that "007" is not 7. By default there is one chunk, the result of `read`.
        """
        yield self.read(path)

    def rows(self, path: Path) -> RowReader | None:
        """Return what reads single rows of a file, so that its table may stay there.

        None if it has to be read to memory, as by default.
        """
        return None

    def files(self, path: Path) -> Sequence[Path]:
        """Return the files that are read for a path, in a deterministic order."""
        return (path,)
