"""Blocks of CSV read by the positions of their cells: the same as by the standard library."""

import math
import warnings
from random import Random

import numpy as np
import pytest

from nnreg import DataError
from nnreg.builtin.sources import byte_numbers, byte_texts, delimited_reader
from nnreg.builtin.sources.byte_cells import PADDING, byte_cells
from nnreg.builtin.sources.byte_numbers import MARGIN, long_numbers, short_numbers
from nnreg.builtin.sources.byte_texts import equal_cells
from nnreg.builtin.sources.delimited import Csv
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.packed_texts import TEXT, PackedTexts
from tests.helpers.work import calls

ODD = [
    *("", " ", "NA", " NA ", "nan", "NaN", "-nan", "inf", "1e999", "-Infinity", "1_000", "0x10"),
    *("+1", "--1", "-", ".", "5.", ".5", "-.5", "1..2", "1./2", "./1", "1/2", "007", "-0", "1e5"),
    *("1E-5", "e5", "1e", "1e+", "2.5e-324", " 12 ", "12\t", "１２", "x", "naïve", "été ", "1;5"),
    *("a\x1cb", "\x1c1", "a\x0bb", "#", "# x", "//", "1,5", "1.234,5", "true", "\ufeff1", "\x85 1"),
    *(
        "a" * 9,
        "b" * 16,
        "c" * 17,
        "d" * 65,
        "9" * 20,
        "-99999.000",
        "9007199254740993",
        "0." + "3" * 20,
    ),
]

MISSING = [("?",), ("NA", "x"), ("a rather long one", ""), ("-1", "0", "1.5", "-99999.000", "7")]


def number(rng):
    kind = rng.randrange(12)
    if kind == 0:
        return repr(rng.gauss(0, 1) * 10.0 ** rng.randrange(-20, 20))
    if kind == 1:
        return f"{rng.gauss(0, 10):.{rng.randrange(20)}{rng.choice('ef')}}"
    if kind == 2:
        most = 10 ** rng.randrange(1, 25)
        return str(rng.randrange(-most, most))
    if kind == 3:  # as close as can be to the middle of two floats
        return str(2**53 + 2 * rng.randrange(2**40) + 1) + rng.choice(["", ".0", ".00"])
    if kind == 4:
        return f"{rng.randrange(10 ** rng.randrange(1, 20))}e{rng.randrange(-30, 30)}"
    if kind == 5:
        return "".join(rng.choice("0123456789.-+eE/") for _ in range(rng.randrange(14)))
    return f"{rng.gauss(0, 100):.{rng.randrange(6)}f}"


def cell(rng, kind):
    if rng.random() < 0.03:
        return rng.choice(ODD)
    if kind == "number":
        return number(rng)
    if kind == "digit":
        return str(rng.randrange(10))
    if kind == "category":
        return rng.choice(
            ["red", "green", "blue", "a rather long one", "a rather", "a rather b", ""]
        )
    if kind == "gaps":
        return rng.choice(["", "NA", "1.5", str(rng.randrange(99))])
    return f"{rng.choice('ab')}{rng.randrange(10**6)}"


def table(rng):
    """Return the text of a file, how it is written, and options that read it, or do not."""
    delimiter = rng.choice(",,,;\t|")
    comma = delimiter != "," and rng.random() < 0.3
    end = rng.choice(["\n", "\n", "\r\n"])
    kinds = rng.choices(["number", "digit", "category", "gaps", "name"], k=rng.randint(1, 5))
    calm = rng.random() < 0.5
    lines = [delimiter.join(f"c{n}" for n in range(len(kinds)))]
    for _ in range(rng.randint(1, 40)):
        row = [cell(rng, kind) for kind in kinds]
        if calm:  # or most files have something that cannot be read
            row = [one if one not in ODD else "0" for one in row]
        if comma:
            row = [one.replace(".", ",") if rng.random() < 0.95 else one for one in row]
        quoted = rng.random() < 0.2
        lines.append(delimiter.join(_written(rng, one, delimiter, quoted) for one in row))
        if rng.random() < 0.01:
            lines.append(
                rng.choice(["", " ", "# note", "x", '"', 'a"b', '"a"b', "\r", "1\r2", "\0"])
            )
    text = end.join(lines) + rng.choice(["", end])
    comment = rng.choice([None, None, None, "#", "//"])
    options = Csv(delimiter, decimal="," if comma else ".", comment=comment)
    if rng.random() < 0.2:
        options = Csv(delimiter, missing=rng.choice(MISSING))
    return text, options, [name for name in ("c0", "c1") if rng.random() < 0.1]


