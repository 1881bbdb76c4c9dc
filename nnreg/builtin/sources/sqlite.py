"""Tables and queries of SQLite databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg._utils.memory import data_limit
from nnreg._utils.suggestions import closest, did_you_mean
from nnreg.builtin.sources.typed_cells import column_of_cells
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table

if TYPE_CHECKING:
    from sqlite3 import Connection, Cursor

ROWS, BATCH = 2**14, 2**8
"""The rows that are converted at once, and those after which their text is counted."""

CHARACTERS = 2**22
"""About how many characters of text are converted at once."""

MAX_ROW = 2**24
"""The most bytes of a row, or less where a batch of them would not fit into memory."""

UNFINISHED = ("-wal", "-journal")
"""What SQLite appends to the name of a database for the file of changes that are not yet in it."""


@dataclass(frozen=True)
class Sqlite(Source):
    """A table, a view or a query of an SQLite database, in the order that SQLite returns.

    `query` is one SELECT, such as `SELECT * FROM houses JOIN towns USING (town) ORDER BY id`. The
    file is opened for reading, and a query can read nothing else. Dates are text in SQLite, and
    truth values are 0 and 1.

    Options:
        table: the table or view; not needed if there is only one
        query: a SELECT that returns the rows, in place of a table
    """

    suffixes = (".sqlite", ".sqlite3", ".db")

    table: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if self.table is not None and self.query is not None:
            raise ValueError("query: given beside 'table'; give one of them")

    @classmethod
    def examples(cls) -> Iterable[Any]:
        import sqlite3

        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE t (x, word)")
            connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2.5, None)])
            connection.commit()
            content = connection.serialize()
        return [(cls(), content), (cls(query="SELECT x * 2 AS y FROM t ORDER BY x"), content)]

    def read(self, path: Path) -> Table:
        return concat_chunks(self, path)

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        import sqlite3

        try:
            with closing(_open(path)) as connection:
                query = self.query or _select(connection, path, self.table)
                with closing(connection.execute(query)) as cursor:
                    yield from _tables(cursor, path, text)
        except (sqlite3.Error, sqlite3.Warning) as error:
            asked = "the query" if self.query else "the table"
            raise DataError(
                f"{path}: cannot read {asked}: {error}; expected an SQLite database, and of a "
                "query one SELECT"
            ) from error


def _open(path: Path) -> Connection:
    """Open a database so that no statement can write, or open another file. Raises `DataError`.

    It is opened as immutable, because SQLite creates files beside others. Then it does not look for
    changes that are not yet in it.
    """
    import sqlite3

    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise DataError(f"{path}: not an SQLite database")
    for suffix in UNFINISHED:
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise DataError(
                f"{path}: there are changes in {beside.name} that are not yet in it; close the "
                "program that writes it, or open it once with sqlite3"
            )
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    longest = int(min(MAX_ROW, data_limit() / (4 * BATCH)))
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
    reads = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}

    def authorize(action: int, _: str | None, function: str | None, *__: object) -> int:
        called = action == sqlite3.SQLITE_FUNCTION and function != "load_extension"
        return sqlite3.SQLITE_OK if called or action in reads else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    return connection


def _select(connection: Connection, path: Path, table: str | None) -> str:
    """Return the query for a table, by default the only one. Raises `DataError`."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    names = [name for (name,) in found]
    if table is None and len(names) == 1:
        table = names[0]
    if table not in names or table is None:
        listed = ", ".join(map(repr, names)) or "none"
        wrong = "which table is not given" if table is None else f"there is no table {table!r}"
        hint = did_you_mean(closest(table or "", names)) if table else ""
        raise DataError(
            f"{path}: {wrong}{hint}; set 'table' of the source to one of its tables: {listed}"
        )
    quoted = table.replace('"', '""')
    return f'SELECT * FROM "{quoted}"'


def _tables(cursor: Cursor, path: Path, text: Collection[str]) -> Iterator[Table]:
    names = [name for name, *_ in cursor.description or ()]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path}: column {twice[0]!r} occurs twice; name one with AS in a query")
    done = 0
    for rows in _blocks(cursor):
        columns = {
            name: column_of_cells(cells, f"{path}, column {name!r}", name in text)
            for name, cells in zip(names, zip(*rows, strict=True), strict=True)
        }
        numbers = np.arange(done, done + len(rows))
        done += len(rows)
        yield Table(columns, str(path), row_numbers=numbers, missing_texts=MISSING_TEXTS)
    if not done:
        raise DataError(f"{path}: there are no rows")


def _blocks(cursor: Cursor) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    while batch := cursor.fetchmany(BATCH):
        rows += batch
        size += sum(len(cell) for row in batch for cell in row if isinstance(cell, str | bytes))
        if len(rows) >= ROWS or size >= CHARACTERS:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows
