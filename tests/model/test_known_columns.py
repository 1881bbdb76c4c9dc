"""Columns of a series that are known in advance: an input has their values of the target rows."""

from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.model.test_windows import DATES, HORIZON, LENGTH, RAIN, ROWS, SALES, csv, spec

ROWS_OF_ONE = {"sales": SALES, "rain": RAIN, "day": DATES}
LAYERS = [
    {"type": "flatten", "name": "before", "inputs": ["past"]},
    {"type": "flatten", "name": "after", "inputs": ["coming"]},
    {"type": "concat", "inputs": ["before", "after"]},
    {"type": "dense", "units": HORIZON},
]


def known(window=None, data=None, **changes):
    inputs = {"inputs": {"past": ["sales", "rain"], "coming": ["rain"]}, "exclude": []}
    window = {"known": ["coming"], **(window or {})}
    return spec(LAYERS, window, data={**inputs, **(data or {})}, **changes)


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(csv())


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("gap", [0, 2])
def test_an_example_has_the_values_of_the_target_rows(gap):
    prepared = prepare_from_spec(read_spec(known({"gap": gap}, data={"split": {"test": 0.3}})))
    first = prepared.tables["test"].first_targets
    expected = [RAIN[start : start + HORIZON] for start in first]
    np.testing.assert_array_equal(prepared.test.x["coming"][:][:, :, 0], expected)
    before = [SALES[start - gap - LENGTH : start - gap] for start in first]
    np.testing.assert_array_equal(prepared.test.x["past"][:][:, :, 0], before)
    assert prepared.model.preprocessing.input_shape == {
        "past": (LENGTH, 2), "coming": (HORIZON, 1),
    }  # fmt: skip


@pytest.mark.usefixtures("written")
def test_a_forecast_reads_the_rows_to_predict_without_their_target():
    model = nnreg.run(known({"relative_to": "last"}))
    sales = np.where(np.arange(ROWS) < ROWS - HORIZON, SALES, np.nan)
    rows = ROWS_OF_ONE | {"sales": sales}
    found = model.forecast(rows)
    assert found["day"].tolist() == DATES[-HORIZON:].tolist()
    assert len(model.predict(rows)) == ROWS - LENGTH - HORIZON + 1
    np.testing.assert_allclose(found["prediction"], model.predict(rows)[-1])
    other = model.forecast(rows | {"rain": np.where(np.isnan(sales), 1 - RAIN, RAIN)})
    assert not np.allclose(found["prediction"], other["prediction"])
    short = {name: values[: LENGTH + HORIZON - 1] for name, values in rows.items()}
    with pytest.raises(DataError, match="fewer than the 9 of a window"):
        model.forecast(short)


@pytest.mark.usefixtures("written")
def test_they_are_scaled_by_the_rows_to_predict():
    data = {"inputs": {"past": ["sales"], "coming": ["plan"]}, "scaling": "standard"}
    text = csv().splitlines()
    plan = [f"{line},{number}" for number, line in enumerate(text)]
    Path("sales.csv").write_text("\n".join([f"{text[0]},plan", *plan[1:]]) + "\n")
    model = nnreg.run(known(data=data))
    numbers = np.arange(LENGTH + 1, ROWS + 1)
    assert model.preprocessing.inputs[1].encoder.mean == pytest.approx(numbers.mean())


@pytest.mark.usefixtures("written")
def test_a_saved_model_knows_which_they_are():
    model = nnreg.run(known(), out="run")
    loaded = nnreg.load("run")
    np.testing.assert_array_equal(loaded.predict(ROWS_OF_ONE), model.predict(ROWS_OF_ONE))
    assert loaded.preprocessing.window.known == ("coming",)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": {"known": ["later"]}}, "'later' is not one of several inputs"),
        ({"window": {"known": ["past", "coming"]}}, "beside one of the past"),
        ({"data": {"inputs": "rain"}}, "'coming' is not one of several inputs"),
        ({"data": {"inputs": {"past": "rain", "coming": "sales"}}}, "'sales' is to be predicted"),
    ],
)
def test_what_is_not_known_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        nnreg.run(known(**change))
