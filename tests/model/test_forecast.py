"""Forecasts of what comes after the last rows of each group."""

import numpy as np
import pytest

import nnreg
from nnreg import DataError
from nnreg.errors import UsageError
from tests.model.test_windows import DATES, HORIZON, RAIN, ROWS, SALES, csv, spec

ROWS_OF_ONE = {"sales": SALES, "rain": RAIN, "day": DATES}
NEXT = [str(day) for day in np.datetime64("2024-01-01") + np.arange(ROWS, ROWS + HORIZON)]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Train a spec on the table of the shops north and south."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(csv(shops=("north", "south")))

    def train(one, **options):
        return nnreg.run(one, **options)

    return train


def grouped(**changes):
    return spec(window={"group": "shop"}, data={"exclude": []}, **changes)


def shops(*names):
    each = {name: np.tile(values, len(names)) for name, values in ROWS_OF_ONE.items()}
    return {**each, "shop": np.repeat(np.array(names, object), ROWS)}


def test_each_group_is_continued_from_its_last_rows(trained):
    model = trained(grouped())
    found = model.forecast(shops("south", "east"))
    assert list(found) == ["shop", "day", "step", "prediction"]
    assert found["shop"].tolist() == ["south"] * HORIZON + ["east"] * HORIZON
    assert found["day"].tolist() == NEXT * 2
    assert found["step"].tolist() == [1, 2, 3] * 2
    last = model.predict(ROWS_OF_ONE | {"shop": ["east"] * ROWS})[-1]
    np.testing.assert_allclose(found["prediction"], np.tile(last, 2))


def test_the_gap_is_before_the_first_step(trained):
    model = trained(spec(window={"gap": 2, "group": "shop"}, data={"exclude": []}))
    found = model.forecast(shops("south"))
    assert found["day"][0] == str(np.datetime64(NEXT[0]) + np.timedelta64(2, "D"))


def test_only_the_last_rows_are_needed(trained):
    model = trained(grouped())
    last = {name: values[-6:] for name, values in shops("south").items()}
    assert model.forecast(last)["day"].tolist() == NEXT
    short = {name: values[-5:] for name, values in shops("south").items()}
    with pytest.raises(DataError, match="of 'shop' 'south' are fewer than the 6 of a window"):
        model.forecast(short)


def test_a_group_with_a_gap_in_its_last_rows_is_left_out(trained):
    model = trained(grouped())
    rows = {name: np.delete(values, ROWS - 3) for name, values in shops("north", "south").items()}
    with pytest.warns(match="of 'shop' 'north' .* or have a gap; 1 of 2 groups have no forecast"):
        found = model.forecast(rows)
    assert set(found["shop"]) == {"south"}
    rows = {name: np.delete(values, 10) for name, values in shops("north").items()}
    assert len(model.forecast(rows)["step"]) == HORIZON


def test_quantiles_are_columns(trained):
    layers = [{"type": "flatten"}, {"type": "dense", "units": 3 * HORIZON}]
    loss = {"type": "quantile", "quantiles": [0.1, 0.5, 0.9]}
    model = trained(spec(layers, {"group": "shop"}, data={"exclude": []}, loss=loss))
    found = model.forecast(shops("north"))
    assert list(found)[3:] == ["prediction_0.1", "prediction_0.5", "prediction_0.9"]
    last = model.predict(shops("north"))[-1].reshape(3, HORIZON)
    np.testing.assert_allclose(found["prediction_0.5"], last[1])


def test_several_targets_are_columns(trained):
    layers = [{"type": "lstm", "units": 3}, {"type": "dense", "units": 2 * HORIZON}]
    one = spec(layers, {"group": "shop"}, data={"exclude": [], "target": ["sales", "rain"]})
    model = trained(one)
    found = model.forecast(shops("north"))
    last = model.predict(shops("north"))[-1].reshape(HORIZON, 2)
    assert list(found)[3:] == ["prediction_sales", "prediction_rain"]
    np.testing.assert_allclose(found["prediction_rain"], last[:, 1])


def test_the_next_class_has_probabilities(trained):
    layers = [{"type": "lstm", "units": 3}, {"type": "dense", "units": "classes",
               "activation": "softmax"}]  # fmt: skip
    data = {"exclude": [], "target": "rain"}
    one = spec(layers, {"group": "shop", "horizon": 1}, data=data, loss="cross_entropy")
    found = trained(one).forecast(shops("north"))
    assert list(found)[3:] == ["prediction", "probability_0.0", "probability_1.0"]
    assert found["prediction"].dtype.kind in "if"


def test_without_times_there_are_steps_alone(trained):
    one = spec(window={"order": None}, data={"exclude": ["shop", "day"]})
    found = trained(one).forecast(ROWS_OF_ONE)
    assert list(found) == ["step", "prediction"]


@pytest.mark.parametrize(
    ("first", "step", "form", "following"),
    [
        ("2024-01", "M", str, "2029-01"),
        ("2024-01-01T22", "h", lambda one: f"{one}:00+01:00", "2024-01-04T09:00:00Z"),
        ("2024-01-01T22:30", "m", lambda one: f"{one}".replace("T", " "), "2024-01-01 23:30:00"),
    ],
)
def test_times_are_written_as_those_of_the_data(trained, tmp_path, first, step, form, following):
    times = [form(one) for one in np.datetime64(first, step) + np.arange(ROWS)]
    lines = [f"{time},{value}" for time, value in zip(times, SALES, strict=True)]
    (tmp_path / "sales.csv").write_text("\n".join(["day,sales", *lines]) + "\n")
    model = trained(spec(data={"exclude": []}))
    found = model.forecast({"day": np.array(times, object), "sales": SALES})
    assert found["day"][0] == following


def unix(time):
    return str(int(time.astype("datetime64[s]").astype(np.int64)))


@pytest.mark.parametrize(
    ("entry", "form"),
    [({"format": "%d/%m/%Y"}, lambda day: day.item().strftime("%d/%m/%Y")), ({"unit": "s"}, unix)],
)
def test_dates_are_ordered_and_written_by_their_encoder(trained, tmp_path, entry, form):
    days = np.datetime64("2024-01-20") + np.arange(ROWS + 1)  # their texts are in another order
    times = np.array([form(day) for day in days], object)
    lines = [f"{time},{value}" for time, value in zip(times[:-1], SALES, strict=True)]
    (tmp_path / "sales.csv").write_text("\n".join(["day,sales", *lines]) + "\n")
    columns = {"day": {"type": "date", **entry}}
    model = trained(spec(data={"exclude": [], "columns": columns}))
    assert model.preprocessing.window.spacing.name == "daily"
    assert model.forecast({"day": times[:-1], "sales": SALES})["day"][0] == times[-1]


def test_a_model_without_windows_has_no_forecast():
    one = {name: value for name, value in spec().items() if name != "data"}
    model = nnreg.run(
        one | {"model": {"layers": [{"type": "dense", "units": 1}]}}, data=(SALES[:, None], SALES)
    )
    with pytest.raises(UsageError, match="not trained on windows of a series; use predict"):
        model.forecast(SALES[:, None])
