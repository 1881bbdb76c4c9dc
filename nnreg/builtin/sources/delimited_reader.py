"""Delimited text, read in blocks of rows."""

from __future__ import annotations

import copy
import csv
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import counted
from nnreg.builtin.sources.cell_columns import CellColumn, parse_columns
from nnreg.builtin.sources.compiled_cells import finder
from nnreg.builtin.sources.delimited_lines import Lines
from nnreg.builtin.sources.delimited_options import Options
from nnreg.builtin.sources.text_file import CountedFile, lines_of
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.column_types import values_among
from nnreg.tables.lazy import materialize
from nnreg.tables.packed_texts import PackedColumns, Stored

BLOCK = 2**20
"""About how many characters of a file are read at once. Each block costs about two milliseconds for
20 columns, however small it is."""

MIN_BLOCK_LINES, MAX_BLOCK = 100, 2**24
"""The fewest lines in a block, also if lines are long, up to this number of characters."""

FIRST_BLOCK = 2**14
"""The characters of the first block, from which the types of columns are inferred."""

DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}

SEPARATOR = re.compile(r'"?sep=([^"\0\r\n])"?\s*', re.I)
"""The first line of a file for Excel, which names the delimiter."""

COMMENTS = ("#", "%", "//")
"""What lines of comments begin with."""

MAX_CELL = 2**24
"""The most characters of a cell: a long text, but a quote that is not closed is found soon."""
csv.field_size_limit(max(MAX_CELL, csv.field_size_limit()))  # it has one for all of a process


class Mark(NamedTuple):
    """Where a block of rows is in its file."""

    position: int
    """As of `Lines.tell`."""
    size: int
    """The number of characters that were asked for."""
    line: int
    """The number of lines before it."""
    rows: int


