"""JSON lines and lists of objects: what is a cell, and what is refused where."""

import gzip
import json

import numpy as np
import pytest

from nnreg.builtin.sources.json_lines import JsonLines
from nnreg.data.loading import read_chunks, read_table
from nnreg.errors import DataError
from nnreg.tables.columns import categorical, numbers
from nnreg.tables.lists import is_lists, sequences_of


@pytest.fixture
def table(tmp_path):
    def read(text, text_columns=()):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "d.jsonl").write_bytes(data)
        return read_table(JsonLines(), tmp_path / "d.jsonl", text_columns)

    return read


def test_chunks_have_the_columns_of_all_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.builtin.sources.json_lines.BLOCK", 40)
    lines = [{"x": n} for n in range(20)] + [{"x": 0.5, "late": "a"}, {"late": "b", "x": "c"}]
    path = tmp_path / "d.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)))
    chunks = list(read_chunks(JsonLines(), path))
    assert len(chunks) > 4
    assert {tuple(one.columns) for one in chunks} == {("x", "late")}
    assert chunks[-1].fraction_read == 1
    whole = read_table(JsonLines(), path)
    assert categorical(whole, "x").text().tolist() == [*map(str, range(20)), "0.5", "c"]
    assert categorical(whole, "late").text().tolist() == [None] * 20 + ["a", "b"]
    assert whole.row_label(21) == "line 43"


def test_a_list_larger_than_a_block_is_read_whole(table):
    rows = [{"x": n, "word": "a" * 1000} for n in range(2000)]
    assert table(json.dumps(rows, indent=1)).columns["x"].tolist() == list(range(2000))


def test_compressed_text_with_a_byte_order_mark_is_read(table):
    assert table(gzip.compress('\ufeff{"ä": 1}\n'.encode())).columns["ä"].tolist() == [1]


def test_lists_are_sequences(table):
    found = table('{"a": [1, 2.5, null]}\n{"a": []}\n')
    assert is_lists(found.columns["a"])
    sequences = sequences_of(found, "a")
    assert sequences.lengths.tolist() == [3, 0]
    np.testing.assert_array_equal(sequences.values, [1, 2.5, np.nan])


def test_integers_that_float_would_round_are_exact(table):
    text = '{"a": 9007199254740993, "b": 9007199254740993}\n{"a": null, "b": 1}\n'
    found = table(text)
    assert categorical(found, "a").text().tolist() == ["9007199254740993", None]
    assert categorical(found, "b").text().tolist() == ["9007199254740993", "1"]
    assert categorical(table('{"a": 1%s}' % ("0" * 400)), "a").text().tolist() == ["1" + "0" * 400]


def test_texts_of_numbers_and_of_missing_values_mean_what_they_do_in_csv(table):
    found = table('{"a": "1.5", "b": "NaN"}\n{"a": "NA", "b": "x"}\n')
    np.testing.assert_array_equal(numbers(found, "a"), [1.5, np.nan])
    assert categorical(found, "b").text().tolist() == [None, "x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": 1', r"line 2: not JSON: .* at character 8; expected one object per"),
        ('{"a": 1}\n[2]\n', r'line 2: not an object; expected one such as \{"x": 1'),
        ('{"a": 1}\n{"a": {"b": 1}}', "line 2, column 'a': an object in an object; write its"),
        ('\n{"a": 1, "a": 2}', "line 2: key 'a' occurs twice in one object; rename one"),
        ('{"a": NaN}', "line 1: NaN is not a value of JSON; write null for a missing value"),
        ('{"a": 1e999}\n{"a": 1}', "line 1, column 'a': found 'inf', expected a number"),
        ('{"a": %s}' % ("1" * 5000), "line 1: a number has too many digits"),
        ('{"a": %s' % ("[" * 100_000), "line 1: lists or objects are nested too deep"),
        (r'{"a": "\ud800"}', r"column 'a': found '\\ud800', which is not text"),
        (r'{"\ud800": 1}', r"a key: found '\\ud800', which is not text"),
        (b'{"a": "\xff"}', "not text in UTF-8; save it as UTF-8"),
        ("", "there are no rows; expected an object per line"),
        ("[]", "there are no rows"),
        ('[{"a": 1}, 2]', "row 1: not an object"),
        ('[\n{"a": 1},\n{"a" 1}]', r"not JSON: Expecting ':' delimiter at line 3, character 6"),
        ('{\n"a": 1}', "line 1: not JSON: .*; expected one object per line, or a list of objects"),
    ],
)
def test_what_is_not_a_table_is_refused_with_its_line(table, text, message):
    with pytest.raises(DataError, match=rf"d\.jsonl.*{message}"):
        numbers(table(text), "a")
