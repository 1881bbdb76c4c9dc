"""SQLite: tables, queries, and that a query can do nothing but read this file."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from nnreg.builtin.sources.sqlite import Sqlite
from nnreg.data.loading import read_chunks, read_table
from nnreg.errors import DataError
from nnreg.tables.columns import categorical, numbers


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a ? & 100%.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE houses (id INTEGER PRIMARY KEY, town TEXT, price REAL, code TEXT);"
            "INSERT INTO houses VALUES (1, 'a', 2.5, '007'), (2, NULL, NULL, 'x');"
            "INSERT INTO houses VALUES (3, 'b', 4, '1');"
            "CREATE VIEW cheap AS SELECT * FROM houses WHERE price < 3;"
        )
    return path


def test_a_table_a_view_and_a_query_are_read(database):
    houses = read_table(Sqlite(table="houses"), database)
    assert houses.columns["id"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(numbers(houses, "price"), [2.5, np.nan, 4])
    assert categorical(houses, "town").text().tolist() == ["a", None, "b"]
    assert categorical(houses, "code").text().tolist() == ["007", "x", "1"]
    assert houses.row_label(2) == "row 2"
    assert len(read_table(Sqlite(table="cheap"), database)) == 1
    query = "WITH h AS (SELECT * FROM houses) SELECT id * 2 AS twice FROM h ORDER BY id DESC"
    assert read_table(Sqlite(query=query), database).columns["twice"].tolist() == [6, 4, 2]


def test_rows_come_in_chunks(database, monkeypatch):
    monkeypatch.setattr("nnreg.builtin.sources.sqlite.BATCH", 100)
    monkeypatch.setattr("nnreg.builtin.sources.sqlite.ROWS", 200)
    numbered = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
    source = Sqlite(query=numbered + "SELECT i, CASE WHEN i = 999 THEN 'z' ELSE i END AS j FROM n")
    chunks = list(read_chunks(source, database))
    assert [len(one) for one in chunks] == [200] * 5
    assert chunks[3].row_label(5) == "row 605"
    table = read_table(source, database)
    assert table.columns["i"].tolist() == list(range(1000))
    assert categorical(table, "j").text().tolist()[-2:] == ["998", "z"]


@pytest.mark.parametrize(
    "query",
    [
        "ATTACH 'other.db' AS other",
        "PRAGMA user_version = 5",
        "PRAGMA table_info(houses)",
        "SELECT * FROM pragma_table_info('houses')",
        "INSERT INTO houses VALUES (9, 'a', 1, 'b') RETURNING id",
        "DELETE FROM houses",
        "CREATE TEMP TABLE t AS SELECT 1",
        "VACUUM INTO 'other.db'",
        "SELECT load_extension('other.so')",
        "SELECT 1; DROP TABLE houses",
        "SELECT ?",
        "SELECT zeroblob(1000000000)",
        "SELECT absent FROM houses",
        "",
        "BEGIN",
    ],
)
def test_a_query_can_only_read_this_file(database, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = database.read_bytes()
    with pytest.raises(DataError, match=r"100%\.db: "):
        read_table(Sqlite(query=query), database)
    assert database.read_bytes() == before
    assert list(tmp_path.iterdir()) == [database]


def test_changes_that_are_not_in_the_file_are_refused(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO houses VALUES (4, 'c', 1, 'y')")
        connection.commit()
        with pytest.raises(DataError, match=r"changes in .*-wal that are not yet in it; close"):
            read_table(Sqlite(table="houses"), database)
    assert len(read_table(Sqlite(table="houses"), database)) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Sqlite(), "which table is not given; set 'table' .*: 'cheap', 'houses'"),
        (Sqlite(table="house"), r"no table 'house'; did you mean 'houses'\?"),
        (Sqlite(table='x" --'), "there is no table"),
        (Sqlite(query="SELECT id, id FROM houses"), "column 'id' occurs twice; name one with AS"),
        (Sqlite(query="SELECT id FROM houses WHERE id > 9"), "there are no rows"),
        (Sqlite(query="SELECT x'ff' AS b"), "which is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(database, source, message):
    with pytest.raises(DataError, match=rf"100%\.db.*{message}"):
        read_table(source, database)


def test_a_table_beside_a_query_and_another_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="query: given beside 'table'"):
        Sqlite(table="a", query="SELECT 1")
    (tmp_path / "d.db").write_bytes(b"SQLite format 3\0" + bytes(50))
    with pytest.raises(DataError, match=r"d\.db: cannot read the table: "):
        read_table(Sqlite(), tmp_path / "d.db")
