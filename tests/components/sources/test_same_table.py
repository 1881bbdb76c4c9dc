"""Every source of tables reads the same table from its format as `csv` does from a CSV file."""

import csv
import datetime
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from nnreg.data.loading import read_table, source_entry
from nnreg.registry.registry import installed
from nnreg.tables.columns import categorical, is_numeric, missing_rows, numbers
from tests.helpers.specs import regressor

ROWS = [
    {"number": 1.5, "count": 3, "gap": 7, "word": "blue", "code": "007", "day": "2024-01-31",
     "flag": True, "sparse": None, "large": 9007199254740993},
    {"number": -2e-3, "count": 0, "gap": None, "word": None, "code": "010", "day": "2024-02-01",
     "flag": False, "sparse": None, "large": 1},
    {"number": None, "count": 12, "gap": 2, "word": "ünïté", "code": "7", "day": None,
     "flag": True, "sparse": 4.5, "large": 2},
]  # fmt: skip
TEXTS = ("word", "code", "day", "flag", "large")
WRITERS = {}
WITH_PEERS = (".parquet", ".arrow", ".feather", ".xlsx")
"""The formats that a library writes, which may be absent."""


def writer(suffix):
    def register(write):
        WRITERS[suffix] = write
        return write

    return register


@writer(".csv")
def write_csv(path):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ROWS[0])
        rows.writeheader()
        rows.writerows(ROWS)


@writer(".jsonl")
def write_json_lines(path):
    given = [{name: cell for name, cell in row.items() if cell is not None} for row in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")


@writer(".json")
def write_json(path):
    path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")


@writer(".sqlite")
def write_sqlite(path):
    """Truth values are texts: SQLite has none."""
    rows = [[str(c) if isinstance(c, bool) else c for c in row.values()] for row in ROWS]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE data ({', '.join(ROWS[0])})")
        connection.executemany(f"INSERT INTO data VALUES ({','.join('?' * len(ROWS[0]))})", rows)
        connection.commit()


def arrow_table():
    """Return the rows as a table of pyarrow; numbers with gaps are those of pandas."""
    return pytest.importorskip("pyarrow").Table.from_pylist(ROWS)


@writer(".parquet")
def write_parquet(path):
    table = arrow_table()
    pytest.importorskip("pyarrow.parquet").write_table(table, path)


@writer(".arrow")
def write_arrow(path):
    table = arrow_table()
    with pytest.importorskip("pyarrow").ipc.new_file(path, table.schema) as file:
        file.write_table(table)


@writer(".feather")
def write_feather(path):
    pytest.importorskip("pyarrow.feather").write_feather(arrow_table(), path)


@writer(".xlsx")
def write_excel(path):
    """Integers that float64 would round are text: Excel has none."""
    book = pytest.importorskip("openpyxl").Workbook()
    book.active.append(list(ROWS[0]))
    for row in ROWS:
        day = row["day"] and datetime.date.fromisoformat(row["day"])
        book.active.append(list({**row, "day": day, "large": str(row["large"])}.values()))
    book.save(path)


def read(path, text=()):
    return read_table(source_entry(path, installed()).cls(), path, text)


@pytest.mark.parametrize(
    "suffix",
    [
        *(suffix for suffix in WRITERS if suffix not in WITH_PEERS),
        *(pytest.param(suffix, marks=pytest.mark.verify) for suffix in WITH_PEERS),
    ],
)
def test_the_table_is_that_of_a_csv_file(tmp_path, suffix):
    path, expected = tmp_path / f"data{suffix}", tmp_path / "expected.csv"
    WRITERS[suffix](path)
    write_csv(expected)
    found, known = read(path, TEXTS), read(expected, TEXTS)
    assert sorted(found.columns) == sorted(known.columns)
    for name in known.columns:
        assert missing_rows(found, name).tolist() == missing_rows(known, name).tolist(), name
        if name in TEXTS:
            assert _texts(found, name) == _texts(known, name)
        else:
            np.testing.assert_array_equal(numbers(found, name), numbers(known, name))
    found, known = read(path), read(expected)
    for name in known.columns:
        assert is_numeric(found, name) == is_numeric(known, name), name


def test_a_model_predicts_the_same_from_each_format(tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    data = {
        "source": "json_lines", "path": "data.jsonl", "target": "count", "missing": "impute",
        "inputs": ["number", "word", "code", "flag"], "columns": {"code": "category"},
    }  # fmt: skip
    write_json_lines(tmp_path / "data.jsonl")
    (tmp_path / "s.json").write_text(json.dumps(regressor(data=data, train={"epochs": 1})))
    code, _, err = nnreg("run", "s.json", "--quiet")
    assert code == 0, err
    outputs = set()
    for suffix in (".csv", ".jsonl", ".json", ".sqlite"):
        WRITERS[suffix](tmp_path / f"new{suffix}")
        code, out, err = nnreg("predict", "runs/s-001", f"new{suffix}")
        assert code == 0, err
        outputs.add(out)
    assert len(outputs) == 1


def _texts(table, name):
    return categorical(table, name).text().tolist()