def _written(rng, text, delimiter, quoted):
    if quoted and rng.random() < 0.1:
        text += rng.choice([delimiter, '"', '""', "\n", "\r\n", "\n# x", '","'])
    needed = any(one in text for one in f'{delimiter}"\r\n')
    return '"' + text.replace('"', '""') + '"' if quoted or needed else text


def outcome(path, options, text):
    """Return all that is read, bit by bit, or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = options.read(path, text)
    except DataError as error:
        return str(error)
    columns = {}
    for name, column in found.columns.items():
        if isinstance(column, Categorical):
            columns[name] = column.categories, column.codes.tolist()
        elif column.dtype.kind == "f":
            columns[name] = column.dtype, column.tobytes()
        else:
            columns[name] = column.dtype, column.tolist()
    return columns, list(map(int, found.line_numbers))


def compare(tmp_path, monkeypatch, seeds, find=byte_cells):
    """Read files by both ways; return how often the fast one was used."""
    used = 0
    for seed in seeds:
        rng = Random(seed)
        text, options, as_text = table(rng)
        (tmp_path / "t.csv").write_text(text, newline="", encoding="utf-8")
        monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", rng.choice([1, 20, 2**14]))
        monkeypatch.setattr(delimited_reader, "BLOCK", rng.choice([1, 60, 300, 2**19]))
        monkeypatch.setattr("nnreg.tables.concat.MAX_CATEGORIES", rng.choice([3, 10, 2**15 - 1]))
        found = []

        def counted(*arguments, found=found):
            found.append(find(*arguments))
            return found[-1]

        monkeypatch.setattr(delimited_reader, "finder", lambda _, counted=counted: counted)
        fast = outcome(tmp_path / "t.csv", options, as_text)
        used += any(one is not None for one in found)
        monkeypatch.setattr(delimited_reader, "finder", lambda _: lambda *_: None)
        assert fast == outcome(tmp_path / "t.csv", options, as_text), f"seed {seed}"
    return used


def test_cells_by_position_are_those_of_the_standard_library(tmp_path, monkeypatch):
    assert compare(tmp_path, monkeypatch, range(250)) > 100


@pytest.mark.slow
def test_many_more_files_are_read_alike(tmp_path, monkeypatch):
    assert compare(tmp_path, monkeypatch, range(1000, 4000)) > 1000


def bytes_of(cells):
    """Return cells as bytes, and where they begin and end."""
    raw = [cell.encode() for cell in cells]
    ends = MARGIN + np.cumsum([len(one) + 1 for one in raw]) - 1
    starts = ends - list(map(len, raw))
    return np.frombuffer(PADDING + b",".join([*raw, b""]) + PADDING, np.uint8), starts, ends


def checked(cells, read, point="."):
    """Return which cells are known; each is the float of its text, bit by bit."""
    values, unknown = read(*bytes_of(cells), point)
    known = np.ones(len(cells), bool)
    known[unknown] = False
    for row in np.flatnonzero(known).tolist():
        expected = float(cells[row].replace(point, "."))
        assert np.float64(expected).tobytes() == values[row].tobytes(), cells[row]
    return known


@pytest.mark.parametrize("read", [short_numbers, long_numbers])
def test_a_known_number_is_its_float(read):
    rng = Random(0)
    short = [f"{rng.gauss(0, 100):.{rng.randrange(6)}f}" for _ in range(1000)]
    assert checked(short, read).all()
    for cells in (ODD, [number(rng) for _ in range(4000)], [str(n % 10) for n in range(100)]):
        mixed = [one for one in cells if one.isascii()]
        checked(mixed, read)
        checked([*mixed, *short * 4], read)
        for one in mixed[:500]:
            checked([one], read)


def test_a_number_that_stands_for_a_missing_value_is_missing_in_every_block(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "-999,1\n -999,-999.0000\n" * 9000)
    found = Csv(missing=("-999", "-999.0000")).read(tmp_path / "t.csv").columns
    assert np.isnan(found["a"]).all()
    assert np.isnan(found["b"]).tolist() == [False, True] * 9000


def test_numbers_of_up_to_nineteen_digits_are_known():
    rng = Random(0)
    cells = [repr(rng.gauss(0, 10)) for _ in range(1000)] + [f"{rng.random():.18e}" for _ in "abc"]
    assert np.mean(checked([one for one in cells if len(one) < 20], long_numbers)) == 1
    assert checked(["1.7976931348623157e21", "-5e-22", "0.00012", "1e+003"], long_numbers).all()
    assert not checked(["1e-300", "9007199254740993", "1" * 25], long_numbers).any()
    assert checked(["1,5", "-2", ",25"], short_numbers, ",").all()
    assert not checked(["1.5"], short_numbers, ",").any()


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 16, 17, 64])
def test_numbers_at_the_limits_of_chunks(monkeypatch, length):
    monkeypatch.setattr(byte_numbers, "CHUNK", 8)
    cells = [f"{n / 8}" for n in range(length)]
    values, unknown = short_numbers(*bytes_of(cells), ".")
    assert values.tolist() == [n / 8 for n in range(length)]
    assert not len(unknown)


def test_equal_cells_are_found_also_if_hashes_are_equal(monkeypatch):
    parts = [np.array([5, 7, 5, 9, 7, 5], np.uint64), np.array([0, 1, 0, 1, 1, 2], np.uint64)]
    firsts, each = equal_cells(parts, 6)
    assert firsts.tolist() == [0, 1, 3, 5]
    assert each.tolist() == [0, 1, 0, 2, 1, 3]
    assert equal_cells(parts, 3) is None
    monkeypatch.setattr(byte_texts, "FACTORS", np.zeros(8, np.uint64))
    assert equal_cells(parts, 6) is None


def test_texts_with_equal_hashes_are_still_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_texts, "FACTORS", np.zeros(8, np.uint64))
    names = [f"name {n % 7}" for n in range(4000)]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},1\n" for n in names))
    assert categories(Csv().read(tmp_path / "t.csv")) == names


def categories(found):
    return found.columns["a"].text().tolist()


def test_texts_with_a_common_beginning_are_told_apart(tmp_path):
    names = [
        "eight by",
        "eight byte",
        "eight bytes",
        "eight byt",
        "eight bytes and nine more",
    ] * 900
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},1\n" for n in names))
    assert categories(Csv().read(tmp_path / "t.csv")) == names


@pytest.mark.parametrize("line", ["3,x\r4,y", '3,"x\ry"', "\r3,x", "3,\r"])
def test_carriage_returns_alone_are_left_to_the_standard_library(line):
    assert byte_cells(f"1,x\r\n{line}\r\n", ",", 2) is None
    assert byte_cells("1,x\r\n3,y\r\n", ",", 2) is not None


def test_after_the_first_block_there_is_no_work_in_python_for_each_cell(tmp_path):
    def read(count):
        (tmp_path / "t.csv").write_text("a,b,c\n" + "NA,1.5,x\n,2.25,y\n 3 ,, y\n" * count)
        return Csv().read(tmp_path / "t.csv").columns

    found = read(15_000)  # and what is imported for the first time
    assert calls(read, 15_000) < calls(read, 3000) + 2000
    assert math.isnan(found["a"][0])
    assert found["a"][-1] == 3
    assert found["c"].categories == ("x", "y")


def test_without_a_margin_nothing_is_read_beyond_the_cells():
    cells = byte_cells("1,2\n3,4", ",", 2)
    assert cells.starts.min() >= MARGIN
    assert cells.ends.max() <= len(cells.data) - MARGIN
    matrix, unknown = cells.numbers([0, 1], ".", MISSING_TEXTS)
    assert matrix.tolist() == [[1, 3], [2, 4]]
    assert not len(unknown)


def test_text_of_a_chunk_is_made_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.builtin.sources.text_column.MAX_CATEGORIES", 3)
    names = [f"user {n}" if n % 50 else "NA" for n in range(9000)]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},1\n" for n in names))
    *_, last = Csv().iter_chunks(tmp_path / "t.csv")
    assert isinstance(last.columns.stored["a"], PackedTexts)
    expected = [None if name == "NA" else name for name in names[-len(last) :]]
    assert last.columns["a"].tolist() == expected
    assert last.columns["a"] is last.columns["a"]
    assert last.slice_rows(slice(2, 5)).columns["a"].tolist() == expected[2:5]
    assert last.columns["a"].dtype == TEXT
