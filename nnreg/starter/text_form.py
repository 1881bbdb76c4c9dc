"""How a text file is written: its encoding, delimiter, titles, comments and header."""

from __future__ import annotations

import codecs
import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from nnreg._utils.os_errors import explain_os_error
from nnreg.builtin.sources.delimited import Csv, Tsv
from nnreg.builtin.sources.delimited_reader import COMMENTS, DELIMITERS, SEPARATOR
from nnreg.builtin.sources.text_file import open_text
from nnreg.errors import DataError
from nnreg.starter.column_facts import MISSING_MARKERS
from nnreg.tables.cells import parse_number
from nnreg.tables.column_types import COMMA, DATE, values_among

SAMPLE, SAMPLE_LINES = 2**20, 200
"""The characters and lines at the beginning of a file by which its form is detected."""

MIN_ROWS = 3
"""With fewer rows below it, the first line is the header."""

MIN_INCREASING = 5
"""As many increasing numbers in the first line are names, such as wavelengths."""

Lines: TypeAlias = list[tuple[int, str]]
"""Lines, each with its number."""


@dataclass(frozen=True)
class TextForm:
    """The options of the source that reads a text file, and the reasons for them."""

    options: dict[str, Any]
    reasons: tuple[str, ...]

    def __add__(self, other: TextForm) -> TextForm:
        return TextForm(self.options | other.options, self.reasons + other.reasons)


@dataclass(frozen=True)
class _Row:
    """The cells of a row, and the number of the line in which it begins."""

    cells: Sequence[str]
    line: int


def text_form(path: Path, source: str) -> TextForm:
    """Return how a text file is written, where that differs from the defaults of `csv` or `tsv`.

    Raises `DataError` if the file cannot be read.
    """
    encoding = _encoding(path)
    form = TextForm({} if encoding == Csv.encoding else {"encoding": encoding}, ())
    if encoding == "cp1252":
        reason = (
            "The file is not UTF-8; it is read as cp1252, the Western European Windows encoding."
        )
        form += TextForm({}, (reason,))
    try:
        with open_text(path, encoding) as (_, _, file):
            lines = file.readlines(SAMPLE)[:SAMPLE_LINES]
    except UnicodeError:
        return form  # reading the table reports it
    return form + _layout(lines, Tsv.delimiter if source == "tsv" else Csv.delimiter)


def _layout(lines: Sequence[str], default: str) -> TextForm:
    """Return the delimiter, titles, comments and header of a file that begins with these lines."""
    numbered, marks = list(enumerate(lines, 1)), [default] if default == "\t" else [*DELIMITERS]
    named = SEPARATOR.fullmatch(lines[0]) if lines else None
    if named:
        numbered, marks = numbered[1:], [named[1]]
    comment, delimiter, rows, width = _table(numbered, marks, default)
    form = TextForm({}, ())
    if delimiter != default and not named:
        reason = f"{DELIMITERS[delimiter].capitalize()} separates the cells."
        form += TextForm({"delimiter": delimiter}, (reason,))
    if not rows:
        return form
    at = _first_full(rows, width)
    has_header = _has_header(rows[at], rows[at + 1 :])
    if at and not has_header and any(map(_is_value, rows[at].cells)):
        at, has_header = 0, None  # it has no names, so what is above it is not a title
    if above := rows[at].line - 1 if at else 0:
        reason = f"The header is line {above + 1}, below lines of text that are no rows."
        form += TextForm({"skip_lines": above}, (reason,))
    commented = [(n, line) for n, line in numbered if comment and line.startswith(comment)]
    if any(n > above for n, _ in commented):
        reason = f'Lines that begin with "{comment}" are comments.'
        form += TextForm({"comment": comment}, (reason,))
    return form + _header(has_header, _commented_names(commented, comment, rows[at], delimiter))


def _table(numbered: Lines, marks: Sequence[str], default: str) -> tuple[str, str, list[_Row], int]:
    """Return what comments begin with, the delimiter, the rows, and the usual number of cells."""
    for comment in COMMENTS:
        kept = [(n, line) for n, line in numbered if not line.startswith(comment)]
        if not kept or len(kept) == len(numbered):
            continue
        delimiter, rows, width = _split(kept, marks, default)
        later = [(n, one) for n, one in numbered if one.startswith(comment) and n > kept[0][0]]
        if not later or (width > 1 and not _of_width(_rows(later, delimiter), width)):
            return comment, delimiter, rows, width
    return "", *_split(numbered, marks, default)


