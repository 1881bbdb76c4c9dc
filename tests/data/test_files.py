"""Several files by a pattern are one table, in run, evaluate, predict and init."""

import hashlib
import json

import h5py
import numpy as np
import pytest

from nnreg.builtin.sources.arrays import Hdf5, Npz
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.files import digest_of, matching_paths, regular_files
from nnreg.data.loading import read_chunks, read_table
from nnreg.errors import DataError
from nnreg.tables.columns import categorical, numbers
from tests.helpers.specs import regressor

PARTS = {"sales-2.csv": "x,y\n3,30\n4,40\n", "sales-1.csv": "x,y\n1,10\n2,20\n", "b.csv": "z\n1\n"}


@pytest.fixture
def directory(tmp_path):
    for name, text in PARTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_files_that_match_are_one_table_in_sorted_order(directory):
    table = read_table(Csv(), directory / "sales-*.csv")
    assert table.columns["x"].tolist() == [1, 2, 3, 4]
    assert table.location(2, "x") == f"{directory}/sales-*.csv, line 2 of sales-2.csv, column 'x'"
    assert table.take(np.array([3])).row_label(0) == "line 3 of sales-2.csv"
    chunks = list(read_chunks(Csv(), directory / "sales-*.csv"))
    assert [one.origin for one in chunks] == [f"{directory}/sales-{n}.csv" for n in (1, 2)]
    assert [one.fraction_read for one in chunks] == [0.5, 1]


def test_a_path_that_exists_precedes_a_pattern(directory):
    (directory / "sales-[12].csv").write_text("x,y\n9,90\n")
    assert read_table(Csv(), directory / "sales-[12].csv").columns["x"].tolist() == [9]
    inner = directory / "a[1]"
    inner.mkdir()
    (inner / "s.csv").write_text("x\n5\n")
    assert read_table(Csv(), inner / "*.csv").columns["x"].tolist() == [5]


def test_two_asterisks_are_any_directories_and_only_files_match(directory):
    (directory / "deep/er").mkdir(parents=True)
    (directory / "deep/er/sales-0.csv").write_text("x,y\n0,0\n")
    (directory / "deep/.hidden.csv").write_text("z\n")
    found = matching_paths(directory / "**/sales-*.csv")
    assert [str(one.relative_to(directory)) for one in found] == [
        "deep/er/sales-0.csv", "sales-1.csv", "sales-2.csv",
    ]  # fmt: skip
    table = read_table(Csv(), directory / "**/sales-*.csv")
    assert table.row_label(0) == "line 2 of deep/er/sales-0.csv"
    assert matching_paths(directory / "deep/**") == [directory / "deep/er/sales-0.csv"]


def test_rows_of_binary_files_are_located_by_number(tmp_path):
    for number in range(2):
        np.savez(tmp_path / f"p{number}.npz", x=np.arange(3) + 10 * number)
        with h5py.File(tmp_path / f"p{number}.h5", "w") as file:
            file["x"] = np.arange(600_000.0).reshape(3, -1) + number
    table = read_table(Npz(), tmp_path / "p*.npz")
    assert table.columns["x"].tolist() == [0, 1, 2, 10, 11, 12]
    assert table.row_label(4) == "row 1 of p1.npz"
    streamed = read_table(Hdf5(stream=True), tmp_path / "p*.h5")
    np.testing.assert_array_equal(streamed.columns["x"][[0, 3], 0], [0, 1])
    assert streamed.row_label(5) == "row 2 of p1.h5"


def test_text_in_one_file_makes_the_column_text_in_all(directory):
    (directory / "sales-3.csv").write_text("x,y\n007,1\nblue,2\n")
    table = read_table(Csv(), directory / "sales-*.csv")
    assert categorical(table, "x").text().tolist() == ["1", "2", "3", "4", "007", "blue"]
    np.testing.assert_array_equal(numbers(table, "y"), [10, 20, 30, 40, 1, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,z\n1,2\n", r"sales-3\.csv: no column 'y', which sales-1\.csv has; all files"),
        ("x,y,z\n1,2,3\n", r"sales-3\.csv: column 'z' is not in sales-1\.csv; all files"),
        ("", r"sales-3\.csv: the file is empty"),
    ],
)
def test_a_file_that_differs_is_named(directory, text, message):
    (directory / "sales-3.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(Csv(), directory / "sales-*.csv")


def test_a_pattern_without_files_is_refused(directory):
    for name in ("none-*.csv", "absent/*.csv", "[z].csv"):
        with pytest.raises(DataError, match="no file matches this pattern; correct it"):
            read_table(Csv(), directory / name)
    with pytest.raises(DataError, match="no file matches"):
        regular_files(Csv(), directory / "none-*.csv")


def test_the_digest_is_of_what_sha256sum_prints(directory):
    path = directory / "sales-*.csv"
    lines = "".join(
        f"{hashlib.sha256(PARTS[name].encode()).hexdigest()}  {name}\n"
        for name in ("sales-1.csv", "sales-2.csv")
    )
    assert digest_of(path, regular_files(Csv(), path)) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_run_evaluates_predicts_and_notices_another_file(tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        rows = "".join(f"{x},{2 * x}\n" for x in range(10 * number, 10 * number + 10))
        (tmp_path / f"part-{number}.csv").write_text("x,y\n" + rows)
    spec = regressor(
        data={"source": "csv", "path": "part-*.csv", "target": "y"}, train={"epochs": 2}
    )
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    code, _, err = nnreg("run", "spec.json", "--quiet")
    assert code == 0, err
    assert nnreg("evaluate", "runs/spec-001")[0] == 0
    code, out, err = nnreg("predict", "runs/spec-001", "part-[12].csv")
    assert (code, out.count("\n")) == (0, 21), err
    (tmp_path / "part-1.csv").write_text("x,y\n1,1\n2,two\n")
    code, _, err = nnreg("run", "spec.json", "--quiet")
    assert (code, "line 3 of part-1.csv, column 'y'" in err) == (1, True), err
    (tmp_path / "part-9.csv").write_text("x,y\n1,2\n")
    code, _, err = nnreg("evaluate", "runs/spec-001")
    assert (code, "not the data that it was trained on" in err) == (1, True), err
    assert nnreg("init", "part-[02].csv")[0] == 0
    assert '"path": "part-[02].csv"' in (tmp_path / "part.json").read_text()
