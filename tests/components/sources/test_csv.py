"""CSV and TSV: cells, types of columns, and errors of bad files."""

import csv
import gzip
import io
import json
import sys
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import loading
from nnreg import DataError
from nnreg.builtin.sources import delimited_reader
from nnreg.builtin.sources.delimited import Csv, Tsv
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.categorical import Categorical
from nnreg.tables.columns import categorical, numbers
from tests.helpers.specs import classifier, csv_data, regressor
from tests.helpers.work import CPU_SECONDS, calls, cpu_seconds


@pytest.fixture
def small_blocks(monkeypatch):
    """Read a line or two at a time, so that a short file has many blocks."""
    monkeypatch.setattr(delimited_reader, "BLOCK", 12)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 4)


@pytest.fixture
def read(tmp_path):
    """Write a file and read it."""

    def written(content, source=None, text=()):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return (source or Csv()).read(path, text)

    return written


def columns(table):
    return {name: categorical(table, name).text().tolist() for name in table.columns}


def lines(table):
    return [int(line) for line in table.line_numbers]


def test_numbers_become_floats_and_other_cells_stay_text(read):
    table = read("a,b,c\n 1 ,x y,1\n-2.5e3, z,\n")
    assert table.columns["a"].tolist() == [1, -2500]
    assert table.columns["a"].dtype == np.float64
    assert table.columns["b"].tolist() == ["x y", "z"]
    np.testing.assert_array_equal(table.columns["c"], [1, np.nan])
    assert lines(table) == [2, 3]


@pytest.mark.parametrize("head", ["5.1,3.5,setosa", "2024-01-05,x", "2021,2020"])
def test_a_first_line_with_values_gives_one_warning(read, head):
    with pytest.warns(NnregWarning, match="line 1: taken as column names, but '") as notes:
        read(head + "\n" + ",".join("1" for _ in head.split(",")) + "\n")
    assert len(notes) == 1


def test_years_and_numbers_that_count_up_are_column_names(read):
    for head in ("0,1,2", "2020,2021,t"):
        assert list(read(f"{head}\n1,2,3\n").columns) == head.split(",")


def test_a_column_requested_as_text_keeps_its_text(read):
    table = read("a,b\n007,1.50\n7,\n", text=["a", "b"])
    assert columns(table) == {"a": ["007", "7"], "b": ["1.50", None]}


@pytest.mark.usefixtures("small_blocks")
def test_many_blocks_are_one_table(read):
    rows = [f"{i},{i / 3},{'red' if i % 2 else 'blue'},{'' if i == 40 else i}" for i in range(99)]
    table = read("a,b,c,d\n" + "\n".join(rows) + "\n")
    assert table.columns["a"].dtype == np.float16
    assert table.columns["a"].tolist() == list(range(99))
    assert table.columns["b"].dtype == np.float64
    assert table.columns["b"].tolist() == [i / 3 for i in range(99)]
    assert isinstance(table.columns["c"], Categorical)
    assert table.columns["c"].categories == ("blue", "red")
    assert np.flatnonzero(np.isnan(numbers(table, "d"))).tolist() == [40]
    assert table.line_numbers == range(2, 101)


@pytest.mark.usefixtures("small_blocks")
def test_numbers_are_stored_in_the_smallest_exact_type(read):
    values = {"f2": "2048", "f4": "2049", "f8": "0.1"}
    for kind, value in values.items():
        table = read("a\n" + "0\n" * 20 + f"{value}\n\n" + "1\n" * 20)
        assert table.columns["a"].dtype == kind
        assert table.columns["a"][20] == float(value)


@pytest.mark.usefixtures("small_blocks")
def test_a_column_with_text_after_many_numbers_keeps_all_its_text(read):
    table = read("a,b\n" + "007,1\n" * 50 + "x,2\n" + "08,3\n")
    assert columns(table)["a"] == ["007"] * 50 + ["x", "08"]
    assert table.columns["b"].tolist() == [1] * 50 + [2, 3]


