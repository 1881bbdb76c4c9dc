"""A cell means the same from every source: what it means in a CSV file of the same table."""

import numpy as np
import pandas
import pytest

import nnreg
from nnreg.tables.cells import positions, value_of
from nnreg.tables.columns import categorical, is_numeric, numbers
from nnreg.tables.convert import table_of

SPEC = {
    "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.1},
    "train": {"epochs": 3},
}
CELLS = {
    "truth": ["True", "False", "True", "False"],
    "code": ["01", "02", "01", "02"],
    "level": ["1.0", "2.0", "2.0", "1.0"],
    "word": ["a", "b", "NA", "b"],
    "day": ["2024-01-05", "2024-01-06", "2024-01-06", "2024-01-05"],
    "number": ["1.5", "2", "", "1e3"],
}
COLUMNS = dict.fromkeys(("code", "level", "day"), "category")
LABELS = ["x", "y", "x", "y"]


def frame():
    return pandas.DataFrame(
        {
            "truth": [True, False, True, False],
            "code": [1, 2, 1, 2],
            "level": [1.0, 2.0, 2.0, 1.0],
            "word": [" a", "b ", None, "b"],
            "day": pandas.to_datetime(CELLS["day"]),
            "number": [1.5, 2, np.nan, 1000],
        }
    )


SOURCES = {
    "mapping of text": lambda: {name: list(cells) for name, cells in CELLS.items()},
    "padded text": lambda: {name: [f" {cell} " for cell in cells] for name, cells in CELLS.items()},
    "data frame": frame,
    "frame of text": lambda: pandas.DataFrame(CELLS),
    "nullable types": lambda: frame().convert_dtypes(),
    "frame of categoricals": lambda: frame().astype({"truth": "category", "word": "category"}),
    "frame of objects": lambda: frame().astype(object),
    "list of mappings": lambda: frame().to_dict("records"),
    "arrays": lambda: {name: values.to_numpy() for name, values in frame().items()},
}


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [",".join([*CELLS, "label"])]
    lines += [",".join(row) for row in zip(*CELLS.values(), LABELS, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    data = {"source": "csv", "path": "t.csv", "target": "label", "columns": COLUMNS}
    return nnreg.run({**SPEC, "data": {**data, "missing": "impute"}}, out="run")


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_predictions_do_not_depend_on_the_type_of_the_cells(model, source):
    expected = model.predict({name: list(cells) for name, cells in CELLS.items()})
    np.testing.assert_array_equal(model.predict(source()), expected)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_truth_values_and_missing_texts_are_the_same_categories(source):
    table = table_of(source())
    assert not is_numeric(table, "truth")
    assert categorical(table, "truth").text().tolist() == CELLS["truth"]
    assert categorical(table, "word").text().tolist() == ["a", "b", None, "b"]
    np.testing.assert_array_equal(numbers(table, "number"), [1.5, 2, np.nan, 1000])


def test_a_missing_text_that_is_a_known_category_stays_one():
    table = table_of({"country": ["NA", "DE", "null"]})
    assert categorical(table, "country", known=("DE", "NA")).text().tolist() == ["NA", "DE", None]


def test_a_source_with_its_own_missing_texts_decides_about_rows_in_memory(tmp_path):
    (tmp_path / "t.csv").write_text("c,t\nNA,x\n?,x\nDE,y\nFR,y\n")
    source = {"type": "csv", "missing": ["?"]}
    data = {"source": source, "path": str(tmp_path / "t.csv"), "target": "t", "missing": "impute"}
    model = nnreg.run({**SPEC, "data": data}, out=tmp_path / "run")
    rows = model.predict({"c": ["?", "NA", "DE"]})
    np.testing.assert_array_equal(rows[0], rows[2])  # imputed with the most frequent, the first
    assert not np.array_equal(rows[1], rows[2])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("01", "1"),
        ("True", "true"),
        ("1e3", "1000"),
        (" a ", "a"),
        ("2024-01-05", "2024-01-05 00:00:00"),
        ("0.1", "0.10000000000000001"),
    ],
)
def test_texts_of_one_value(one, other):
    assert value_of(one) == value_of(other)
    assert positions((one,), (other, "z")) == (0,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2024-01-05T08:30+01:75", "2024-01-05T08:30+02:15"),  # Python's parser reads both
        ("2024-01-05T08:30:15TZ", "2024-01-05T08:30:15Z"),
        ("2024-01-32", "2024-02-01"),
    ],
)
def test_texts_that_are_no_dates_mean_themselves(one, other):
    assert value_of(one) == one
    assert positions((one,), (other, "z")) == (-1,)


def test_the_value_decides_only_where_the_text_does_not():
    assert positions(("01", "1", "1.0", "001"), ("1", "01")) == (1, 0, 0, -1)
    assert positions(("9007199254740993",), ("9007199254740992",)) == (-1,)


def test_truth_values_are_numbers_for_a_numeric_column():
    table = table_of({"flag": [True, None, False]})
    np.testing.assert_array_equal(numbers(table, "flag"), [1, np.nan, 0])


BIG = 2**53 + 1


@pytest.mark.parametrize(
    "values",
    [
        pandas.Series([BIG, None], dtype="Int64"),
        pandas.Series([BIG, None], dtype=object),
        [BIG, None],
        [BIG, float("nan")],
        np.ma.masked_array([BIG, 5], mask=[False, True]),
    ],
)
def test_a_large_integer_beside_a_missing_value_is_not_rounded(values):
    found = categorical(table_of({"id": values}), "id").text().tolist()
    assert found == ["9007199254740993", None]


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32, np.float64, bool])
def test_what_is_behind_a_mask_is_missing(kind):
    values = np.ma.masked_array(np.array([1, 0, 1], kind), mask=[False, False, True])
    for given in (values, list(values), values[:, None]):
        found = numbers(table_of({"a": given}), "a").reshape(-1)
        np.testing.assert_array_equal(found, [1, 0, np.nan])


def test_masked_text_is_missing():
    values = np.ma.masked_array(["a", "b"], mask=[False, True])
    assert categorical(table_of({"a": values}), "a").text().tolist() == ["a", None]


def test_a_masked_target_is_refused_by_evaluate_and_fit():
    x, y = np.ones((4, 2)), np.ma.masked_array(np.ones(4), mask=[0, 0, 1, 0])
    spec = {
        "model": {"layers": [{"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
    }
    model = nnreg.build(spec, data=(x, np.ones(4)))
    for call in (model.fit, model.evaluate):
        with pytest.raises(nnreg.DataError, match=r"row 2.*: the target is missing"):
            call(x, y)


def test_two_names_that_are_not_utf8_are_refused_and_not_merged():
    for values in ([b"caf\xe9", b"caf\xe8"], np.array([b"caf\xe9", b"caf\xe8"])):
        with pytest.raises(nnreg.DataError, match=r"name: found b'caf\\xe9', which is not UTF-8"):
            table_of({"name": values})
    assert categorical(table_of({"name": ["café".encode()]}), "name").categories == ("café",)


def test_a_mapping_without_a_key_that_others_have_is_refused_if_the_column_is_used(model):
    full = dict(zip(CELLS, next(zip(*CELLS.values(), strict=True)), strict=True))
    rows = [full, {name: cell for name, cell in full.items() if name != "word"}]
    with pytest.raises(nnreg.DataError, match="the data, row 1: no 'word', which other rows have"):
        model.predict(rows)
    assert len(model.predict([{**full, "note": "new"}, full])) == 2
