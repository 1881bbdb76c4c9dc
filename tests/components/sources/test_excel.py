"""Excel: where the table is in a sheet, and what cells are; it needs openpyxl."""

import datetime
import io
import sys
import zipfile

import numpy as np
import pytest

from nnreg.builtin.sources.excel import Excel
from nnreg.data.loading import read_chunks, read_table
from nnreg.errors import DataError, NnregWarning
from nnreg.tables.columns import categorical, numbers


@pytest.fixture
def table(tmp_path, peer):
    def read(rows, source=None, merge=None):
        book = peer("openpyxl").Workbook()
        for row in rows:
            book.active.append(row)
        if merge:
            book.active.merge_cells(merge)
        book.save(tmp_path / "d.xlsx")
        return read_table(source or Excel(), tmp_path / "d.xlsx")

    return read


@pytest.mark.verify
def test_cells_are_what_they_would_be_in_a_csv_file(table):
    found = table([
        ["number", "word", "when", "flag", "time"],
        [1.5, " blue ", datetime.datetime(2024, 1, 31, 8, 30), True, datetime.time(8, 30)],
        [None, "#N/A", datetime.date(2024, 2, 1), None, None],
        [3, "007", None, False, None],
    ])  # fmt: skip
    np.testing.assert_array_equal(numbers(found, "number"), [1.5, np.nan, 3])
    assert categorical(found, "word").text().tolist() == ["blue", None, "007"]
    assert categorical(found, "when").text().tolist() == ["2024-01-31 08:30:00", "2024-02-01", None]
    assert categorical(found, "flag").text().tolist() == ["True", None, "False"]
    assert categorical(found, "time").text().tolist() == ["08:30:00", None, None]


@pytest.mark.verify
def test_titles_and_empty_rows_are_not_rows(table):
    rows = [["Sales of 2024"], [], ["x", "y"], [1, 2], [], [3], [None, ""], [], []]
    found = table(rows, Excel(skip_rows=1))
    assert found.columns["x"].tolist()[:2] == [1, 3]
    assert [found.row_label(row) for row in range(2)] == ["line 4", "line 6"]
    with pytest.raises(
        DataError, match=r"line 3: a value in column B, which has no .* 'skip_rows'"
    ):
        table(rows)


@pytest.mark.verify
def test_merged_cells_have_one_value(table):
    rows = [["x", "town"], [1, "a"], [2, "ignored"], [3, "b"]]
    assert categorical(table(rows, merge="B2:B3"), "town").text().tolist() == ["a", None, "b"]
    with pytest.raises(DataError, match=r"line 1: column B has no name; write one, unmerge"):
        table([["x", "y", "z"], [1, 2, 3]], merge="A1:B1")


@pytest.mark.verify
def test_rows_come_in_chunks(table, tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.builtin.sources.excel.ROWS", 3)
    whole = table([["x"], *([n] for n in range(8)), ["late"]])
    assert categorical(whole, "x").text().tolist() == [*map(str, range(8)), "late"]
    chunks = list(read_chunks(Excel(), tmp_path / "d.xlsx"))
    assert [len(one) for one in chunks] == [3, 3, 3]
    assert chunks[-1].fraction_read == 1


@pytest.mark.verify
def test_one_of_several_sheets_is_named(table, tmp_path, peer):
    table([["x"], [1]])
    openpyxl = peer("openpyxl")
    book = openpyxl.load_workbook(tmp_path / "d.xlsx")
    book.create_sheet("more").append(["y"])
    book["more"].append([2])
    book.save(tmp_path / "d.xlsx")
    for source, message in ((Excel(), "several sheets"), (Excel(sheet="Mor"), "no sheet 'Mor'")):
        with pytest.raises(DataError, match=f"{message}; set 'sheet' .*: 'Sheet', 'more'"):
            read_table(source, tmp_path / "d.xlsx")
    found = read_table(Excel(sheet="more"), tmp_path / "d.xlsx")
    assert found.columns["y"].tolist() == [2]


@pytest.mark.verify
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "the sheet is empty"),
        ([["x"]], "a row of names but no rows"),
        ([["x", "x"], [1, 2]], "line 1: column 'x' occurs twice"),
        ([["x"], [1], ["#DIV/0!"]], "line 3, column 'x': found '#DIV/0!'"),
    ],
)
def test_what_is_not_a_table_is_refused(table, rows, message):
    with pytest.raises(DataError, match=rf"d\.xlsx.*{message}"):
        numbers(table(rows), "x")


@pytest.mark.verify
def test_values_in_place_of_names_give_a_warning(table):
    with pytest.warns(NnregWarning, match="line 1: taken as column names, but '1.5' looks like"):
        table([[1.5, "a"], [2, "b"]])


@pytest.mark.verify
def test_other_files_are_refused(tmp_path, peer):
    peer("openpyxl")
    (tmp_path / "d.xlsx").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(99))
    with pytest.raises(DataError, match=r"an old Excel file, or one with a password; save it"):
        read_table(Excel(), tmp_path / "d.xlsx")
    with zipfile.ZipFile(tmp_path / "d.xlsx", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(DataError, match=r"d\.xlsx: not a readable Excel workbook: "):
        read_table(Excel(), tmp_path / "d.xlsx")


@pytest.mark.verify
def test_a_workbook_that_becomes_large_is_refused(tmp_path, table, monkeypatch):
    table([["x"], [1]])
    with zipfile.ZipFile(tmp_path / "d.xlsx", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(10**6))
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 10**7)
    with pytest.raises(DataError, match=r"xl/more\.xml and the parts before it: 10.* MB in memory"):
        read_table(Excel(), tmp_path / "d.xlsx")


def test_without_openpyxl_the_error_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "d.xlsx").write_bytes(io.BytesIO().getvalue())
    with pytest.raises(DataError, match=r"d\.xlsx: .* pip install 'nnreg\[excel\]'"):
        Excel().read(tmp_path / "d.xlsx")