@pytest.mark.usefixtures("small_blocks")
def test_text_among_numbers_is_reported_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "species,x\n" + "red,1.5\nblue,2\n" * 500 + "red,1,5\n".replace(",5", "O5") + "red,2\n"
    (tmp_path / "data.csv").write_text(text)
    for data, message in (
        ({}, r"line 1002, column 'x': found '1O5' among numbers"),
        ({"columns": {"x": "number"}}, r"line 1002, column 'x': found '1O5', expected a number"),
    ):
        with pytest.raises(DataError, match=message):
            prepare_from_spec(read_spec(classifier(data=csv_data(**data))))
    spec = classifier(data=csv_data(columns={"x": "category"}))
    assert prepare_from_spec(read_spec(spec)).model.preprocessing.inputs[0].encoder.categories == (
        "1.5",
        "1O5",
        "2",
    )


@pytest.mark.usefixtures("small_blocks")
def test_more_distinct_values_than_a_categorical_can_have_are_kept(read, monkeypatch):
    monkeypatch.setattr("nnreg.tables.concat.MAX_CATEGORIES", 10)
    names = [None if i % 7 == 3 else f"a rather long name, number {i}" for i in range(60)]
    table = read("id\n" + "".join("NA\n" if n is None else f'"{n}"\n' for n in names))
    assert table.columns["id"].dtype.kind == "T"
    assert columns(table)["id"] == names
    assert columns(table.take(np.array([1, 59])))["id"] == [names[1], names[59]]


@pytest.mark.usefixtures("small_blocks")
def test_line_numbers_are_right_with_quotes_blank_lines_and_line_breaks_in_cells(read):
    table = read('a,b\r\n1,"x ""y"""\r\n\r\n2,"over\r\ntwo, lines"\r\n3,z\r\n"4",q\r\n\r\n')
    assert columns(table) == {
        "a": ["1", "2", "3", "4"],
        "b": ['x "y"', "over\r\ntwo, lines", "z", "q"],
    }
    assert lines(table) == [2, 5, 6, 7]


CELL = st.one_of(
    st.sampled_from(
        ["", "", "NA", "1", "-2.5", " 3", "1e3", "007", "1_0", "inf", "nan", "x", 'a "b"']
    ),
    st.text('01.e-,"\n\r ;aé_', max_size=4),
)


@settings(max_examples=150)
@given(
    st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=25),
    st.sampled_from([1, 10, 1000]),
)
def test_blocks_and_numpys_reader_do_not_change_the_result(tmp_path_factory, rows, block):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text(text.getvalue(), newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited_reader, "BLOCK", block)
        patch.setattr(delimited_reader, "FIRST_BLOCK", 1)
        table = Csv().read(path)
    missing = Csv().missing
    for index, name in enumerate("ab"):
        cells = [row[index].strip() for row in rows]
        cells = [None if cell in missing else cell for cell in cells]
        if table.columns[name].dtype.kind == "f":
            cells = [np.nan if cell is None else float(cell) for cell in cells]
            np.testing.assert_array_equal(numbers(table, name), cells)
        else:
            assert categorical(table, name).text().tolist() == cells


@settings(max_examples=300)
@given(st.lists(st.text('a1",\n\r ', max_size=8), min_size=1, max_size=8))
def test_well_formed_is_what_the_standard_library_accepts(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("a,b\n1,a\n2,b\n" + "\n".join(lines), newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited_reader, "FIRST_BLOCK", 6)
        try:
            found = columns(Csv().read(path, ["b"]))
        except DataError:
            found = None
    try:
        with path.open(newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file, strict=True)]
            rows = [row for row in rows if len(row) > 1 or any(row)]
        expected = None if any(len(row) != 2 for row in rows) else rows[1:]
    except csv.Error:
        expected = None
    if expected is None or found is None:
        assert found is expected
    else:
        assert found["b"] == [row[1] or None for row in expected]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("cell", ["-nan", "inf", "-Infinity", "1_0", "1e999", "０x"])
