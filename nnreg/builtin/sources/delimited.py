"""Text with a line a row and a delimiter between cells: CSV and TSV."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TextIO, cast

import numpy as np
from annotated_types import Len

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.column_types import parse_number
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

BLOCK = 2**19
"""About how many characters of a file are taken at a time."""

FEWEST_LINES, LARGEST_BLOCK = 100, 2**24
"""Of long lines a block has so many nevertheless, up to so many characters."""

FIRST_BLOCK = 2**14
"""How many are taken first, to see what the columns hold."""

COMMA = str.maketrans({",": ".", ".": "?"})
"""Turns a number with a decimal comma into one with a point, and one with a point into none."""

DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}


@dataclass(frozen=True)
class Csv(Source):
    """Comma-separated text with a header line, also compressed with gzip.

    `delimiter` is the one character between cells; `missing` lists what stands for a missing
    value. `encoding` is Python's name of one, such as `utf-8`, with or without byte-order mark,
    `utf-16`, or `cp1252`. `decimal` is the mark in numbers. Every row must have as many cells as
    the header.

    Options:
        delimiter: the character between cells
        missing: cells that stand for a missing value
        encoding: Python's name of the text encoding
        decimal: the decimal mark in numbers
    """

    suffixes = (".csv", ".txt")

    delimiter: Annotated[str, Len(1, 1)] = ","
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null")
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if self.delimiter in '\r\n"\0':
            raise ValueError("delimiter: must not be a quote or the end of a line")
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(f"encoding: {error}; expected one such as utf-8") from error

    def read(self, path: Path, text: Collection[str] = ()) -> Table:
        """Return the columns; those named in `text` are words though they look like numbers."""
        return concat_chunks(self, path, text)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        try:
            yield from self._decoded(path, text)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: not a whole file of gzip: {error}") from error

    def _decoded(self, path: Path, text: Collection[str]) -> Iterator[Table]:
        try:
            with _opened(path, self.encoding) as (raw, file):
                size = path.stat().st_size
                for columns, lines in _Reader(self, path, file, text).blocks():
                    share = raw.tell() / size if size else 1.0  # a pipe has neither
                    yield Table(columns, str(path), lines, fraction_read=share)
        except UnicodeError as error:
            raise DataError(_undecodable(path, self)) from error


@dataclass(frozen=True)
class Tsv(Csv):
    """Tab-separated text with a header line; all else is as in `csv`."""

    suffixes = (".tsv", ".tab")

    delimiter: Annotated[str, Len(1, 1)] = "\t"


class _Reader:
    """Goes through a file, and remembers what its columns were found to hold.

    A block is read by NumPy's reader, where that is known to do the same, and else by the standard
    library's, which decides what is well-formed and what a cell is.
    """

    def __init__(self, options: Csv, path: Path, file: TextIO, text: Collection[str]) -> None:
        self.options = options
        self.path = path
        self.file = file
        self.line = 0
        self.header = self._read_header()
        self.columns = [_Column(options, name in text) for name in self.header]
        self.fills = {"", "nan"} <= set(options.missing)  # a gap may be written so
        self.gaps = False
        self.kinds: list[str] = []
        self.dtype: np.dtype[Any] | None = None

    def _read_header(self) -> list[str]:
        rows: list[list[str]] = []
        while not rows:  # blank lines are none
            line = self.file.readline()
            if not line:
                raise DataError(f"{self.path}: the file is empty; expected a header line and rows")
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
                    f"{where}: the only column is {header[0]!r}; {its_name} seems to be between "
                    f"cells: set the source to {advice}"
                )
        return header

    def blocks(self) -> Iterator[tuple[dict[str, Array], Sequence[int] | Array]]:
        """Yield the columns of each block by name, and the lines of its rows."""
        size, found = FIRST_BLOCK, False
        while lines := self.file.readlines(size):
            size = min(max(BLOCK, FEWEST_LINES * len(lines[0])), LARGEST_BLOCK)
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
        if not found:
            raise DataError(f"{self.path}: the file has a header but no rows")

    def _by_numpy(self, lines: list[str]) -> list[Any] | None:
        """Return the cells of each column, numbers as such, or None where that cannot be done."""
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

    def _loaded(self, lines: list[str], good: Callable[[Array], Array]) -> list[Any] | None:
        """Return what NumPy's reader makes of lines, if all numbers in them are good."""
        mark = self.options.delimiter
        try:
            rows = np.loadtxt(
                lines, self.dtype, comments=None, delimiter=mark, quotechar='"', ndmin=2
            )
        except ValueError:
            return None
        if len(rows) < len(lines):  # some were blank, or belong together
            return None
        if self.dtype == float:
            fits = rows.shape[1] == len(self.columns) and good(rows).all()
            return list(np.ascontiguousarray(rows.T)) if fits else None
        fields = [rows[name].reshape(-1) for name in rows.dtype.names or ()]
        if not all(good(field).all() for field in fields if field.dtype == float):
            return None
        return [field.tolist() if field.dtype == object else field for field in fields]

    def _plan(self) -> None:
        """Tell NumPy's reader what to expect: a matrix, where all are numbers."""
        kinds = ["O" if column.text or not column.plain else "f8" for column in self.columns]
        if kinds != self.kinds:
            self.kinds = kinds
            fields = [(f"f{index}", kind) for index, kind in enumerate(kinds)]
            self.dtype = np.dtype(fields if "O" in kinds else float)

    def _rows(self, lines: list[str]) -> tuple[list[list[str]], list[int]]:
        """Return the rows that begin in these lines, each with the number of the line it ends in.

        The last may go on in lines that are read then. Blank lines are no rows.
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
    """Tell whether every quote is at the beginning or the end of a cell, or doubled in one."""
    outside = '"'.join(text.replace('""', "").split('"')[::2])
    beside = re.escape(mark) + r"\r\n"
    return text.count('"') % 2 == 0 and not re.search(rf'[^{beside}]"|"[^{beside}]', outside)


def _filled(text: str, mark: str) -> str:
    """Write nan in the gaps between delimiters, and at the ends of lines."""
    for _ in range(2):  # of gaps that follow each other, every second one at first
        text = text.replace(mark * 2, f"{mark}nan{mark}")
    for end in "\r\n":
        text = text.replace(end + mark, f"{end}nan{mark}").replace(mark + end, f"{mark}nan{end}")
    return f"{'nan' if text.startswith(mark) else ''}{text}{'nan' if text.endswith(mark) else ''}"


def _span(numbers: Sequence[int]) -> Sequence[int]:
    """Return numbers that follow each other as a range."""
    span = range(numbers[0], numbers[-1] + 1)
    return span if len(span) == len(numbers) else numbers


class _Column:
    """What a column was found to hold: numbers until a cell is none, and text from then on."""

    def __init__(self, options: Csv, wanted: bool) -> None:
        self.text = self.wanted = wanted
        self.comma = options.decimal == ","
        self.plain = not self.comma
        """Whether all cells so far are numbers as NumPy's reader takes them, or gaps."""
        self.nan = dict.fromkeys(options.missing, "nan")
        self.none = dict.fromkeys(options.missing)

    def parse(self, cells: Sequence[str] | Array) -> Array:
        """Return cells as float64, NaN where missing; or as text, None where missing."""
        if isinstance(cells, np.ndarray):
            return cells
        if not self.text:
            values = self._numbers(cells)
            if values is not None:
                missing = np.flatnonzero(np.isnan(values)).tolist()
                self.plain = self.plain and all(cells[place] == "" for place in missing)
                return values
            self.text = True
        cells = list(map(str.strip, cells))
        if self.comma and not self.wanted:
            cells = list(map(_with_point, cells))
        words = np.empty(len(cells), object)
        words[:] = list(map(self.none.get, cells, cells))
        return words

    def _numbers(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers, or None where one is a word."""
        if self.comma:
            cells = [c if c.strip() in self.nan else c.translate(COMMA) for c in cells]
        values = self._floats(cells)
        return self._floats(list(map(str.strip, cells))) if values is None else values

    def _floats(self, cells: Sequence[str]) -> Array | None:
        """Return cells as numbers, or None where one is a word or a missing one has blanks."""
        try:
            values = np.fromiter(map(float, map(self.nan.get, cells, cells)), float, len(cells))
        except ValueError:
            return None
        odd = np.flatnonzero(~np.isfinite(values)).tolist()
        if "_" in "".join(cells) or not all(cells[place] in self.nan for place in odd):
            return None  # Python takes 1_000 and inf for numbers
        return values


def _with_point(cell: str) -> str:
    """Return a number with a decimal comma as one with a point, and what is none as it is."""
    translated = cell.translate(COMMA)
    return cell if math.isnan(parse_number(translated)) else translated


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[tuple[IO[bytes], TextIO]]:
    """Open a file of text, which may be compressed; give what tells how far it was read, too."""
    if codecs.lookup(encoding).name == "utf-8":
        encoding = "utf-8-sig"
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        binary = gzip.GzipFile(fileobj=raw) if packed else raw
        with io.TextIOWrapper(cast(IO[bytes], binary), encoding, newline="") as text:
            yield raw, text


def _undecodable(path: Path, options: Csv) -> str:
    """Say which line of a file is not in its encoding, and which one it may be in."""
    encoding = options.encoding
    with _opened(path, "latin-1") as (_, file):  # in which any byte is a character
        for line, text in enumerate(file, 1):
            data = text.encode("latin-1")
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and line == 1:
                return f"{path}: {_advice(options, 'utf-16')}"
            if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
                break
            if "\0" in text:
                return f"{path}: not a file of text; set the source that reads it, such as npz"
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
    """Return the source with an option changed, and the others as they are, as a spec has it."""
    given = {field.name: getattr(options, field.name) for field in fields(Csv)}
    kept = {name: value for name, value in given.items() if value != getattr(Csv, name)}
    return json.dumps({"type": "csv", **kept, **changes}, ensure_ascii=False)