def _split(lines: Lines, marks: Sequence[str], default: str) -> tuple[str, list[_Row], int]:
    """Return the delimiter that gives most rows the same number of cells, and the rows."""
    found = (default, _rows(lines, default), 1)
    best = 0.0
    for mark in marks:
        rows = _rows(lines, mark)
        widths = Counter(len(row.cells) for row in rows if len(row.cells) > 1)
        for width, count in widths.most_common(1):
            if count / len(rows) > best:
                found, best = (mark, rows, width), count / len(rows)
    return found


def _rows(lines: Lines, delimiter: str) -> list[_Row]:
    """Return the rows that are not blank."""
    rows = []
    reader, before = csv.reader((line for _, line in lines), delimiter=delimiter), 0
    with suppress(csv.Error):
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_Row(cells, lines[before][0]))
            before = reader.line_num
    return rows


def _of_width(rows: Sequence[_Row], width: int) -> list[_Row]:
    return [row for row in rows if len(row.cells) == width]


def _first_full(rows: Sequence[_Row], width: int) -> int:
    """Return the position of the first row that has more cells than a title."""
    for at, row in enumerate(rows):
        if sum(bool(cell.strip()) for cell in row.cells) > max(1, width // 3):
            return at
    return 0


def _has_header(first: _Row, others: Sequence[_Row]) -> bool | None:
    """Return whether the first row has names, because it is unlike the others; None if unclear."""
    others = _of_width(others, len(first.cells))
    if len(others) < MIN_ROWS:
        return None
    typed, repeated = [], []
    for name, cells in zip(
        first.cells, zip(*(row.cells for row in others), strict=True), strict=True
    ):
        known, name = [cell.strip() for cell in cells if not _is_missing(cell)], name.strip()
        if not known or _is_missing(name):
            continue
        if all(map(_is_value, known)):
            if not _is_value(name):
                return True
            typed.append(name)
        elif 2 * len(set(known)) <= len(known):
            repeated.append(name in known)
    numbers = list(map(parse_number, typed))
    increasing = len(numbers) >= MIN_INCREASING and all(a < b for a, b in pairwise(numbers))
    if increasing or (typed and repeated and not any(repeated)):
        return True
    if values_among(typed) or (repeated and 2 * sum(repeated) >= len(repeated)):
        return False
    return None


def _is_missing(cell: str) -> bool:
    return cell.strip() in Csv.missing or cell.strip().lower() in MISSING_MARKERS


def _is_value(cell: str) -> bool:
    """Return True for a number or a date."""
    return bool(
        parse_number(cell) == parse_number(cell) or COMMA.fullmatch(cell) or DATE.fullmatch(cell)
    )


def _commented_names(commented: Lines, comment: str, first: _Row, delimiter: str) -> list[str]:
    """Return the names of the columns in the last comment above the first row, if it has them."""
    above = [(n, line[len(comment) :]) for n, line in commented if n < first.line][-1:]
    for row in _rows(above, delimiter):
        names = [cell.strip() for cell in row.cells]
        if len(names) == len(first.cells) == len({*names} - {""}) > 1:
            return names
    return []


def _header(has_header: bool | None, names: list[str]) -> TextForm:
    """Return the options for a file without a header, perhaps with `names` in a comment."""
    if has_header or (has_header is None and not names):
        return TextForm({}, ())
    if names:
        return TextForm(
            {"header": False, "names": names}, ("The names of the columns are in a comment.",)
        )
    reason = (
        "The first line is a row: its cells are like those below it. "
        'To name the columns: "names": ["…", …].'
    )
    return TextForm({"header": False}, (reason,))


def _encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8 if it is valid, else one of spreadsheets."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _bytes_of(path) as file:
        block = file.read(2**20)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = file.read(2**20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


@contextmanager
def _bytes_of(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that may be compressed. Raises `DataError` if it cannot be read."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            yield cast(IO[bytes], file)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot read the data: {explain_os_error(error, path)}") from error