def test_what_only_looks_like_a_number_is_text_in_any_block(read, cell):
    for text in (f"a,b\n{cell},1\n", f"a,b\n1,\n2,3\n4,5\n{cell},6\n"):
        table = read(text)
        assert categorical(table, "a").text().tolist()[-1] == cell
        assert numbers(table, "b")[-1] == int(text[-2])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("line", "cell"),
    [
        ('4,"a""b"', 'a"b'), ('4,a"b', 'a"b'), ('4,""', None), ('4,a""', 'a""'), ('4,"a,"', "a,"),
        ('4,"a"b', ...), ('4,"a,"b', ...), ('4,"a"""b', ...), ('4,"a', ...), ('"4"5,a', ...),
    ],
)  # fmt: skip
def test_quotes_mean_the_same_in_any_block(read, line, cell):
    text = f"a,b\n1,x\n2,y\n3,z\n{line}\n"
    if cell is ...:
        with pytest.raises(DataError, match="line 5: not well-formed CSV"):
            read(text)
    else:
        assert categorical(read(text), "b").text().tolist() == ["x", "y", "z", cell]


class TestEncodings:
    TEXT = "naïve,x\nÅsa,1\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
    def test_a_file_is_read_in_the_given_encoding(self, read, encoding):
        found = read(self.TEXT.encode(encoding), Csv(encoding=encoding.removesuffix("-sig")))
        assert columns(found) == {"naïve": ["Åsa"], "x": ["1"]}

    @pytest.mark.parametrize(
        ("written", "said", "message"),
        [
            ("cp1252", "utf-8", r'line 1: byte 0xef is not text in utf-8; .*"encoding": "cp1252"'),
            ("utf-16", "utf-8", r't\.csv: is not text in utf-8; .*"encoding": "utf-16"'),
            ("utf-8", "utf-16", r't\.csv: is not text in utf-16; .*"encoding": "utf-8"'),
            ("utf-16-le", "utf-8", r'line 1: not text in utf-8; .*"encoding": "utf-16"'),
        ],
    )
    def test_a_wrong_encoding_is_reported_with_the_line_and_a_likely_one(
        self, read, written, said, message
    ):
        text = "name,x\nAsa,1\n" if written == "utf-16-le" else self.TEXT
        with pytest.raises(DataError, match=message):
            read(text.encode(written), Csv(encoding=said))

    def test_a_binary_file_is_not_read_as_text(self, read):
        with pytest.raises(DataError, match=r"t\.csv: not a text file; set the source"):
            read(b"PK\x03\x04\x00\xff\n1,2\n")

    def test_the_line_is_reported_also_far_into_the_file(self, read):
        with pytest.raises(DataError, match="line 100002: byte 0xff is not text"):
            read(b"a,b\n" + b"red,1\n" * 100_000 + b"\xff,1\n")

    @pytest.mark.parametrize("name", ["utf-9", "base64", "\0"])
    def test_an_unknown_encoding_is_refused_with_the_spec(self, name):
        with pytest.raises(ValueError, match="encoding"):
            Csv(encoding=name)


def test_a_compressed_file_is_read_and_a_truncated_one_refused(read):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert len(read(whole)) == 1000
    for damaged in (whole[:-9], whole[:20], whole[:12] + b"\xff" * 20):
        with pytest.raises(DataError, match=r"t\.csv: not a complete gzip file"):
            read(damaged)


def test_tabs_separate_the_cells_of_tsv(read):
    assert columns(read("a\tb\n1\tx,y\n", Tsv())) == {"a": ["1"], "b": ["x,y"]}


def test_options_change_how_text_is_read(read):
    table = read("\ufeffa;b\n 1 ;?\n\n2;x\n", Csv(delimiter=";", missing=("?",)))
    assert columns(table) == {"a": ["1", "2"], "b": [None, "x"]}
    assert lines(table) == [2, 4]


