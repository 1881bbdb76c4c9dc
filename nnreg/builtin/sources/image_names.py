"""Tables with a column of the file names of images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnreg._utils.formatting import counted
from nnreg.builtin.sources.image_files import FORMATS
from nnreg.errors import DataError, NnregWarning
from nnreg.interfaces.source import Source
from nnreg.tables.columns import categorical, column, first_marked, is_text
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

TABLES = (".csv", ".tsv", ".tab", ".parquet")
"""Files that may be another table of the same images, such as that of another split."""


@dataclass(frozen=True)
class NamedImages:
    """A table, and the image that each row names in a `column`.

    `names` are as in the table, `files` those in its directory.
    """

    table: Table
    column: str
    names: Sequence[str]
    files: Sequence[Path]

    @classmethod
    def read(
        cls,
        source: Source,
        path: Path,
        text: Collection[str] = (),
        name: str | None = None,
        directory: str | None = None,
    ) -> NamedImages:
        """Return the rows of a file with the images that they name.

        They are in the directory of the file, or in a `directory` below, and no name leads out of
        it. Raises `DataError` with the line of a name for which there is no image.
        """
        table = concat_chunks(source, path, text)
        if not len(table):
            raise DataError(f"{table.origin}: there are no rows")
        name = name or column_of_names(table)
        if name is None:
            raise DataError(
                f"{table.origin}: no column of the file names of images, such as a.png; set the "
                'source\'s "file_column"'
            )
        column(table, name)
        cells = categorical(table, name)
        if (cells.codes < 0).any():
            row = int(np.argmax(cells.codes < 0))
            raise DataError(
                f"{table.location(row, name)}: the name of an image is missing; add it, or remove "
                "the row"
            )
        files, problems = [], []
        for written in cells.categories:
            file, problem = _inner_file(path.parent, directory or "", written)
            files.append(file)
            problems.append(problem)
        where, found = first_marked(table, name, cells, np.array([bool(one) for one in problems]))
        if found is not None:
            raise DataError(f"{where}: {problems[cells.categories.index(found)]}")
        codes = cells.codes.tolist()
        names = [cells.categories[code] for code in codes]
        return cls(table, name, names, [files[code] for code in codes])

    def warn_of_others(self, path: Path) -> None:
        """Give one warning for images that the table does not name, in the same directories.

        Not where there is another table, which may name them.
        """
        named = set(self.files)
        directories = sorted({file.parent for file in named})
        around = [*path.parent.iterdir()]
        if sum(one.name.lower().removesuffix(".gz").endswith(TABLES) for one in around) > 1:
            return
        others = [
            file
            for directory in directories
            for file in sorted(directory.iterdir())
            if file.suffix.lower() in FORMATS and file not in named
        ]
        if others:
            are = counted(len(others), "image")
            text = f"{path}: {are} beside those that it names, such as {others[0].name}; not read"
            warnings.warn(text, NnregWarning, stacklevel=2)


def require_inner(name: str, what: str = "a name") -> None:
    """Raise ValueError for a path that may lead out of the directory that it is relative to."""
    path = Path(name)
    if path.is_absolute() or path.drive or path.root or ".." in path.parts or "\0" in name:
        raise ValueError(f"{what}: must be relative, without '..'")


def column_of_names(table: Table) -> str | None:
    """Return the first column whose texts all end as those of images do, if there is one."""
    for name, values in table.columns.items():
        if values.ndim == 1 and is_text(values):
            cells = categorical(table, name)
            if cells.categories and all(map(_is_image, cells.categories)):
                return name
    return None


def _is_image(text: str) -> bool:
    return Path(text).suffix.lower() in FORMATS


def _inner_file(root: Path, directory: str, name: str) -> tuple[Path, str]:
    """Return the file of a name below a directory, and what is wrong with it."""
    file = root / directory / name
    try:
        require_inner(name)
    except ValueError:
        return file, f"found {name!r}, expected a file below {root / directory}, without '..'"
    if not _is_image(name):
        return file, f"found {name!r}, expected an image: {', '.join(FORMATS)}"
    if not file.is_file():
        return file, f"no image {file}; add it, or remove the row"
    if not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root)):
        return file, f"{file} is a link out of the directory {root}; move the image there"
    return file, ""
