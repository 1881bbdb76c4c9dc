"""Rows of CSV and Parquet files that are read by their numbers."""

import numpy as np
import pytest

from nnreg import DataError
from nnreg.builtin.sources import byte_cells, delimited_reader, parquet_file
from nnreg.builtin.sources.delimited import Csv
from nnreg.builtin.sources.delimited_rows import tables_of_text
from nnreg.builtin.sources.parquet import Parquet
from nnreg.builtin.sources.parquet_file import ParquetFile

ROWS = 250
REASON = "pyarrow is not installed; it comes with the extra 'verify'"
SOURCES = {"csv": Csv(stream=True), "parquet": Parquet(stream=True)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Read a few rows at once."""
    monkeypatch.setattr(delimited_reader, "BLOCK", 300)
    monkeypatch.setattr(delimited_reader, "MIN_BLOCK_LINES", 1)
    monkeypatch.setattr(parquet_file, "ROWS", 7)


def write(path):
    table = {"a": np.arange(ROWS), "b": ["x", "y"] * (ROWS // 2), "c": np.arange(ROWS) / 4}
    if path.suffix == ".csv":
        rows = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
        path.write_text("\n".join(["a,b,c", *rows]))
    else:
        parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
        import pyarrow

        parquet.write_table(pyarrow.table(table), path, row_group_size=33)


def reader_of(path):
    """Return a reader that has read all rows of a new file once."""
    write(path)
    reader = SOURCES[path.suffix[1:]].rows(path)
    list(reader.iter_chunks(path, ()))
    return reader


@pytest.fixture(params=["csv", pytest.param("parquet", marks=pytest.mark.verify)])
def path(request, tmp_path):
    return tmp_path / f"d.{request.param}"


def test_only_the_columns_that_are_asked_for_are_read(path):
    found = list(reader_of(path).read([(3, 200)], ["b", "c"]))
    assert {tuple(sorted(one.columns)) for one in found} == {("b", "c")}
    c = np.concatenate([one.columns["c"] for one in found])
    np.testing.assert_array_equal(c, np.arange(3, 200) / 4)


def test_cells_of_other_columns_are_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited_reader, "finder", lambda _: byte_cells.byte_cells)
    reader = reader_of(tmp_path / "d.csv")
    asked = []
    numbers = byte_cells.ByteCells.numbers
    monkeypatch.setattr(
        byte_cells.ByteCells,
        "numbers",
        lambda cells, columns, *rest: (asked.append(columns), numbers(cells, columns, *rest))[1],
    )
    list(reader.read([(3, 200)], ["c"]))
    assert asked
    assert all(columns == [2] for columns in asked)


def test_a_file_that_changes_while_it_is_read_is_reported_as_such(path):
    parts = reader_of(path).read([(0, ROWS)], ["a"])
    next(parts)
    path.write_text("x\n" * 9)  # in the place of the old one
    with pytest.raises(DataError, match=rf"{path.name}: the file has changed since"):
        list(parts)


class Finder:
    """Finds cells in memory of its own, as the compiled one does."""

    def cells(self, *args):
        return byte_cells.byte_cells(*args)


def test_readers_of_several_threads_share_nothing_that_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited_reader, "finder", lambda _: Finder().cells)
    path, found = tmp_path / "d.csv", []
    path.write_text("a,b\n1,x\n")
    list(tables_of_text(Csv(), path, (), found))
    readers = [found[0], *(found[0].reopened(None, None, ["a", "b"]) for _ in range(2))]
    columns = {id(column) for one in readers for column in one.columns.values()}
    assert len(columns) == 6
    assert len({id(one.find_cells.__self__) for one in readers}) == 3


@pytest.mark.verify
def test_arrays_count_with_all_their_values(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
    import pyarrow

    monkeypatch.setattr(parquet_file, "VALUES", 1000)
    monkeypatch.setattr(parquet_file, "MIN_ROWS", 1)
    monkeypatch.setattr(parquet_file, "ROWS", 64)
    x = np.arange(80_000.0).reshape(800, 100)
    table = pyarrow.table({"n": range(800), "x": list(x), "x.0": [[1.0, 2.0]] * 800})
    parquet.write_table(table, tmp_path / "d.parquet", row_group_size=300)
    file = ParquetFile(tmp_path / "d.parquet")
    assert file.size == 8 * 800 * (1 + 100 + 2)
    assert max(len(one) for one in file.tables((), names=["x"])) == 10
    assert max(len(one) for one in file.tables((), names=["n"])) == 64
