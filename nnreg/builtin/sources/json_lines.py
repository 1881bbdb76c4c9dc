"""Sources of JSON: one object per line, or a list of objects."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from nnreg._utils import json_text
from nnreg.builtin.sources.text_file import open_text
from nnreg.builtin.sources.typed_cells import column_of_cells, require_unicode
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

BLOCK = 2**19
"""About how many characters of a file are read at once."""


@dataclass(frozen=True)
class JsonLines(Source):
    """JSON lines, one object per line, also compressed with gzip; each key is a column.

    A key that is not in all lines, and `null`, are missing values. A list is a sequence, as in a
    cell of a CSV file. Objects within objects are refused. A file that begins with `[` is a single
    list of objects, which is read at once.
    """

    suffixes = (".jsonl", ".ndjson", ".json")

    @classmethod
    def examples(cls) -> Iterable[Any]:
        return [
            (cls(), b'{"x": 1, "word": "a"}\n\n{"word": null, "x": 2.5}\n{"word": "007"}\n'),
            (cls(), b'[{"x": 1, "list": [1, 2]},\n {"x": 2, "list": [3], "flag": true}]'),
        ]

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        try:
            names = dict.fromkeys(
                name for block in _blocks(path) for row in block.rows for name in row
            )
            if not names:
                raise DataError(f"{path}: there are no rows; expected an object per line")
            require_unicode(names, f"{path}: a key")
            for block in _blocks(path):
                yield _table(block, list(names), path, text)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: not a complete gzip file: {error}") from error
        except UnicodeError as error:
            raise DataError(f"{path}: not text in UTF-8; save it as UTF-8") from error


class _Block(NamedTuple):
    """Some objects of a file; `lines` are None for those of a list."""

    rows: list[dict[str, Any]]
    lines: list[int] | None
    fraction: float


def _blocks(path: Path) -> Iterator[_Block]:
    with open_text(path, "utf-8") as (raw, counted, file):
        first, size = 1, path.stat().st_size
        while lines := file.readlines(BLOCK):
            if first == 1 and "".join(lines).lstrip().startswith("["):
                counted.content = "a list of objects"
                yield _Block(
                    _listed("".join([*lines, *iter(partial(file.read, BLOCK), "")]), path),
                    None,
                    1.0,
                )
                return
            numbers = [first + n for n, line in enumerate(lines) if not line.isspace()]
            rows = [_row(lines[n - first], f"{path}, line {n}") for n in numbers]
            first += len(lines)
            counted.restart()
            if rows:
                yield _Block(rows, numbers, raw.tell() / size if size else 1.0)


def _table(block: _Block, names: list[str], path: Path, text: Collection[str]) -> Table:
    columns = {}
    for name in names:
        cells = [row.get(name) for row in block.rows]
        if any(isinstance(cell, list) for cell in cells):
            cells = [
                json_text.dumps(c, ensure_ascii=False) if type(c) is list else c for c in cells
            ]
        columns[name] = column_of_cells(cells, f"{path}, column {name!r}", name in text)
    return Table(
        columns,
        str(path),
        block.lines,
        fraction_read=block.fraction,
        missing_texts=MISSING_TEXTS,
    )


def _listed(text: str, path: Path) -> list[dict[str, Any]]:
    rows = _decoded(text, str(path))
    return [_checked(row, f"{path}, row {number}") for number, row in enumerate(rows)]


def _row(line: str, where: str) -> dict[str, Any]:
    return _checked(_decoded(line, where), where)


def _checked(row: Any, where: str) -> dict[str, Any]:
    """Return an object whose values are cells. Raises `DataError`."""
    if not isinstance(row, dict):
        raise DataError(f'{where}: not an object; expected one such as {{"x": 1, "word": "a"}}')
    for name, value in row.items():
        if isinstance(value, dict):
            raise DataError(
                f"{where}, column {name!r}: an object in an object; write its values as keys of "
                "their own"
            )
    return row


def _decoded(text: str, where: str) -> Any:
    """Return the value of a JSON text. Raises `DataError`."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise DataError(
            f"{where}: not JSON: {error.msg} at {place}character {error.colno}; expected one "
            "object per line, or a list of objects"
        ) from error
    except _InvalidError as error:
        raise DataError(f"{where}: {error}") from None
    except RecursionError:
        raise DataError(f"{where}: lists or objects are nested too deep") from None
    except ValueError:  # Python limits the digits of an integer
        raise DataError(f"{where}: a number has too many digits; write it as text") from None


class _InvalidError(Exception):
    """What JSON does not have, or what would lose a value."""


def _refuse_constant(name: str) -> NoReturn:
    raise _InvalidError(f"{name} is not a value of JSON; write null for a missing value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _InvalidError(f"key {twice!r} occurs twice in one object; rename one")
    return row


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)