def test_a_decimal_comma_is_read_if_the_option_is_set(read):
    table = read("a;b;c\n1,5;1.5;x,y\n-2;1;z\n", Csv(delimiter=";", decimal=","))
    assert table.columns["a"].tolist() == [1.5, -2]
    assert table.columns["b"].tolist() == ["1.5", "1"]
    assert table.columns["c"].tolist() == ["x,y", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a;b;c\n1;2;3\n",
            r"only column is 'a;b;c'; .* a semicolon: .*\"delimiter\": \";\"",
        ),
        ("a\tb\n1\t2\n", r"seems to be a tab: .*\"delimiter\": \"\\t\""),
        ("a,b\n1,2\n1\n", "line 3: 1 cell, but the header has 2; fix the row"),
        ('a,b\n1,2\n1,"2\n', "line 3: not well-formed CSV"),
        ('a,b\n1,"2"x\n', "line 2: not well-formed CSV"),
        ("\n\na,a\n1,2\n", "line 3: column 'a' occurs twice"),
        ("\n\n", "the file is empty"),
        ("a,b\n\n\n", "a header but no rows"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_a_suggested_fix_keeps_the_given_options(read):
    with pytest.raises(DataError) as caught:
        read("ä;b\n1,5;2\n".encode("cp1252"), Csv(encoding="cp1252", decimal=","))
    fix = json.loads(str(caught.value).partition("set the source to ")[2])
    assert fix == {"type": "csv", "encoding": "cp1252", "decimal": ",", "delimiter": ";"}


@pytest.mark.parametrize("delimiter", ["\n", "\r", '"', "\0", ";;", ""])
def test_an_invalid_delimiter_is_refused_with_the_spec(delimiter):
    spec = regressor(data=csv_data(source={"type": "csv", "delimiter": delimiter}))
    with pytest.raises(Exception, match=r"\$\.data\.source"):
        read_spec(spec)


def test_the_work_of_reading_columns_is_linear_in_their_number(read):
    def text(count):
        head = ",".join(f"x{i}" for i in range(count))
        row = ",".join(str(i % 17 / 4) for i in range(count))
        return f"{head}\n" + f"{row}\n" * 60

    table = read(text(5000))
    assert len(table.columns) == 5000
    assert table.columns["x4999"].tolist() == [4999 % 17 / 4] * 60
    assert calls(read, text(5000)) < 11 * calls(read, text(500))
    assert cpu_seconds(read, text(5000)) < CPU_SECONDS


def test_a_table_larger_than_memory_is_refused(read, monkeypatch):
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 1_000_000)
    with pytest.raises(DataError, match=r"t\.csv, its rows so far: .*, more than half"):
        read(gzip.compress(b"a,b\n" + b"0,x\n" * 200_000))


@pytest.mark.filterwarnings("ignore:.*taken as column names")
def test_changed_bytes_are_refused_or_read_without_other_errors(tmp_path):
    text = 'a,"b b",c\n' + 'red,"1,5",2\n"x ""y""",,-3e2\n\nNA,2024-01-01,0\n' * 3
    rng = Random(0)
    for sound in (text.encode(), text.encode("utf-16"), gzip.compress(text.encode(), mtime=0)):
        for _ in range(300):
            data = bytearray(sound)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.choice(b'\0\n\r",;_\xff\x80 1eN')
            (tmp_path / "t.csv").write_bytes(data)
            with suppress(DataError):
                table = Csv().read(tmp_path / "t.csv")
                assert len({len(column) for column in table.columns.values()}) == 1


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="the growth of a process is measured as on Linux"
)
@pytest.mark.parametrize("name", loading.FILES)
def test_two_million_rows_load_in_seconds_and_in_three_times_the_file(tmp_path, name):
    path = tmp_path / "table.csv"
    loading.write(path, name, loading.FILES[name].rows)
    seconds, grown = loading.sample("nnreg", name, path)
    assert grown < 3 * path.stat().st_size
    assert seconds < 60  # it takes two to eight on an idle machine
