"""Sources of delimited text: CSV and TSV."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Len

from nnreg.builtin.sources.delimited_options import Options
from nnreg.builtin.sources.delimited_rows import DelimitedRows, tables_of_text
from nnreg.builtin.sources.text_file import is_compressed
from nnreg.interfaces.source import Source
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table


@dataclass(frozen=True)
class Csv(Options, Source):
    """Comma-separated text with a header line, also compressed with gzip.

    `delimiter` is one character; a first line `sep=;`, as Excel writes it, names another one.
    `missing` lists the texts of missing values. `encoding` is the name of a Python codec, such as
    `utf-8` (with or without a byte-order mark), `utf-16` or `cp1252`. `decimal` is the decimal mark
    in numbers.

    The header is the first line that is not blank; `skip_lines` leaves out that many lines before
    it, such as titles. Without a header line, `header` is false, and the columns are called
    `column_1`, `column_2`, …, or as `names` says. Lines that begin with `comment` are left out.
    Every row must have as many cells as the header; if every line ends with a delimiter, the empty
    cell after it is left out.

    With `stream`, the inputs stay in the file, and its rows are read on demand, in blocks of lines.
    With "auto", that is a file of more than a fifth of the memory. It must not be compressed.

    Options:
        delimiter: the character between cells
        missing: cells that stand for a missing value
        encoding: Python's name of the text encoding
        decimal: the decimal mark in numbers
        comment: what lines of comments begin with, such as "#"
        skip_lines: the number of lines before the header that are not read
        header: whether the first line has the names of the columns
        names: the names of the columns of a file without a header
        stream: leave rows in the file and read them as needed; "auto" decides by its size
    """

    suffixes = (".csv", ".txt")

    def read(self, path: Path, text: Collection[str] = ()) -> Table:
        """Return the columns; those named in `text` are text even if they are numeric."""
        return concat_chunks(self, path, text)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        return tables_of_text(self, path, text)

    def rows(self, path: Path) -> DelimitedRows | None:
        if self.stream is False or (self.stream == "auto" and is_compressed(path)):
            return None
        return DelimitedRows(self, path, required=self.stream is True)


@dataclass(frozen=True)
class Tsv(Csv):
    """Tab-separated text with a header line; the other options are those of `csv`."""

    suffixes = (".tsv", ".tab")

    delimiter: Annotated[str, Len(1, 1)] = "\t"
