"""Excel workbooks, read with openpyxl."""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from nnreg._utils.extras import needed
from nnreg._utils.memory import require_memory
from nnreg.builtin.sources.typed_cells import column_of_cells
from nnreg.errors import DataError, NnregWarning
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS, cell_text
from nnreg.tables.column_types import values_among
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

ROWS = 2**12
"""The rows that are converted at once."""

MAX_ROWS = 2**20
"""The most rows of a sheet in Excel."""

OLD = b"\xd0\xcf\x11\xe0"
"""The beginning of a file of Excel before 2007, or of one with a password."""

BYTES_PER_BYTE = 10
"""The most bytes of memory that a byte of XML takes as objects."""


@dataclass(frozen=True)
class Excel(Source):
    """A sheet of an Excel workbook; needs `pip install 'nnreg[excel]'`.

    The first row with values has the names of the columns. Formulas have the values that Excel
    saved with them. Dates are text such as `2024-01-31`, `#N/A` is a missing value, and so are all
    cells of a merged range but the first. Empty rows are not rows.

    Options:
        sheet: the name of the sheet; not needed if there is only one
        skip_rows: rows above the names of the columns that are not read, such as titles
    """

    suffixes = (".xlsx", ".xlsm")

    sheet: str | None = None
    skip_rows: Annotated[int, Ge(0)] = 0

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        with needed(path, "reading Excel", "openpyxl", "excel"):
            import openpyxl
        with path.open("rb") as file:
            if file.read(len(OLD)) == OLD:
                raise DataError(
                    f"{path}: an old Excel file, or one with a password; save it as .xlsx without"
                )
            try:
                _check_sizes(file, path)
                with warnings.catch_warnings():  # of styles and the like
                    warnings.simplefilter("ignore")
                    book = openpyxl.load_workbook(
                        file, read_only=True, data_only=True, keep_links=False
                    )
                with closing(book):
                    yield from self._tables(book, path, text)
            except (DataError, NnregWarning):
                raise
            except Exception as error:  # openpyxl raises any exception for an invalid file
                raise DataError(f"{path}: not a readable Excel workbook: {error}") from error

    def _tables(self, book: Any, path: Path, text: Collection[str]) -> Iterator[Table]:
        sheet = self._sheet(book, path)
        total = sheet.max_row or MAX_ROWS
        sheet.reset_dimensions()  # what a file declares is often wrong
        rows = _rows(sheet, path, self.skip_rows)
        first, found = next(rows, (0, ()))
        names = _names(found, f"{path}, line {first}")
        if not names:
            raise DataError(f"{path}: the sheet is empty; expected a row of names, then rows")
        count = 0
        while block := list(islice(rows, ROWS)):
            cells = [_padded(row, len(names), f"{path}, line {line}") for line, row in block]
            columns = {
                name: column_of_cells(column, f"{path}, column {name!r}", name in text)
                for name, column in zip(names, zip(*cells, strict=True), strict=True)
            }
            lines = [line for line, _ in block]
            fraction = min(lines[-1] / total, 1.0)
            missing = (*MISSING_TEXTS, "#N/A")
            yield Table(columns, str(path), lines, fraction_read=fraction, missing_texts=missing)
            count += len(block)
        if not count:
            raise DataError(f"{path}: the sheet has a row of names but no rows below it")

    def _sheet(self, book: Any, path: Path) -> Any:
        """Return the sheet to read. Raises `DataError`."""
        names = [sheet.title for sheet in book.worksheets]
        name = names[0] if self.sheet is None and len(names) == 1 else self.sheet
        if name not in names:
            wrong = "several sheets" if name is None else f"no sheet {name!r}"
            listed = ", ".join(map(repr, names)) or "none"
            raise DataError(f"{path}: {wrong}; set 'sheet' of the source to one of: {listed}")
        return book[name]


def _check_sizes(file: Any, path: Path) -> None:
    """Raise `DataError` for a workbook whose parts, but for its sheets, do not fit into memory."""
    with zipfile.ZipFile(file) as archive:
        size = 0
        for entry in archive.infolist():
            streamed = entry.filename.startswith("xl/worksheets/")
            size += entry.file_size * (1 if streamed else BYTES_PER_BYTE)
            require_memory(size, f"{path}, {entry.filename} and the parts before it")


def _rows(sheet: Any, path: Path, skip: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the rows that have values, without empty cells at the end, with their numbers."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > MAX_ROWS:
            raise DataError(f"{path}: more than {MAX_ROWS:,} rows, which Excel does not have")
        width = next((i for i in range(len(row), 0, -1) if row[i - 1] is not None), 0)
        if width and number > skip:
            yield number, row[:width]


def _names(row: tuple[Any, ...], where: str) -> list[str]:
    """Return the names of the columns. Raises `DataError` for a cell without one."""
    names = [cell_text(cell, where) or "" for cell in row]
    if "" in names:
        raise DataError(
            f"{where}: column {_letter(names.index(''))} has no name; write one, unmerge its cell, "
            "or set 'skip_rows' of the source to the number of rows above the names"
        )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{where}: column {twice[0]!r} occurs twice; rename one")
    if values := values_among(names):
        warnings.warn(
            f"{where}: taken as column names, but {values[0]!r} looks like a value; if it is a "
            "row, add a row of names above it",
            NnregWarning,
            stacklevel=2,
        )
    return names


def _padded(row: tuple[Any, ...], width: int, where: str) -> tuple[Any, ...]:
    if len(row) > width:
        raise DataError(
            f"{where}: a value in column {_letter(len(row) - 1)}, which has no name; write one, or "
            "set 'skip_rows' of the source to the number of rows above the names"
        )
    return row + (None,) * (width - len(row))


def _letter(index: int) -> str:
    from openpyxl.utils import get_column_letter

    letter: str = get_column_letter(index + 1)
    return letter
