"""Models of sequences, and of windows of rows, are exported."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.exporters.record import program_of
from nnreg.operations.run import run
from tests.exporters.formats import export_in_all_formats

DENSE = {"type": "dense", "units": "classes", "activation": "softmax"}
LAYERS = {
    "gru": [{"type": "bidirectional", "layer": {"type": "gru", "units": 3}}, DENSE],
    "attention": [
        {"type": "dense", "units": 4},
        {"type": "transformer_encoder", "heads": 2},
        {"type": "global_average_pool"},
        DENSE,
    ],
    "maximum": [{"type": "group_norm", "groups": 1}, {"type": "global_max_pool"}, DENSE],
}
WINDOW = {"length": 5, "horizon": 2, "order": "day"}
STANDARD = {"scaling": "standard", "target_scaling": "standard"}
SERIES = [{"type": "flatten"}, {"type": "dense", "units": 2}]
TWO_INPUTS = [
    {"type": "flatten", "name": "before", "inputs": ["past"]},
    {"type": "flatten", "name": "after", "inputs": ["coming"]},
    {"type": "concat", "inputs": ["before", "after"]},
    {"type": "dense", "units": 2},
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return a directory with a table of sequences and one of a series, with missing values."""
    path = tmp_path_factory.mktemp("sequences")
    rng = np.random.default_rng(0)
    with (path / "sequences.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["size", "kind", "group", "level"])
        for row in range(30):
            steps = 1 + row % 6
            sizes = [
                None if k == row % 7 else round(v, 3) for k, v in enumerate(rng.normal(size=steps))
            ]
            kinds = [None if k == row % 5 else "abc"[(k + row) % 3] for k in range(steps)]
            levels = rng.normal(size=steps).round(3).tolist()
            rows.writerow(
                [
                    json.dumps(sizes),
                    json.dumps(kinds),
                    "yes" if row % 2 else "no",
                    json.dumps(levels),
                ]
            )
    with (path / "series.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["day", "sales", "rain", "kind"])
        for row in range(60):
            day = str(np.datetime64("2024-01-01") + row)
            sales = round(np.sin(row) + row / 9, 3)
            rows.writerow([day, sales, "" if row % 7 == 6 else row % 4, ["a", "b", ""][row % 3]])
    return path


def trained(path, layers, target="group", loss="cross_entropy", **data):
    data = {"source": "csv", "path": str(path), "target": target, **data}
    return nnreg.run({
        "data": data, "model": {"layers": layers}, "loss": loss, "optimizer": "adam",
        "train": {"epochs": 1},
    })  # fmt: skip


@pytest.fixture(scope="module")
def of_sequences(directory):
    return trained(
        directory / "sequences.csv", LAYERS["gru"], missing="indicate", exclude=["level"]
    )


@pytest.fixture(scope="module")
def per_step(directory):
    layers = [{"type": "gru", "units": 3, "sequences": True}, {"type": "dense", "units": 1}]
    path = directory / "sequences.csv"
    return trained(path, layers, "level", "mean_squared_error", missing="impute", exclude=["group"])


def series(directory, layers=SERIES, window=None, **data):
    settings = {"missing": "impute", **STANDARD, **data}
    own = {**WINDOW, **(window or {})}
    path = directory / "series.csv"
    return trained(path, layers, "sales", "mean_squared_error", window=own, **settings)


def test_sequences_are_padded_by_the_exported_file(of_sequences, tmp_path):
    export = nnreg.export(of_sequences, tmp_path / "model.py")
    assert export.difference < 1e-6
    program = program_of(of_sequences)
    names = [one.name for one in program.inputs]
    assert names == ["size_steps", "kind_steps", "size", "kind"]
    assert [one.operation.shape for one in program.inputs] == [(), (), (6,), (6,)]


def test_outputs_per_step_are_not_numbers_after_the_end(per_step, tmp_path):
    assert nnreg.export(per_step, tmp_path / "model.py").difference < 1e-6
    columns = {"size": [[0.5, 1.0], [0.1]], "kind": [["a", "b"], ["c"]]}
    found = program_of(per_step).run(columns)[""][..., 0]
    np.testing.assert_array_equal(np.isnan(found).sum(axis=1), [4, 5])
    np.testing.assert_allclose(found[0, :2], np.ravel(per_step.predict(columns)[0]), rtol=1e-5)


def test_a_sequence_longer_than_in_training_has_no_answer(of_sequences):
    program = program_of(of_sequences)
    columns = {"size": [[0.5] * 7, [0.5], [0.5]], "kind": [["a"] * 7, ["b"], ["a", "a"]]}
    assert np.isnan(program.run(columns)[""]).all(axis=1).tolist() == [True, False, True]
    messages = [one.message for one in program.requirements]
    assert "column 'size': expected at most 6 steps" in messages
    assert "column 'kind': expected as many steps as others" in messages


def test_an_unknown_text_in_a_step_has_no_answer_but_one_after_the_end_has(per_step):
    columns = {"size": [[0.5], [0.5, 0.5]], "kind": [["a"], ["a", "none of these"]]}
    found = program_of(per_step).run(columns)[""]
    assert np.isfinite(found[0, 0]).all()
    assert np.isnan(found[1]).all()


def test_what_is_after_the_end_need_not_be_known(per_step):
    program = program_of(per_step)
    columns = {"size": [[0.5], [0.5, 0.5]], "kind": [["a"], ["a", "b"]]}
    given = {one.operation: one.given(columns) for one in program.inputs}
    (kind,) = (one.operation for one in program.inputs if one.name == "kind")
    given[kind][:, 1] = "none of these"
    met = run([one.operand for one in program.requirements], given)
    assert np.all(met, axis=0).tolist() == [True, False]


def test_an_index_beyond_an_embedding_has_no_answer():
    x = np.arange(12).reshape(4, 3) % 5
    spec = {
        "model": {"layers": [{"type": "embedding", "vocabulary": 5, "units": 2},
                             {"type": "flatten"}, {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error", "optimizer": "adam",
    }  # fmt: skip
    program = program_of(nnreg.build(spec, data=(x, x[:, 0] * 1.0)))
    (name,) = (one.name for one in program.inputs)
    found = program.run({name: [[0, 1, 4], [0, 1, 5], [-1, 2, 3]]})[""]
    assert np.isnan(found).any(axis=1).tolist() == [False, True, True]
    (one,) = program.requirements[-1:]
    assert one.message == "layer 0 (Embedding): expected integers from 0 to 4"


WINDOWS = {
    "values": {},
    "relative": {"window": {"relative_to": "last"}},
    "seasonal": {"window": {"relative_to": "season", "season": 3}, "missing": "indicate"},
    "known": {
        "layers": TWO_INPUTS, "window": {"known": ["coming"], "gap": 1, "relative_to": "last"},
        "inputs": {"past": ["sales", "rain"], "coming": ["rain", "kind"]}, "unseen": "ignore",
    },
}  # fmt: skip


def known_columns(case):
    return {} if case == "known" else {"exclude": ["kind"]}


@pytest.mark.parametrize("case", WINDOWS)
def test_a_row_of_an_export_is_a_window_of_rows(case, directory, tmp_path):
    model = series(directory, **WINDOWS[case], **known_columns(case))
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-6
    shapes = {one.name: one.operation.shape for one in program_of(model).inputs}
    assert shapes["sales"] == shapes["rain"] == (5,)
    if case == "known":
        assert shapes["rain_ahead"] == shapes["kind_ahead"] == (2,)


def test_a_window_gives_the_forecast_of_nnreg(directory):
    model = series(directory, **WINDOWS["relative"], **known_columns("relative"))
    days = [str(np.datetime64("2024-03-01") + n) for n in range(5)]
    rows = {"day": days, "sales": [7.0, 7.5, None, 8.0, 8.5], "rain": [1.0, 0.0, 2.0, None, 1.0]}
    found = program_of(model).run({name: [rows[name]] for name in ("sales", "rain")})[""]
    np.testing.assert_allclose(found[0], model.forecast(rows)["prediction"], rtol=1e-5)


def test_a_value_that_is_missing_first_in_a_window_is_imputed_as_without_rows_before(directory):
    """`predict` and `forecast` take that of the row before, if there is one."""
    model = series(directory, **WINDOWS["values"], **known_columns("values"))
    days = [str(np.datetime64("2024-03-01") + n) for n in range(9)]
    rows = {"day": days, "sales": [7.0, 6.0, 7.0, 7.5, 8.0, 8.0, 8.5, 9.0, 9.5],
            "rain": [0.0, 3.0, None, None, 2.0, None, 1.0, 0.0, 1.0]}  # fmt: skip

    def exported(first):
        rain = [first, *rows["rain"][3:7]]
        return program_of(model).run({"sales": [rows["sales"][2:7]], "rain": [rain]})[""][0]

    def forecast(first):
        given = {name: values[first:7] for name, values in rows.items()}
        return model.forecast(given)["prediction"]

    np.testing.assert_allclose(exported(None), forecast(2), 1e-5)
    np.testing.assert_allclose(exported(3.0), forecast(0), 1e-5)
    np.testing.assert_allclose(exported(3.0), model.predict(rows)[2], 1e-5)
    assert np.abs(exported(3.0) - exported(None)).max() > 1e-4


@pytest.mark.verify
@pytest.mark.parametrize("layers", LAYERS)
def test_all_formats_read_sequences(layers, directory, tmp_path):
    path = directory / "sequences.csv"
    for missing in ("impute", "indicate"):
        model = trained(path, LAYERS[layers], missing=missing, exclude=["level"])
        export_in_all_formats(model, tmp_path)


@pytest.mark.verify
@pytest.mark.parametrize("name", ["reber", "topics"])
def test_all_formats_read_sequences_of_indices(name, tmp_path):
    path = Path(__file__).parents[2] / f"models/{name}.json"
    model = nnreg.run(str(path), out=None, overrides=["train.epochs=1"])
    export_in_all_formats(model, tmp_path)


@pytest.mark.verify
def test_all_formats_give_outputs_per_step(per_step, tmp_path):
    export_in_all_formats(per_step, tmp_path)


@pytest.mark.verify
@pytest.mark.parametrize("case", WINDOWS)
def test_all_formats_read_windows(case, directory, tmp_path):
    model = series(directory, **WINDOWS[case], **known_columns(case))
    export_in_all_formats(model, tmp_path)


def test_the_mean_of_an_ensemble_of_sequences_is_exported(directory, tmp_path):
    data = {"source": "csv", "path": str(directory / "sequences.csv"), "target": "group"}
    model = nnreg.run({
        "data": {**data, "missing": "indicate", "exclude": ["level"]},
        "model": {"members": 2, "layers": LAYERS["maximum"]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 1},
    })  # fmt: skip
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-6
