"""Models of windows of time series: trained as on arrays of all windows, which are never made."""

import json
import pickle

import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.windows import Windows

ROWS, LENGTH, HORIZON = 60, 6, 3
LSTM = [{"type": "lstm", "units": 4}, {"type": "dense", "units": HORIZON}]
DAYS = np.arange(ROWS)
DATES = np.datetime_as_string(np.datetime64("2024-01-01") + DAYS).astype(object)
SALES = np.sin(DAYS / 3) + 0.01 * DAYS
RAIN = (DAYS % 4 == 0).astype(float)


def csv(count=ROWS, shops=("north",)):
    lines = [
        f"{DATES[day]},{shop},{float(SALES[day] + n)!r},{RAIN[day]}"
        for n, shop in enumerate(shops)
        for day in range(count)
    ]
    return "\n".join(["day,shop,sales,rain", *lines]) + "\n"


def spec(layers=LSTM, window=None, train=None, data=None, **changes):
    window = {"length": LENGTH, "horizon": HORIZON, "order": "day", **(window or {})}
    return {
        "data": {
            "source": "csv", "path": "sales.csv", "target": "sales", "exclude": ["shop"],
            "scaling": "none", "window": window, **(data or {}),
        },
        "model": {"layers": layers, "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 2, "batch_size": 8, **(train or {})},
        **changes,
    }  # fmt: skip


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Train a spec on the table of one shop, or on another text."""
    monkeypatch.chdir(tmp_path)

    def train(one, text=None):
        (tmp_path / "sales.csv").write_text(text or csv())
        return nnreg.run(one)

    return train


def windows_of(values, first=0):
    count = ROWS - LENGTH - HORIZON + 1
    return np.stack([values[start + first :][:LENGTH] for start in range(count)])


def targets_of(values):
    count = ROWS - LENGTH - HORIZON + 1
    return np.stack([values[start + LENGTH :][:HORIZON] for start in range(count)])


@pytest.mark.parametrize("batch_size", [8, 64])
def test_training_equals_that_on_an_array_of_all_windows(trained, batch_size):
    one = spec(train={"batch_size": batch_size})
    model = trained(one)
    whole = {name: value for name, value in one.items() if name != "data"}
    x = np.stack([windows_of(SALES), windows_of(RAIN)], axis=2)
    other = nnreg.run(whole, data=(x, targets_of(SALES)))
    np.testing.assert_array_equal(model.network.vector, other.network.vector)
    assert model.history[-1] == other.history[-1]


def test_the_rows_are_stored_once(trained, tmp_path):
    (tmp_path / "sales.csv").write_text(csv())
    prepared = prepare_from_spec(read_spec(spec(data={"split": {"test": 0.3}})))
    assert isinstance(prepared.train.x, Windows)
    assert prepared.train.x.values.shape == (42 - HORIZON, 2)
    assert prepared.test.x.values.shape == (18 + LENGTH - HORIZON, 2)


def test_predictions_are_those_of_each_window_in_the_units_of_the_target(trained):
    model = trained(spec(data={"target_scaling": "standard", "scaling": "standard"}))
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    found = model.predict(rows)
    assert found.shape == (ROWS - LENGTH + 1, HORIZON)
    last = {name: values[-LENGTH:] for name, values in rows.items()}
    np.testing.assert_allclose(model.predict(last), found[-1:])
    assert abs(found.mean() - SALES.mean()) < 1


def test_evaluation_needs_the_rows_after_a_window(trained):
    model = trained(spec(metrics=["mean_absolute_error"]))
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    found = model.evaluate(rows)
    error = model.predict(rows)[:-HORIZON] - targets_of(SALES)
    np.testing.assert_allclose(found["mean_absolute_error"], np.abs(error).mean())
    with pytest.raises(DataError, match="needs 9 consecutive rows"):
        model.evaluate({name: values[:8] for name, values in rows.items()})
    loss, gradients = model.gradients(rows)
    np.testing.assert_allclose(loss, found["loss"])
    assert all(np.any(one) for one in gradients.values())


def test_a_model_is_saved_loaded_resumed_and_pickled_with_the_same_bits(trained, tmp_path):
    (tmp_path / "sales.csv").write_text(csv())
    (tmp_path / "s.json").write_text(json.dumps(spec(data={"split": {"validation": 0.2}})))
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    model = nnreg.run("s.json", out="whole", overrides=["train.epochs=4"])
    nnreg.run("s.json", out="part")
    other = nnreg.resume("part", overrides=["train.epochs=4"])
    np.testing.assert_array_equal(model.predict(rows), other.predict(rows))
    for again in (nnreg.load("whole"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(model.predict(rows), again.predict(rows))


def test_threads_do_not_change_the_results(trained):
    layers = [{"type": "flatten"}, {"type": "dense", "units": HORIZON}]
    shards = {"shards": 2, "batch_size": 16, "threads": 1}
    one = trained(spec(layers, train=shards))
    two = trained(spec(layers, train={**shards, "threads": 2}))
    np.testing.assert_array_equal(one.network.vector, two.network.vector)


def test_rows_may_be_in_any_order(trained):
    head, *rows = csv(shops=("north", "south")).splitlines()
    one = spec(window={"group": "shop"}, data={"exclude": []})
    model = trained(one, "\n".join([head, *rows]) + "\n")
    mixed = [rows[i] for n in range(ROWS) for i in (n, ROWS + n)]
    other = trained(one, "\n".join([head, *mixed]) + "\n")
    np.testing.assert_array_equal(model.network.vector, other.network.vector)


def test_new_rows_have_times_as_the_training_rows(trained):
    model = trained(spec())
    with pytest.raises(DataError, match="column 'day' has numbers, but dates in training"):
        model.predict({"sales": SALES, "rain": RAIN, "day": DAYS})


def test_fit_takes_rows_and_targets(trained):
    model = trained(spec())
    before = model.network.vector.copy()
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    model.fit(rows, epochs=1, validation=(rows, None))
    assert np.any(model.network.vector != before)
    with pytest.raises(DataError, match="60 rows of inputs, but 10 of targets"):
        model.fit(rows, {"sales": SALES[:10]}, epochs=1)


def test_several_inputs_are_windows_of_the_same_rows(trained):
    layers = [
        {"type": "lstm", "units": 3, "inputs": "past", "name": "a"},
        {"type": "flatten", "inputs": "weather", "name": "b"},
        {"type": "concat", "inputs": ["a", "b"]},
        {"type": "dense", "units": HORIZON},
    ]
    model = trained(spec(layers, data={"inputs": {"past": "sales", "weather": ["rain", "sales"]}}))
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    assert model.predict(rows).shape == (ROWS - LENGTH + 1, HORIZON)


def test_several_outputs_have_targets_of_their_own(trained):
    layers = [
        {"type": "lstm", "units": 3, "name": "trunk"},
        {"type": "dense", "units": HORIZON, "name": "a"},
        {"type": "dense", "units": HORIZON, "name": "b", "inputs": "trunk"},
    ]
    one = spec(layers, data={"target": {"a": "sales", "b": "rain"}})
    model = trained({**one, "loss": {"a": "mean_squared_error", "b": "mean_squared_error"}})
    found = model.predict({"sales": SALES, "rain": RAIN, "day": DATES})
    assert found["b"].shape == (ROWS - LENGTH + 1, HORIZON)


def test_the_next_class_is_predicted(trained):
    layers = [{"type": "lstm", "units": 4}, {"type": "dense", "units": "classes",
               "activation": "softmax"}]  # fmt: skip
    text = csv().replace(",0.0\n", ",dry\n").replace(",1.0\n", ",wet\n")
    window, data = {"horizon": 1}, {"target": "rain", "split": {"test": 0.3}}
    one = spec(layers, window, data=data, loss="cross_entropy", metrics=["accuracy"])
    model = trained(one, text)
    words = np.where(RAIN, "wet", "dry")
    found = model.classify({"sales": SALES, "rain": words, "day": DATES})
    assert set(found) <= {"wet", "dry"}
    with pytest.raises(SpecError, match="'rain' is classes, of which a window"):
        trained(spec(layers, {"horizon": 3}, data=data, loss="cross_entropy"), text)


def test_indices_of_tokens_can_be_embedded(trained):
    layers = [
        {"type": "embedding", "vocabulary": 3, "units": 4},
        {"type": "lstm", "units": 3},
        {"type": "dense", "units": HORIZON},
    ]
    model = trained(spec(layers, data={"inputs": "rain"}))
    rows = {"rain": RAIN, "sales": SALES, "day": DATES}
    assert model.predict(rows).shape == (ROWS - LENGTH + 1, HORIZON)
    with pytest.raises(DataError, match="column 'rain'"):
        model.predict({**rows, "rain": RAIN + 7})


def test_quantiles_of_each_step_are_predicted(trained):
    layers = [{"type": "flatten"}, {"type": "dense", "units": 3 * HORIZON}]
    model = trained(spec(layers, loss={"type": "quantile", "quantiles": [0.1, 0.5, 0.9]}))
    rows = {"sales": SALES, "rain": RAIN, "day": DATES}
    assert model.predict(rows).shape == (ROWS - LENGTH + 1, 3 * HORIZON)


def test_held_out_files_have_windows_of_their_own(trained, tmp_path):
    (tmp_path / "later.csv").write_text(csv(20))
    (tmp_path / "sales.csv").write_text(csv())
    prepared = prepare_from_spec(read_spec(spec(data={"split": {"test": "later.csv"}})))
    assert len(prepared.train) == ROWS - LENGTH - HORIZON + 1
    assert len(prepared.test) == 20 - LENGTH - HORIZON + 1


def test_cross_validation_is_by_time(trained):
    found = trained(spec(train={"folds": 2, "epochs": 1}))
    assert len(found.models) == 2
