"""Missing values as information, and rows without a target."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from tests.helpers.specs import classifier, regressor

ROWS = [
    ("red", 1.0, "yes"),
    (None, 2.0, "no"),
    ("blue", None, "no"),
    ("red", 3.0, "yes"),
    (None, None, "no"),
]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prepare(rows=ROWS, **data):
        text = "".join(
            ",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows
        )
        (tmp_path / "t.csv").write_text("colour,size,bought\n" + text)
        data = {"source": "csv", "path": "t.csv", "target": "bought", "scaling": "none", **data}
        return prepare_from_spec(read_spec(classifier(data=data)))

    return prepare


def test_a_missing_category_is_one_of_its_own_and_a_missing_number_has_an_indicator(prepared):
    found = prepared(missing="indicate")
    np.testing.assert_array_equal(
        found.train.x,
        [[0, 1, 0, 1, 0], [0, 0, 1, 2, 0], [1, 0, 0, 2, 1], [0, 1, 0, 3, 0], [0, 0, 1, 2, 1]],
    )
    assert found.model.preprocessing.input_shape == (5,)


def test_it_is_saved_and_applied_to_new_rows(prepared, tmp_path):
    model = prepared(missing="indicate").model
    nnreg.save(model, tmp_path / "m.nnreg")
    loaded = nnreg.load(tmp_path / "m.nnreg")
    rows = {"colour": ["red", None, "NA"], "size": [1.0, float("nan"), None]}
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    encoded = loaded.preprocessing.encode(loaded.raw_rows.table(rows, ()))
    np.testing.assert_array_equal(encoded[1], [0, 0, 1, 2, 1])
    np.testing.assert_array_equal(encoded[2], encoded[1])


def test_columns_without_a_missing_value_in_training_have_no_indicator(prepared):
    whole = [row for row in ROWS if None not in row] + [("blue", 5.0, "no")]
    model = prepared(whole, missing="indicate").model
    assert model.preprocessing.input_shape == (3,)
    table = model.raw_rows.table({"colour": [None], "size": [None]}, ())
    found = model.preprocessing.encode(table)
    assert found.tolist() == [[0, 1, 3]]  # as with "impute": the most frequent one and the mean


def test_impute_means_what_it_did(prepared):
    found = prepared(missing="impute").train.x
    np.testing.assert_array_equal(found[4], [0, 1, 2])


def test_rows_without_a_target_are_dropped_and_counted(prepared, tmp_path):
    rows = [*ROWS, ("red", 9.0, None), ("red", 9.0, None)]
    with pytest.raises(nnreg.DataError, match=r'line 7.*target is missing.*missing_target to "dr'):
        prepared(rows, missing="impute")
    with pytest.warns(NnregWarning, match=r"t\.csv: dropped 2 of 7 rows, whose target is missing"):
        found = prepared(rows, missing="impute", missing_target="drop")
    assert len(found.train) == 5
    (tmp_path / "held.csv").write_text("colour,size,bought\nred,1,\nred,1,yes\n")
    with pytest.warns(NnregWarning, match=r"held\.csv: dropped 1 of 2 rows"):
        found = prepared(missing="impute", missing_target="drop", split={"test": "held.csv"})
    assert len(found.test) == 1


def test_a_table_without_any_target_is_refused(prepared):
    rows = [(*row[:2], None) for row in ROWS]
    with (
        pytest.warns(NnregWarning, match="dropped 5 of 5 rows"),
        pytest.raises(nnreg.DataError, match="the target is missing in every row"),
    ):
        prepared(rows, missing="impute", missing_target="drop")


def test_rows_without_a_target_are_dropped_from_new_data_too(prepared):
    model = prepared(missing="impute", missing_target="drop").model
    x = {"colour": ["red", "blue", "red"], "size": [1.0, 2.0, 3.0]}
    y, known = ["yes", None, "no"], {name: [column[0], column[2]] for name, column in x.items()}
    expected = model.evaluate(known, ["yes", "no"])
    dropped = r"dropped 1 of 3 rows, whose target is missing"
    with pytest.warns(NnregWarning, match=dropped):
        assert model.evaluate(x, y) == expected
    with pytest.warns(NnregWarning, match=dropped):
        assert model.gradients(x, y)[0] == model.gradients(known, ["yes", "no"])[0]
    other = prepared(missing="impute", missing_target="drop").model
    with pytest.warns(NnregWarning, match=dropped):
        model.fit(x, y, weights=[1, 5, 3], validation=(known, ["yes", "no"]), epochs=2)
    other.fit(known, ["yes", "no"], weights=[1, 3], epochs=2)
    np.testing.assert_array_equal(model.network.vector, other.network.vector)
    with pytest.warns(NnregWarning, match=dropped):
        other.fit(known, ["yes", "no"], validation=(x, y), epochs=1)


def test_numeric_targets_that_are_missing_are_dropped_from_new_arrays(tmp_path):
    x, y = np.arange(8.0).reshape(4, 2), np.array([1.0, np.nan, 3.0, 4.0])
    columns = {"source": "csv", "path": "t.csv", "target": "y", "missing_target": "drop"}
    spec = regressor(data=columns)
    with pytest.warns(NnregWarning, match="dropped 1 of 4 rows"):
        model = nnreg.run(spec, data=(x, y))
    with pytest.warns(NnregWarning, match="dropped 1 of 4 rows"):
        found = model.evaluate(x, y)
    assert found == model.evaluate(x[[0, 2, 3]], y[[0, 2, 3]])


def test_rows_without_a_target_are_counted_over_a_file_in_parts(prepared):
    model = prepared(missing="impute", missing_target="drop").model
    rows = [("red", 1.0, "yes"), ("blue", 2.0, None), ("red", 3.0, None), ("red", 4.0, "no")]
    names = ("colour", "size", "bought")

    def parts(rows):
        return [table_of({name: [row[k]] for k, name in enumerate(names)}, names) for row in rows]

    with pytest.warns(NnregWarning, match="dropped 2 of 4 rows") as caught:
        found = model.evaluate_chunks(parts(rows))
    assert len(caught) == 1
    assert found == model.evaluate_chunks(parts([rows[0], rows[3]]))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([["a", "b"], ["b", " "]]), r"\[1\] of its array, as text of spaces alone is"),
        (np.array([[1.0, 2.0], [1.0, np.nan]]), r"\[1\] of its array;"),
    ],
)
def test_a_missing_value_in_an_array_of_targets_is_located(values, problem):
    units = "classes" if values.dtype.kind == "U" else 1
    activation = "softmax" if values.dtype.kind == "U" else "identity"
    spec = {
        "model": {"layers": [{"type": "dense", "units": units, "activation": activation}]},
        "loss": "cross_entropy" if values.dtype.kind == "U" else "mean_squared_error",
        "optimizer": "sgd",
    }
    with pytest.raises(nnreg.DataError, match=f"row 1, .*: the target is missing at {problem}"):
        nnreg.build(spec, data=(np.ones((2, 2, 3)), values))
