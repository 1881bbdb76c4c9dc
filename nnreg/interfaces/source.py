"""The base class of data sources."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from nnreg.interfaces.component import Component
from nnreg.tables.table import Table


class Source(Component):
    """A format of data files."""

    kind = "source"
    suffixes: ClassVar[tuple[str, ...]] = ()
    """How the names of its files end, in small letters, by which `nnreg init` knows them; "/" for
    folders."""

    def read(self, path: Path) -> Table:
        """Return the columns in the file. Raises `DataError` for a file it cannot read."""
        raise NotImplementedError

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        """Yield the rows in order, a piece at a time, so that no more need be in memory.

        All pieces have the same columns; those named in `text` are words though they look like
        numbers, so that "007" is not 7. Without an own way there is one piece, what `read` returns.
        """
        yield self.read(path)

    def files(self, path: Path) -> Sequence[Path]:
        """Return the files that are read for a path, in an order that is always the same."""
        return (path,)
