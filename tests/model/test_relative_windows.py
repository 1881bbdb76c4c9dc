"""Windows whose targets are relative to earlier values: they continue a series at any level."""

import pickle

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.reports.predictions import predict_held_out
from nnreg.runs.run import prepare_run
from tests.model.test_windows import DATES, HORIZON, LENGTH, RAIN, ROWS, SALES, csv, spec

FLAT = [{"type": "flatten"}, {"type": "dense", "units": HORIZON}]
ROWS_OF_ONE = {"sales": SALES, "rain": RAIN, "day": DATES}
COUNT = ROWS - LENGTH - HORIZON + 1


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(csv())
    return nnreg.run


def relative(to="last", layers=FLAT, window=None, data=None, **changes):
    scaled = {"target_scaling": "standard", "scaling": "standard", **(data or {})}
    return spec(layers, {"relative_to": to, **(window or {})}, data=scaled, **changes)


def at_level(level):
    return ROWS_OF_ONE | {"sales": SALES + level}


LAST, SEASON = {"relative_to": "last"}, {"relative_to": "season", "season": 4}


@pytest.mark.parametrize("window", [LAST, SEASON])
def test_a_series_at_another_level_is_continued_in_the_same_way(trained, window):
    model = trained(relative(window=window))
    before = model.predict(ROWS_OF_ONE)
    with pytest.warns(nnreg.DataDriftWarning):
        after = model.predict(at_level(1000))
    np.testing.assert_allclose(after, before + 1000)
    with pytest.warns(nnreg.DataDriftWarning):
        found = model.forecast(at_level(1000))
    np.testing.assert_allclose(found["prediction"], before[-1] + 1000)


@pytest.mark.parametrize(
    ("window", "places"),
    [
        ({"relative_to": "last"}, [5, 5, 5]),
        ({"relative_to": "last", "gap": 2}, [5, 5, 5]),
        ({"relative_to": "season", "season": 4}, [2, 3, 4]),
        ({"relative_to": "season", "season": 2}, [4, 5, 4]),
        ({"relative_to": "season", "season": 4, "gap": 2}, [4, 5, 2]),
    ],
)
def test_an_output_of_zero_predicts_the_value_that_targets_are_relative_to(trained, window, places):
    model = trained(relative(window=window, data={"target_scaling": "none"}))
    model.network.vector[...] = 0
    expected = [SALES[start + np.array(places)] for start in range(ROWS - LENGTH + 1)]
    np.testing.assert_array_equal(model.predict(ROWS_OF_ONE), expected)


def test_training_equals_that_on_arrays_of_differences(trained):
    one = relative(data={"scaling": "none", "target_scaling": "none"})
    model = trained(one)
    windows = np.stack([SALES[start:][:LENGTH] for start in range(COUNT)])
    rain = np.stack([RAIN[start:][:LENGTH] for start in range(COUNT)])
    x = np.stack([windows - windows[:, -1:], rain], axis=2)
    y = np.stack([SALES[start + LENGTH :][:HORIZON] for start in range(COUNT)]) - windows[:, -1:]
    whole = {name: value for name, value in one.items() if name != "data"}
    other = nnreg.run(whole, data=(x, y))
    np.testing.assert_allclose(model.network.vector, other.network.vector, rtol=1e-12)


def test_the_scale_of_the_targets_is_that_of_their_differences(trained):
    target = trained(relative()).preprocessing.target
    differences = [
        SALES[LENGTH + step :][:COUNT] - SALES[LENGTH - 1 :][:COUNT] for step in range(HORIZON)
    ]
    np.testing.assert_allclose(target.mean, np.mean(differences, axis=1))
    np.testing.assert_allclose(target.std, np.std(differences, axis=1))


