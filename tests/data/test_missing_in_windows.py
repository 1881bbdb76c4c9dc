"""Missing inputs of windows: each is the last value before it in its group."""

import numpy as np
import pytest

import nnreg
from nnreg import NnregWarning
from nnreg.data.settings import Split
from nnreg.data.window_settings import Window
from nnreg.tables.convert import table_of
from tests.data.test_windows import splits

VALUES = [np.nan, 1, 2, np.nan, np.nan, 5, np.nan, 7, 8, np.nan, 10, 11]
GROUPS = [1] * 6 + [2] * 6
SKY = ["rain", "", "sun", "sun", "", "rain", "", "", "rain", "sun", "", "sun"]


def encoded(table, window, **columns):
    preprocessing, found = splits(table, window, Split(), **columns)
    return preprocessing, preprocessing.encode(found["train"])


def rows(**more):
    return table_of({"x": VALUES, "y": np.arange(12.0), "shop": GROUPS, **more})


def test_a_value_is_the_last_before_it_in_its_group_and_the_mean_where_there_is_none():
    window = Window(length=2, group="shop")
    preprocessing, found = encoded(rows(), window, missing="impute", inputs="x", scaling="none")
    (column,) = preprocessing.inputs
    assert np.isfinite(column.fill)
    expected = [column.fill, 1, 2, 2, 2, column.fill, 7, 8, 8, 10]
    np.testing.assert_array_equal(found.values[:, 0], expected)
    np.testing.assert_array_equal(found[:][0, :, 0], [column.fill, 1])


def test_the_indicator_still_says_where_it_was_missing():
    window = Window(length=2, group="shop")
    _, found = encoded(rows(), window, missing="indicate", inputs="x", scaling="none")
    np.testing.assert_array_equal(found.values[:, 1], [1, 0, 0, 1, 1, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(found.values[1:5, 0], [1, 2, 2, 2])


def test_categories_are_carried_forward_too_unless_missing_is_one():
    window = Window(length=2, group="shop")
    table = rows(sky=np.array([one or None for one in SKY], object))
    preprocessing, found = encoded(table, window, missing="impute", inputs=("sky", "y"))
    names = np.array(preprocessing.inputs[0].encoder.categories)
    shown = names[found.values[:, : len(names)].argmax(axis=1)].tolist()
    fill = preprocessing.inputs[0].fill
    expected = ["rain", "rain", "sun", "sun", "sun", fill, fill, "rain", "sun", "sun"]
    assert shown == expected
    _, found = encoded(table, window, missing="indicate", inputs=("sky", "y"))
    assert found.values[:, 2].tolist() == [0, 1, 0, 0, 1, 1, 1, 0, 0, 1]


def test_a_value_is_that_of_a_row_before_all_windows_of_its_split():
    x = [1, 2, 3, 4, 5, 6, np.nan, np.nan, 9, 10, 11, 12]
    table = table_of({"x": x, "y": np.arange(12.0)})
    preprocessing, found = splits(
        table, Window(length=2), Split(validation=0.35), missing="impute", inputs="x"
    )
    (first,) = found["validation"].starts[:1]
    assert first == 6, "else the gap is not at the beginning"
    shown = preprocessing.encode(found["validation"])[:]
    column = preprocessing.inputs[0].encoder
    np.testing.assert_allclose(shown[0, :, 0] * column.std + column.mean, [6, 6])


def test_a_value_is_that_of_a_row_between_the_windows():
    table = table_of({"x": [1, 2, 3, 4, np.nan, 6, 7.0, 8], "y": np.arange(8.0)})
    window = Window(length=2, stride=4)
    _, found = encoded(table, window, missing="impute", inputs="x", scaling="none")
    np.testing.assert_array_equal(found[:][:, :, 0], [[1, 2], [4, 6]])


def trained(x, y):
    spec = {
        "data": {"source": "csv", "path": "-", "target": "y", "window": {"length": 3}},
        "model": {"layers": [{"type": "flatten"}, {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 1},
    }
    return nnreg.run(spec, data=({"x": x}, {"y": y}))


@pytest.mark.parametrize("gap", [[17], [17, 18], [15, 16, 17], [18]])
@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
def test_a_forecast_fills_a_gap_as_a_prediction_of_the_whole_series_does(gap):
    x, y = np.sin(np.arange(20.0)), np.arange(20.0)
    model = trained(x, y)
    x[gap] = np.nan
    last = model.predict({"x": x, "y": y})[-1]
    assert model.forecast({"x": x, "y": y})["prediction"] == pytest.approx([last], rel=1e-6)
    x[gap] = x[gap[0] - 1]
    assert model.predict({"x": x, "y": y})[-1] == pytest.approx(last, rel=1e-6)


def test_the_note_of_a_model_says_so():
    x, y = np.arange(20.0), np.arange(20.0)
    model = trained(x, y)
    gone = np.where(x == 4, np.nan, x)
    with pytest.warns(NnregWarning, match=r"replaced by the value before it, or by the mean 9"):
        found = model.predict({"x": gone, "y": y})
    expected = model.predict({"x": np.where(x == 4, 3, x), "y": y})
    np.testing.assert_array_equal(found, expected)
