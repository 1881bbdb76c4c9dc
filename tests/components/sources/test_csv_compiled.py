"""Blocks of CSV read by compiled loops: the same as by the standard library."""

from random import Random

import numpy as np
import pytest

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

from nnreg.builtin.sources import compiled_cells
from nnreg.builtin.sources.byte_cells import byte_cells
from nnreg.builtin.sources.byte_numbers import MARGIN
from nnreg.builtin.sources.compiled_cells import CompiledFinder, finder
from nnreg.builtin.sources.delimited import Csv
from nnreg.kernels.numba.delimited import CELLS
from nnreg.tables.cells import MISSING_TEXTS
from tests.components.sources.test_csv_blocks import ODD, compare, number

DIGITS = "0123456789"


def test_compiled_cells_are_those_of_the_standard_library(tmp_path, monkeypatch):
    assert compare(tmp_path, monkeypatch, range(250), CompiledFinder().cells) > 100


@pytest.mark.slow
def test_many_more_files_are_read_alike(tmp_path, monkeypatch):
    seeds = range(1000, 4000)
    assert compare(tmp_path, monkeypatch, seeds, CompiledFinder().cells) > 1000


def cells(*lines, width):
    return CompiledFinder().cells("\n".join(lines), ",", width)


def test_a_known_number_is_its_float():
    rng = Random(0)
    texts = [one for one in ODD if one.isascii() and "," not in one]
    texts += [number(rng) for _ in range(4000)]
    texts += [f"{rng.uniform(-1, 1) * 10 ** rng.randrange(9):.{rng.randrange(9)}f}" for _ in texts]
    found = cells(*(f"{text}," for text in texts), width=2)
    (values,), unknown = found.numbers([0], ".", MISSING_TEXTS)
    unknown = set(unknown[:, 0].tolist())
    assert len(unknown) < len(texts) / 8
    for row, text in enumerate(texts):
        if row not in unknown and text.strip() not in MISSING_TEXTS:
            assert np.float64(float(text.strip())).tobytes() == values[row].tobytes(), text


@pytest.mark.parametrize("missing", [(), ("",), MISSING_TEXTS, ("7", "-1.5", "")])
@pytest.mark.parametrize("delimiter", [",", "-", "0"])
def test_numbers_are_those_read_without_compiled_loops(missing, delimiter):
    rng = Random(0)
    texts = [one for one in ODD if "," not in one and "\n" not in one and '"' not in one]
    texts += [
        "",
        "7",
        "-1.5",
        "-",
        ".",
        "-.",
        "1.",
        ".5",
        "-.5",
        "12345678",
        "123456789",
        "-1234567.8",
    ]
    texts += ["NA", *(number(rng) for _ in range(500))]
    texts = [one for one in texts if delimiter not in one and one.isascii()]
    rows = [[rng.choice(texts) for _ in range(4)] for _ in range(2 * CELLS + 9)]
    text = "".join(delimiter.join(row) + "\n" for row in rows)
    tables = [find(text, delimiter, 4) for find in (byte_cells, CompiledFinder().cells)]
    for columns in ([1], [0, 2, 3]):
        (expected, one), (found, other) = (table.numbers(columns, ".", missing) for table in tables)
        known = np.ones((2, *found.shape), bool)
        for at, unknown in enumerate((one, other)):
            known[at][unknown[:, 1], unknown[:, 0]] = False
        both = known.all(0)
        assert both.sum() > found.size / 3
        assert found[both].tobytes() == expected[both].tobytes()
        for column, row in np.argwhere(known[1] & ~known[0]).tolist():
            assert found[column, row] == float(rows[row][columns[column]])
        for column in range(len(columns)):  # as those who use them take for granted
            assert (np.diff(other[other[:, 1] == column, 0]) > 0).all()


@pytest.mark.parametrize("missing", [(), ("",), ("", "7")])
@pytest.mark.parametrize("others", ["", "x", "-", ".", ":", "/"])
@pytest.mark.parametrize("delimiter", [",", "5"])
def test_single_digits_are_those_read_without_compiled_loops(missing, others, delimiter):
    rows = [*DIGITS * CELLS, others, *DIGITS * CELLS, "", *DIGITS * CELLS]
    rows = [one for one in rows if one != delimiter]
    text = "".join(f"{one}{delimiter}\n" for one in rows)
    found = CompiledFinder().cells(text, delimiter, 2)
    (values,), unknown = found.numbers([0], ".", missing)
    left = {row for row, one in enumerate(rows) if one not in (*missing, *DIGITS)}
    assert set(unknown[:, 0].tolist()) == left
    for row, one in enumerate(rows):
        if row not in left:
            expected = np.nan if one in missing else float(one)
            assert np.array_equal(values[row], expected, equal_nan=True)