def test_metrics_are_those_of_the_values(trained):
    one = relative(metrics=["mean_absolute_error", "r2"], data={"split": {"test": 0.3}})
    run = prepare_run(one)
    run.train()
    model, table = run.prepared.model, run.prepared.tables["test"]
    values = run.prepared.test.raw_targets.points
    np.testing.assert_array_equal(values[0], SALES[table.first_targets[0] :][:HORIZON])
    predicted = model.predict(table)
    found = run.summary["test"]
    assert found["mean_absolute_error"] == pytest.approx(np.abs(predicted - values).mean())
    spread = np.square(values - values.mean(axis=0)).sum(axis=0)
    r2 = np.mean(1 - np.square(predicted - values).sum(axis=0) / spread)
    assert found["r2"] == pytest.approx(r2)
    assert run.summary["verdict"]["value"] == pytest.approx(found["mean_absolute_error"])
    again = model.evaluate_chunks([nnreg.Table(dict(ROWS_OF_ONE)), nnreg.Table(dict(ROWS_OF_ONE))])
    assert again["r2"] == pytest.approx(model.evaluate(ROWS_OF_ONE)["r2"])
    shown = predict_held_out(run.prepared)[""]
    np.testing.assert_array_equal(shown.true_values, values)
    np.testing.assert_allclose(shown.predictions, predicted)


def test_quantiles_and_means_move_with_the_level_but_variances_do_not(trained):
    double = [{"type": "flatten"}, {"type": "dense", "units": 2 * HORIZON}]
    losses = {"quantile": {"type": "quantile", "quantiles": [0.1, 0.9]}, "normal": "gaussian_nll"}
    for name, loss in losses.items():
        model = trained(relative(layers=double, loss=loss))
        before = model.predict(ROWS_OF_ONE).reshape(-1, 2, HORIZON)
        with pytest.warns(nnreg.DataDriftWarning):
            after = model.predict(at_level(1000)).reshape(-1, 2, HORIZON)
        np.testing.assert_allclose(after[:, 0], before[:, 0] + 1000)
        moved = 1000 if name == "quantile" else 0
        np.testing.assert_allclose(after[:, 1], before[:, 1] + moved, rtol=1e-9)


def test_members_predict_values(trained):
    one = relative()
    one["model"]["members"] = 3
    model = trained(one)
    each = model.predict_members(ROWS_OF_ONE)
    np.testing.assert_allclose(np.mean(each, axis=0), model.predict(ROWS_OF_ONE))
    assert abs(each[0] - SALES.mean()).max() < 5
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(ROWS_OF_ONE), model.predict(ROWS_OF_ONE))


def test_several_targets_are_relative_to_their_own_values(trained):
    layers = [{"type": "flatten"}, {"type": "dense", "units": 2 * HORIZON}]
    model = trained(
        relative(layers=layers, data={"target": ["sales", "rain"], "target_scaling": "none"})
    )
    model.network.vector[...] = 0
    found = model.predict(ROWS_OF_ONE)[0]
    np.testing.assert_array_equal(found, [SALES[LENGTH - 1], RAIN[LENGTH - 1]] * HORIZON)


def test_a_missing_value_is_the_one_before_it(trained, tmp_path):
    lines = csv().splitlines()
    cells = lines[LENGTH].split(",")
    lines[LENGTH] = ",".join([*cells[:2], "", cells[3]])
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    model = trained(
        relative(data={"missing": "impute", "missing_target": "drop", "target_scaling": "none"})
    )
    model.network.vector[...] = 0
    gone = np.where(np.arange(ROWS) == LENGTH - 1, np.nan, SALES)
    found = model.predict(ROWS_OF_ONE | {"sales": gone})
    np.testing.assert_array_equal(found[0], [SALES[LENGTH - 2]] * HORIZON)
    never = np.where(np.arange(ROWS) < LENGTH, np.nan, SALES)
    with pytest.raises(DataError, match=r"row 5, .*none before it which targets could be relative"):
        model.predict(ROWS_OF_ONE | {"sales": never})


@pytest.mark.parametrize(
    ("to", "changes", "message"),
    [
        ("season", {"window": {"season": 9}}, "season of 9 rows is longer than the window"),
        ("season", {}, "the season of 7 rows, .* longer than the window"),
        ("season", {"window": {"order": None}}, "have no usual season"),
        ("last", {"data": {"target_scaling": "log"}}, "'log' scales values, but targets are"),
        ("last", {"data": {"target": "rain", "columns": {"rain": "category"}},
                  "window": {"horizon": 1}, "loss": "cross_entropy",
                  "layers": [FLAT[0], {"type": "dense", "units": "classes",
                                       "activation": "softmax"}]},
         "classes have no difference"),
    ],
)  # fmt: skip
def test_what_cannot_be_relative_is_refused(trained, to, changes, message):
    with pytest.raises(SpecError, match=message):
        trained(relative(to, **changes))