class Reader:
    """A file read in blocks, with the types of its columns so far.

    The standard library's `csv` defines what is well-formed and what a cell is. It reads the first
    block, and those in which `find_cells`, which is faster, might find something else.
    """

    def __init__(
        self,
        options: Options,
        path: Path,
        file: Lines,
        counted: CountedFile,
        text: Collection[str],
    ) -> None:
        self.options = options
        self.path = path
        self.file = file
        self.counted = counted
        self.find_cells = finder(path)
        self.delimiter = options.delimiter
        self.line = 0
        self.starts = True
        """Whether the next line starts a row, as it is not within a quoted cell."""
        self.rows: list[list[str]] = []
        self.numbers: list[int] = []
        """Rows that were read to know the columns, and the line numbers in which they end."""
        self.marks: list[Mark] | None = None
        """Where the blocks are, if they are to be read again."""
        self.header: list[str] = []
        self.header = self._read_names()
        self.header_line = self.line
        self.width = len(self.header)
        """The number of cells of each row."""
        self.columns = {
            number: CellColumn(options.missing, options.decimal, name in text)
            for number, name in enumerate(self.header)
        }

    def _first_line(self) -> str:
        """Leave out title lines and a line that names the delimiter; return the one after them."""
        line, skipped = self.file.readline(), self.options.skip_lines
        if found := SEPARATOR.fullmatch(line):
            if self.delimiter not in (type(self.options).delimiter, found[1]):
                raise DataError(
                    f"{self.path}, line 1: {line.strip()} names another delimiter than the "
                    f"source, which has {self.delimiter!r}; remove one of them"
                )
            self.delimiter, skipped = found[1], max(skipped, 1)
        for _ in range(skipped):
            line = self.file.readline()
        self.line = skipped
        return line

    def _read_names(self) -> list[str]:
        """Return the names of the columns."""
        line = self._first_line()
        rows: list[list[str]] = []
        while not rows:  # blank lines are not rows
            if not line:
                expected = "a header line, then rows" if self.options.header else "rows"
                after = f" after {counted(self.line, 'line')}" if self.options.skip_lines else ""
                raise DataError(f"{self.path}: the file is empty{after}; expected {expected}")
            rows, numbers = self._rows([line])
            line = "" if rows else self.file.readline()
        if "\0" in rows[0][0]:
            advice = self.options.changed(encoding="utf-16")
            raise DataError(
                f"{self.path}, line {numbers[0]}: not text in {self.options.encoding}; set the "
                f"source to {advice}"
            )
        if self.options.header:
            return self._checked(rows[0], f"{self.path}, line {numbers[0]}")
        self.rows, self.numbers = rows, numbers
        width = len(self.options.names or rows[0])
        return list(self.options.names or (f"column_{n}" for n in range(1, width + 1)))

    def _checked(self, cells: list[str], where: str) -> list[str]:
        """Return the names in a header line. Raises `DataError`."""
        header = [name.strip() for name in cells]
        if twice := [name for name, count in Counter(header).items() if count > 1]:
            first, second = [at + 1 for at, name in enumerate(header) if name == twice[0]][:2]
            problem = f"column {twice[0]!r} occurs twice; rename one"
            if not twice[0]:
                problem = f"columns {first} and {second} have no name; name them"
            raise DataError(f"{where}: {problem}")
        for other, its_name in DELIMITERS.items():
            if len(header) == 1 and other in header[0]:
                advice = self.options.changed(delimiter=other)
                raise DataError(
                    f"{where}: the only column is {header[0]!r}; the delimiter seems to be "
                    f"{its_name}: set the source to {advice}"
                )
        if values := values_among(header):
            text = f"taken as column names, but {values[0]!r} looks like a value; if it is a row, "
            text += f"set the source to {self.options.changed(header=False)}"
            warnings.warn(f"{where}: {text}", NnregWarning, stacklevel=2)
        return header

    def blocks(self) -> Iterator[tuple[PackedColumns, Sequence[int] | Array]]:
        """Yield the columns of each block by name, and the line numbers of its rows."""
        largest = min(MAX_BLOCK, self.counted.limit / 8)  # a character takes up to four bytes
        size, found = int(min(FIRST_BLOCK, largest)), False
        before, line = self._position(), self.line
        self.first_rows = self.rows, self.numbers
        while (text := self.file.many(size)) or self.rows:
            asked = size
            size = int(min(max(BLOCK, MIN_BLOCK_LINES * (text.find("\n") + 1)), largest))
            parsed, numbers = self._parsed(text, first=not found)
            if parsed:
                found = True
                if self.marks is not None:
                    self.marks.append(Mark(before, asked, line, len(numbers)))
                yield self._named(parsed, numbers)
            self.counted.restart()
            before, line = self._position(), self.line
        if not found:
            raise DataError(f"{self.path}: the file has a header but no rows")

    def _position(self) -> int:
        return 0 if self.marks is None else self.file.tell()

    def reopened(self, file: Lines, counted: CountedFile, names: Collection[str]) -> Reader:
        """Return a reader of these columns in the blocks that this one has found.

        It shares nothing with this one that changes, so that several threads may have one each.
        """
        reader = copy.copy(self)
        reader.file, reader.counted = file, counted
        reader.find_cells = finder(self.path)
        numbers = [number for number, name in enumerate(self.header) if name in names]
        reader.columns = {number: self.columns[number].anew() for number in numbers}
        return reader

    def block(self, number: int) -> tuple[PackedColumns, Sequence[int] | Array]:
        """Return what `blocks` has yielded for the block with this number."""
        assert self.marks is not None  # it was found
        mark = self.marks[number]
        if number == 0:
            self.rows, self.numbers = self.first_rows
        self.file.seek(mark.position)
        self.line, self.starts = mark.line, True
        parsed, numbers = self._parsed(self.file.many(mark.size), first=False)
        self.counted.restart()
        return self._named(parsed, numbers)

    def _named(
        self, parsed: dict[int, Stored], numbers: Sequence[int] | Array
    ) -> tuple[PackedColumns, Sequence[int] | Array]:
        """Return the columns by name, in order, without the empty one after the last delimiter."""
        if empty := [parsed.pop(number) for number in list(parsed) if number >= len(self.header)]:
            self._refuse_values(materialize(PackedColumns({"": empty[0]})[""]), numbers)
        named = {self.header[number]: parsed[number] for number in sorted(parsed)}
        return PackedColumns(named), _span(numbers)

    def _parsed(self, text: str, first: bool) -> tuple[dict[int, Stored], Sequence[int] | Array]:
        """Return the columns of these lines, and the line number in which each row ends.

        There are no columns if there are no rows.
        """
        if not first and not self.rows and (fast := self._by_bytes(text)):
            return fast
        rows, numbers = self._rows(lines_of(text))
        rows, numbers = self.rows + rows, self.numbers + numbers
        self.rows, self.numbers = [], []
        if first:
            self._find_trailing(rows)
        self._check_widths(rows, numbers)
        if not rows:
            return {}, numbers
        cells = list(zip(*rows, strict=True))
        return {n: column.parse(cells[n]) for n, column in self.columns.items()}, numbers

    def _by_bytes(self, text: str) -> tuple[dict[int, Stored], Sequence[int] | Array] | None:
        """Return what `_parsed` does; None if the cells must be found by `csv`."""
        comment, first = self.options.comment, self.line + 1
        commented = False
        if comment and (commented := text.startswith(comment) or f"\n{comment}" in text):
            lines = lines_of(text)
            kept = [n for n, line in enumerate(lines) if not line.startswith(comment)]
            text = "".join(lines[n] for n in kept)
        cells = self.find_cells(text, self.delimiter, self.width)
        if cells is None or (commented and cells.lines is not None):
            return None  # what looks like a comment may be within a quoted cell
        ends: Sequence[int] | Array = range(first, first + len(cells.ends))
        if cells.lines is not None:
            ends = cells.lines + first
        self.line = int(ends[-1])
        if commented:
            self.line, ends = self.line + len(lines) - len(kept), [first + n for n in kept]
        return parse_columns(self.columns, cells), ends

    def _rows(self, lines: list[str]) -> tuple[list[list[str]], list[int]]:
        """Return the rows that begin in these lines, and the line number in which each ends.

        If the last row continues after them, more lines are read. Blank lines and comments are not
        rows.
        """
        feed: Iterator[str] = itertools.chain(lines, iter(self.file.readline, ""))
        if self.options.comment:
            feed = self._without_comments(lines, self.options.comment)
        reader = csv.reader(feed, delimiter=self.delimiter, strict=True)
        rows: list[list[str]] = []
        numbers: list[int] = []
        end, before = self.line + len(lines), 0
        try:
            while self.line + reader.line_num < end:
                self.starts, before = True, reader.line_num
                row = next(reader, None)
                if row and (len(row) > 1 or not self._blank(row[0])):
                    rows.append(row)
                    numbers.append(self.line + reader.line_num)
        except csv.Error as error:
            first, line = self.line + before + 1, self.line + reader.line_num
            begins = f" in the row that begins in line {first}" if first < line else ""
            raise DataError(
                f"{self.path}, line {line}: not well-formed CSV{begins}: {error}; put quotes "
                "around the whole cell, and write a quote within it twice"
            ) from error
        self.line += reader.line_num
        return rows, numbers

    def _without_comments(self, lines: Iterable[str], comment: str) -> Iterator[str]:
        """Yield lines except comments, which are counted; a quoted cell has none.

        More lines are read only for a quoted cell: a comment at the end needs no row after it.
        """
        for line in lines:
            if self.starts and line.startswith(comment):
                self.line += 1
            else:
                self.starts = False
                yield line
        while not self.starts and (line := self.file.readline()):
            yield line

    def _blank(self, line: str) -> bool:
        """Return True for a line of spaces, unless it is the missing value of a single column."""
        return len(self.header) != 1 and not line.strip()

    def _find_trailing(self, rows: list[list[str]]) -> None:
        """Find out by the first rows whether the header or every line ends with a delimiter."""
        width, named = len(self.header), bool(self.header[-1]) or len(self.header) == 1
        lengths = {len(row) for row in rows}
        if not named and lengths == {width - 1}:
            del self.header[-1], self.columns[width - 1]
            self.width -= 1
            what = "the header"
        elif lengths == {width + named} and not any(row[-1].strip() for row in rows):
            if named:
                missing, decimal = self.options.missing, self.options.decimal
                self.columns[width] = CellColumn(missing, decimal, False)
                self.width += 1
            else:
                self.header.pop()
            what = "every line"
        else:
            return
        text = f"{self.path}: {what} ends with a delimiter; the empty column after it is left out"
        warnings.warn(text, NnregWarning, stacklevel=2)

    def _refuse_values(self, cells: Array, numbers: Sequence[int] | Array) -> None:
        """Raise `DataError` for a value after the last delimiter."""
        numeric = cells.dtype.kind == "f"
        some = ~np.isnan(cells) if numeric else [cell not in ("", None) for cell in cells]
        if np.any(some):
            row = int(np.argmax(some))
            raise DataError(
                f"{self.path}, line {numbers[row]}: found {cells[row]!s} in column "
                f"{self.width}, which has no name and is empty in the first rows; name it "
                "in the header, or remove the value"
            )

    def _check_widths(self, rows: list[list[str]], numbers: Sequence[int]) -> None:
        width = self.width
        for row, number in zip(rows, numbers, strict=True):
            if len(row) != width:
                has = "the header has" if self.options.header else "the first row has"
                has = "'names' has" if self.options.names else has
                cells = counted(len(row), "cell")
                raise DataError(
                    f"{self.path}, line {number}: {cells}, but {has} {width}; "
                    f"{self._advice_for_width(row, rows)}"
                )

    def _advice_for_width(self, row: list[str], rows: list[list[str]]) -> str:
        """Return how to read a row that has more or fewer cells than there are columns."""
        if comment := next((mark for mark in COMMENTS if row[0].startswith(mark)), ""):
            change = self.options.changed(comment=comment)
            return f"if it is a comment, set the source to {change}"
        if self.options.header and self.width == 1:
            change = self.options.changed(skip_lines=self.header_line)
            return f"if line {self.header_line} is a title, set the source to {change}"
        if self.options.header and {len(one) for one in rows} == {self.width + 1}:
            return "if the first column has no name in the header, add one"
        return f"fix the row, or set 'delimiter' if it is not {self.delimiter!r}"


def _span(numbers: Sequence[int] | Array) -> Sequence[int] | Array:
    """Return consecutive numbers as a range, others unchanged."""
    span = range(int(numbers[0]), int(numbers[-1]) + 1)
    return span if len(span) == len(numbers) else numbers
