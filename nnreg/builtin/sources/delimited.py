"""Sources of delimited text: CSV and TSV."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import math
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import numpy as np
from annotated_types import Len

from nnreg._types import Array
from nnreg._utils import json_text
from nnreg.builtin.sources.text_file import CountedFile, open_text
from nnreg.errors import DataError, NnregWarning
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS, parse_number
from nnreg.tables.column_types import values_among
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

BLOCK = 2**19
"""About how many characters of a file are read at once."""

MIN_BLOCK_LINES, MAX_BLOCK = 100, 2**24
"""The fewest lines in a block, also if lines are long, up to this number of characters."""

FIRST_BLOCK = 2**14
"""The characters of the first block, from which the types of columns are inferred."""

COMMA = str.maketrans({",": ".", ".": "?"})
"""Translates a decimal comma to a point; a number with a point becomes invalid."""

DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}

MAX_CELL = 2**24
"""The most characters of a cell: a long text, but a quote that is not closed is found soon."""
csv.field_size_limit(max(MAX_CELL, csv.field_size_limit()))  # it has one for all of a process


@dataclass(frozen=True)
class Csv(Source):
    """Comma-separated text with a header line, also compressed with gzip.

    `delimiter` is one character. `missing` lists the texts of missing values. `encoding` is the
    name of a Python codec, such as `utf-8` (with or without a byte-order mark), `utf-16` or
    `cp1252`. `decimal` is the decimal mark in numbers. Every row must have as many cells as the
    header.

    Options:
        delimiter: the character between cells
        missing: cells that stand for a missing value
        encoding: Python's name of the text encoding
        decimal: the decimal mark in numbers
    """

    suffixes = (".csv", ".txt")

    delimiter: Annotated[str, Len(1, 1)] = ","
    missing: tuple[str, ...] = MISSING_TEXTS
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if self.delimiter in '\r\n"\0':
            raise ValueError("delimiter: must not be a quote or a line break")
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(f"encoding: {error}; expected one such as utf-8") from error

    def read(self, path: Path, text: Collection[str] = ()) -> Table:
        """Return the columns; those named in `text` are text even if they are numeric."""
        return concat_chunks(self, path, text)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        try:
            yield from self._decoded(path, text)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: not a complete gzip file: {error}") from error

    def _decoded(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        try:
            with open_text(path, self.encoding) as (raw, counted, file):
                size = path.stat().st_size
                for columns, lines in _Reader(self, path, file, counted, text).blocks():
                    fraction = raw.tell() / size if size else 1.0  # a pipe has no size
                    yield Table(columns, str(path), lines, fraction_read=fraction)
        except UnicodeError as error:
            raise DataError(_undecodable(path, self)) from error


@dataclass(frozen=True)
class Tsv(Csv):
    """Tab-separated text with a header line; the other options are those of `csv`."""

    suffixes = (".tsv", ".tab")

    delimiter: Annotated[str, Len(1, 1)] = "\t"


class _Reader:
    """A file read in blocks, with the types of its columns so far.

    A block is parsed with `numpy.loadtxt` if that is known to give the same result, otherwise with
    the standard library's `csv`, which defines what is well-formed and what a cell is.
    """

    def __init__(
        self,
        options: Csv,
        path: Path,
        file: TextIO,
        counted: CountedFile,
        text: Collection[str],
    ) -> None:
        self.options = options
        self.path = path
        self.file = file
        self.counted = counted
        self.line = 0
        self.header = self._read_header()
        self.columns = [_Column(options, name in text) for name in self.header]
        self.fills = {"", "nan"} <= set(options.missing)  # empty cells may be filled with nan
        self.gaps = False
        self.kinds: list[str] = []
        self.dtype: np.dtype[Any] | None = None

    def _read_header(self) -> list[str]:
        rows: list[list[str]] = []
        while not rows:  # blank lines are not rows
            line = self.file.readline()
            if not line:
                raise DataError(
                    f"{self.path}: the file is empty; expected a header line, then rows"
                )
            rows, numbers = self._rows([line])
        header = [name.strip() for name in rows[0]]
        number, twice = numbers[0], [name for name, n in Counter(header).items() if n > 1]
        where = f"{self.path}, line {number}"
        if twice:
            raise DataError(f"{where}: column {twice[0]!r} occurs twice; rename one")
        if "\0" in header[0]:
            advice = _changed(self.options, encoding="utf-16")
            raise DataError(
                f"{where}: not text in {self.options.encoding}; set the source to {advice}"
            )
        for other, its_name in DELIMITERS.items():
            if len(header) == 1 and other in header[0]:
                advice = _changed(self.options, delimiter=other)
                raise DataError(
                    f"{where}: the only column is {header[0]!r}; the delimiter seems to be "
                    f"{its_name}: set the source to {advice}"
                )
        if values := values_among(header):
            text = f"taken as column names, but {values[0]!r} looks like a value; if it is a row, "
            text += "add a line of names above it"
            warnings.warn(f"{where}: {text}", NnregWarning, stacklevel=2)
        return header

    def blocks(self) -> Iterator[tuple[dict[str, Array], Sequence[int] | Array]]:
        """Yield the columns of each block by name, and the line numbers of its rows."""
        largest = min(MAX_BLOCK, self.counted.limit / 8)  # a character takes up to four bytes
        size, found = int(min(FIRST_BLOCK, largest)), False
        while lines := self.file.readlines(size):
            size = int(min(max(BLOCK, MIN_BLOCK_LINES * len(lines[0])), largest))
            first = self.line + 1
            numbers: Sequence[int] = range(first, first + len(lines))
            cells: Sequence[Any] | None = self._by_numpy(lines)
            if cells is None:
                rows, numbers = self._rows(lines)
                self._check_widths(rows, numbers)
                cells = list(zip(*rows, strict=True))
            else:
                self.line += len(lines)
            if cells:
                found = True
                parsed = map(_Column.parse, self.columns, cells)
                table = dict(zip(self.header, parsed, strict=True))
                self._plan()
                yield table, _span(numbers)
            self.counted.restart()
        if not found:
            raise DataError(f"{self.path}: the file has a header but no rows")

    def _by_numpy(self, lines: list[str]) -> list[Any] | None:
        """Return the cells of each column, numbers parsed; None if `numpy.loadtxt` cannot."""
        text = "".join(lines)
        if self.dtype is None or text.isspace():
            return None
        if '"' in text and not _regular(text, self.options.delimiter):
            return None
        cells = None if self.gaps else self._loaded(lines, np.isfinite)
        if cells is None and self.fills and '"' not in text and "nan" not in text.lower():
            filled = io.StringIO(_filled(text, self.options.delimiter), newline="").readlines()
            cells = self._loaded(filled, lambda values: ~np.isinf(values))
            self.gaps = self.gaps or cells is not None
        return cells

    def _loaded(self, lines: list[str], valid: Callable[[Array], Array]) -> list[Any] | None:
        """Return lines as columns by `numpy.loadtxt`; None if it fails or a number is invalid."""
        mark = self.options.delimiter
        try:
            rows = np.loadtxt(
                lines, self.dtype, comments=None, delimiter=mark, quotechar='"', ndmin=2
            )
        except ValueError:
            return None
        if len(rows) < len(lines):  # blank lines, or rows of several lines
            return None
        if self.dtype == float:
            fits = rows.shape[1] == len(self.columns) and valid(rows).all()
            return list(np.ascontiguousarray(rows.T)) if fits else None
        fields = [rows[name].reshape(-1) for name in rows.dtype.names or ()]
        if not all(valid(field).all() for field in fields if field.dtype == float):
            return None
        return [field.tolist() if field.dtype == object else field for field in fields]

    def _plan(self) -> None:
        """Set the type for `numpy.loadtxt`: a matrix if all columns are numeric."""
        kinds = ["O" if column.text or not column.plain else "f8" for column in self.columns]
        if kinds != self.kinds:
            self.kinds = kinds
            fields = [(f"f{index}", kind) for index, kind in enumerate(kinds)]
            self.dtype = np.dtype(fields if "O" in kinds else float)

    def _rows(self, lines: list[str]) -> tuple[list[list[str]], list[int]]:
        """Return the rows that begin in these lines, and the line number in which each ends.

        If the last row continues after them, more lines are read. Blank lines are not rows.
        """
        feed = itertools.chain(lines, iter(self.file.readline, ""))
        reader = csv.reader(feed, delimiter=self.options.delimiter, strict=True)
        rows, numbers = [], []
        try:
            while reader.line_num < len(lines):
                row = next(reader)
                if row:
                    rows.append(row)
                    numbers.append(self.line + reader.line_num)
        except csv.Error as error:
            line = self.line + reader.line_num
            raise DataError(f"{self.path}, line {line}: not well-formed CSV: {error}") from error
        self.line += reader.line_num
        return rows, numbers

    def _check_widths(self, rows: list[list[str]], numbers: Sequence[int]) -> None:
        width = len(self.header)
        for row, number in zip(rows, numbers, strict=True):
            if len(row) != width:
                raise DataError(
                    f"{self.path}, line {number}: {len(row)} cells, but the header has {width}; "
                    f"fix the row, or set 'delimiter' if it is not {self.options.delimiter!r}"
                )


def _regular(text: str, mark: str) -> bool:
    """Return True if every quote begins or ends a cell, or is doubled within one."""
    outside = '"'.join(text.replace('""', "").split('"')[::2])
    beside = re.escape(mark) + r"\r\n"
    return text.count('"') % 2 == 0 and not re.search(rf'[^{beside}]"|"[^{beside}]', outside)


def _filled(text: str, mark: str) -> str:
    """Write nan into empty cells."""
    for _ in range(2):  # of adjacent empty cells, each pass fills every second one
        text = text.replace(mark * 2, f"{mark}nan{mark}")
    for end in "\r\n":
        text = text.replace(end + mark, f"{end}nan{mark}").replace(mark + end, f"{mark}nan{end}")
    return f"{'nan' if text.startswith(mark) else ''}{text}{'nan' if text.endswith(mark) else ''}"


def _span(numbers: Sequence[int]) -> Sequence[int]:
    """Return consecutive numbers as a range, others unchanged."""
    span = range(numbers[0], numbers[-1] + 1)
    return span if len(span) == len(numbers) else numbers


class _Column:
    """The type of a column so far: numeric until a cell is not a number, then text."""

    def __init__(self, options: Csv, wanted: bool) -> None:
        self.text = self.wanted = wanted
        self.comma = options.decimal == ","
        self.plain = not self.comma
        """Whether all cells so far are empty, or numbers that `numpy.loadtxt` reads."""
        self.nan = dict.fromkeys(options.missing, "nan")
        self.none = dict.fromkeys(options.missing)

    def parse(self, cells: Sequence[str] | Array) -> Array:
        """Return cells as float64, NaN if missing; or as text, None if missing."""
        if isinstance(cells, np.ndarray):
            return cells
        if not self.text:
            values = self._numbers(cells)
            if values is not None:
                missing = np.flatnonzero(np.isnan(values)).tolist()
                self.plain = self.plain and all(cells[row] == "" for row in missing)
                return values
            self.text = True
        cells = list(map(str.strip, cells))
        if self.comma and not self.wanted:
            cells = list(map(with_point, cells))
        text = np.empty(len(cells), object)
        text[:] = list(map(self.none.get, cells, cells))
        return text

    def _numbers(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers, or None if one is not a number."""
        if self.comma:
            cells = [c if c.strip() in self.nan else c.translate(COMMA) for c in cells]
        values = self._floats(cells)
        return self._floats(list(map(str.strip, cells))) if values is None else values

    def _floats(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers; None if one is not, or a missing value has spaces around it."""
        try:
            values = np.fromiter(map(float, map(self.nan.get, cells, cells)), float, len(cells))
        except ValueError:
            return None
        not_finite = np.flatnonzero(~np.isfinite(values)).tolist()
        if "_" in "".join(cells) or not all(cells[row] in self.nan for row in not_finite):
            return None  # Python reads 1_000 and inf as numbers
        return values


def with_point(cell: str) -> str:
    """Return a number with a decimal comma as one with a point, other text unchanged."""
    translated = cell.translate(COMMA)
    return cell if math.isnan(parse_number(translated)) else translated


def _undecodable(path: Path, options: Csv) -> str:
    """Return the line of a file that is not in its encoding, and the encoding it may be in."""
    encoding = options.encoding
    with open_text(path, "latin-1") as (_, counted, file):  # any byte is a character in it
        for line, text in enumerate(file, 1):
            counted.restart()
            data = text.encode("latin-1")
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and line == 1:
                return f"{path}: {_advice(options, 'utf-16')}"
            if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
                break
            if "\0" in text:
                return f"{path}: not a text file; set the source for its format, such as npz"
            try:
                data.decode(encoding)
            except UnicodeDecodeError as error:
                byte = f"byte 0x{data[error.start]:02x}"
                return f"{path}, line {line}: {byte} {_advice(options, 'cp1252')}"
    return f"{path}: {_advice(options, 'utf-8')}"


def _advice(options: Csv, likely: str) -> str:
    return (
        f"is not text in {options.encoding}; save the file as UTF-8, or set the source to "
        f"{_changed(options, encoding=likely)}"
    )


def _changed(options: Csv, **changes: str) -> str:
    """Return the source as a spec has it, with an option changed."""
    given = {field.name: getattr(options, field.name) for field in fields(Csv)}
    kept = {name: value for name, value in given.items() if value != getattr(Csv, name)}
    return json_text.dumps({"type": "csv", **kept, **changes}, ensure_ascii=False)