@pytest.mark.parametrize("missing", [(), ("",), MISSING_TEXTS, ("a text of 17 byte", "x" * 64)])
def test_texts_in_bytes_are_those_found_without_compiled_loops(missing):
    rng = Random(0)
    texts = ["", "NA", "na", "NAN", "a", "a text of 17 byte", "a text of 17 bytes", *missing]
    for odd in ([], [" a"], ["a\t"], ["é"], ["x" * 64], ["x" * 63], ["x" * 65]):
        rows = [[rng.choice(texts), "1"] for _ in range(90)] + [[one, "1"] for one in odd]
        text = "".join(",".join(row) + "\n" for row in rows)
        expected, found = (
            find(text, ",", 2).packed_texts(0, missing)
            for find in (byte_cells, CompiledFinder().cells)
        )
        assert (found is None) == (expected is None)
        if expected is not None:
            assert found.raw.tolist() == expected.raw.tolist()
            assert found.missing.tolist() == expected.missing.tolist()


def test_a_block_whose_positions_are_too_large_is_left_to_the_standard_library(monkeypatch):
    assert cells("a,1", width=2) is not None
    monkeypatch.setattr(compiled_cells, "MAX_POSITION", 2 * MARGIN)
    assert cells("a,1", width=2) is None


@pytest.mark.parametrize("length", [1, 30, 60, 61, 62, 63, 64, 65, 126, 127, 128, 129])
@pytest.mark.parametrize("quote", ["", '"'])
def test_cells_at_the_limits_of_64_bytes(length, quote):
    line = f"{quote}{'x' * length}{quote},{quote}1{quote}"
    found = cells(line, line, width=2)
    assert found.texts(slice(None), 0) == ["x" * length] * 2
    assert found.texts(slice(None), 1) == ["1"] * 2


RARE = [
    *('"a\nb",1', '"a""b",1', '"a"\r\n1,2', "a\r,1", '"a"b,1', '"a,1', 'a"b,1', "a", "a,b,c"),
    *("a,b,c\nd", "", '"",1', "a\r\n,1", '"a\rb",1'),
]


@pytest.mark.parametrize("before", range(55, 70))
@pytest.mark.parametrize("text", RARE)
def test_rare_bytes_at_the_limits_of_64_bytes(before, text):
    text = f"{'x' * before},1\n{text}\ny,2"
    expected, found = byte_cells(text, ",", 2), CompiledFinder().cells(text, ",", 2)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert found.starts.tolist() == expected.starts.tolist()
        assert found.ends.tolist() == expected.ends.tolist()
        assert found.doubled == expected.doubled
        assert (found.lines is None) == (expected.lines is None)
        assert found.lines is None or found.lines.tolist() == expected.lines.tolist()


def test_nothing_is_written_beyond_the_cells_of_a_block():
    found = CompiledFinder()
    found._positions = np.full(100, -7, np.int32)
    assert found.cells("1,2,3,4,5,6\n", ",", 2) is None
    assert (found._positions[4:] == -7).all()


@pytest.mark.parametrize(
    "name", ["a name of more than eight bytes {}", "a name {:09} of many bytes"]
)
@pytest.mark.parametrize("count", [3, 1000])
def test_texts_with_equal_hashes_are_still_told_apart(tmp_path, monkeypatch, count, name):
    monkeypatch.setattr(compiled_cells, "SHIFT", 63)
    monkeypatch.setattr(compiled_cells, "MIN_BYTES", 0)
    names = [name.format(n % count) for n in range(4000)]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},1\n" for n in names))
    assert Csv().read(tmp_path / "t.csv").columns["a"].text().tolist() == names


def test_loops_are_loaded_for_large_files_and_then_used_for_all(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    compiled_cells._loops.cache_clear()
    assert finder(tmp_path / "t.csv") is byte_cells
    monkeypatch.setattr(compiled_cells, "MIN_BYTES", 8)
    assert finder(tmp_path / "t.csv") is not byte_cells
    monkeypatch.undo()
    compiled_cells._loops()
    assert finder(tmp_path / "t.csv") is not byte_cells
