"""The files of a path: the path itself, or all that match it if it is a pattern: `sales-*.csv`."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg._utils.os_errors import explain_os_error
from nnreg.errors import DataError
from nnreg.interfaces.returned import Caller, describe
from nnreg.interfaces.source import Source
from nnreg.tables.concat import require_columns
from nnreg.tables.convert import iter_chunks
from nnreg.tables.table import RowReader, Table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise the error of a file that cannot be read as `DataError`."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path}: cannot read the data: {explain_os_error(error, path)}") from error


def matching_paths(path: Path) -> list[Path]:
    """Return what matches a pattern, sorted; a path that exists, or has no wildcards, is itself.

    `*`, `?` and `[...]` are within a name, and `**` is any number of directories. Directories match
    only if no file does, so that `**` is the files in them. Raises `DataError` if nothing matches.
    """
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    base = _existing(path)
    pattern = str(path.relative_to(base))
    found = sorted(base / name for name in glob.iglob(pattern, root_dir=base, recursive=True))
    if not found:
        raise DataError(f"{path}: no file matches this pattern; correct it, or add the files")
    return [one for one in found if not one.is_dir()] or found


def _existing(path: Path) -> Path:
    """Return the longest part of a path that exists: in it, `[1]` is not a wildcard."""
    return next((parent for parent in path.parents if parent.exists()), path.parent)


def suffix_within(directory: Path) -> str:
    """Return the suffix of the first file below a directory whose name is not hidden."""
    for _, directories, names in os.walk(directory):
        directories.sort()
        if shown := sorted(name for name in names if not name.startswith((".", "_"))):
            return Path(shown[0]).suffix.lower()
    return ""


@dataclass(frozen=True)
class Files:
    """Reads the file of a path, or those that match a pattern, as one table of the same columns."""

    source: Source

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        """Yield tables of consecutive rows; the columns `text` are read as text."""
        with readable(path):
            paths = matching_paths(path)
        names: Collection[str] = ()
        for number, one in enumerate(paths):
            with readable(one):
                for table in self.source.iter_chunks(one, text):
                    self._check(table)
                    if len(paths) == 1:
                        yield table
                        continue
                    names = names or table.columns.keys()
                    require_columns(table.columns, names, table.origin, paths[0].name)
                    done = (number + table.fraction_read) / len(paths)
                    for part in iter_chunks(table, names):  # of an array that stays in its file
                        yield replace(part, fraction_read=done)

    def _check(self, table: object) -> None:
        if not isinstance(table, Table):
            found = describe(table)
            raise Caller(self.source).error("read", f"returned {found}; expected a Table")


def row_reader(source: Source, path: Path) -> RowReader | None:
    """Return what reads rows of the file of a path, or of all that match a pattern, on demand.

    None if the source has to read one of them to memory.
    """
    with readable(path):
        readers, paths = [], matching_paths(path)
        for one in paths:
            reader = source.rows(one)
            if reader is None:
                return None
            readers.append(reader)
    return readers[0] if len(readers) == 1 else JoinedRows(readers, paths)


class JoinedRows:
    """Reads rows of several files as those of one table; see `RowReader`."""

    def __init__(self, readers: Sequence[RowReader], paths: Sequence[Path]) -> None:
        self.readers = readers
        self.paths = paths
        self.required = readers[0].required
        self.size = sum(reader.size for reader in readers)
        self.starts: Array = np.zeros(1, np.int64)
        self._first: Array = self.starts

    def iter_chunks(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        """Yield all rows."""
        names: Collection[str] = ()
        for number, (reader, one) in enumerate(zip(self.readers, self.paths, strict=True)):
            with readable(one):
                for table in reader.iter_chunks(one, text):
                    names = names or table.columns.keys()
                    require_columns(table.columns, names, table.origin, self.paths[0].name)
                    done = (number + table.fraction_read) / len(self.paths)
                    yield replace(table, fraction_read=done)
        counts = [reader.starts[-1] for reader in self.readers]
        self._first = np.cumsum([0, *counts])
        pairs = zip(self._first, self.readers, strict=False)
        own = [first + reader.starts[:-1] for first, reader in pairs]
        self.starts = np.append(np.concatenate(own), self._first[-1])

    def read(self, segments: Sequence[tuple[int, int]], names: Collection[str]) -> Iterator[Table]:
        """Yield the rows of each segment, from the files that have some of them."""
        for start, stop in segments:
            file = int(np.searchsorted(self._first, start, "right")) - 1
            while start < stop:
                first, end = int(self._first[file]), min(int(self._first[file + 1]), stop)
                if start < end:
                    yield from self.readers[file].read([(start - first, end - first)], names)
                start, file = end, file + 1


def regular_files(source: Source, path: Path) -> Sequence[Path]:
    """Return the files that a source reads for a path or a pattern.

    Raises `DataError` for anything but a regular file: a pipe or a device may never end.
    """
    with readable(path):
        paths = matching_paths(path)
    files: list[Path] = []
    for one in paths:
        with readable(one):
            files += source.files(one)
    for file in files:
        with readable(file):
            regular = stat.S_ISREG(file.stat().st_mode)
        if not regular:
            raise DataError(f"{file}: cannot read the data: not a regular file")
    return files


def digest_of(path: Path, files: Sequence[Path]) -> str:
    """Return the SHA-256 of a file; for several, the SHA-256 of what `sha256sum` prints."""
    each = {}
    for name in files:
        with name.open("rb") as file:
            each[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if list(files) == [path]:
        return each[path]
    names = {name: os.path.relpath(name, _existing(path)) for name in files}
    listed = "".join(f"{each[name]}  {names[name]}\n" for name in files)
    return hashlib.sha256(os.fsencode(listed)).hexdigest()
