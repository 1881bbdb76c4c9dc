"""The importance of a column is how much worse a metric is with its raw values shuffled."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import DataError, UsageError
from nnreg.model import importance as module
from nnreg.model.importance import importance_on, permutations
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.padded import Padded
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP
from tests.helpers.specs import blobs, classifier, csv_data

LINEAR = {
    "model": {"layers": [{"type": "dense", "units": 1}], "dtype": "float64"},
    "loss": "mean_squared_error",
    "optimizer": {"type": "adam", "learning_rate": 0.1},
    "metrics": ["r2"],
    "train": {"epochs": 40},
}

DATA = {"source": "csv", "path": "not read.csv", "target": "target"}


@pytest.fixture(scope="module")
def table():
    """Return rows of a table with categories and missing values, and a model trained on them."""
    rng = np.random.default_rng(0)
    place = rng.choice(["north", "south", "west"], 80)
    a, noise = rng.normal(size=(2, 80))
    target = a + 2 * (place == "south") + 0.05 * rng.normal(size=80)
    a[::9] = np.nan
    x = {"place": place, "a": a, "noise": noise}
    spec = {**LINEAR, "seed": 3, "data": {**DATA, "missing": "indicate"}}
    return x, target, nnreg.run(spec, data=(x, target))


def test_the_importance_is_the_difference_with_the_raw_values_of_a_column_shuffled(table):
    x, target, model = table
    found = nnreg.importance(model, x, target, repeats=3)
    assert (found.metric, found.rows, found.repeats, found.left_out) == ("r2", 80, 3, {})
    assert found.value == pytest.approx(model.evaluate(x, target)["r2"])
    for number, name in enumerate(x):
        worse = [
            found.value - model.evaluate({**x, name: x[name][order]}, target)["r2"]
            for order in permutations(3, number, 80, 3)
        ]
        one = next(one for one in found.columns if one.column == name)
        assert one.mean == pytest.approx(np.mean(worse), abs=1e-12)
        assert one.std == pytest.approx(np.std(worse, ddof=1), abs=1e-12)


def test_columns_are_sorted_and_one_that_is_not_used_has_no_importance(table):
    x, target, model = table
    model = nnreg.run(LINEAR | {"data": {**DATA, "missing": "impute"}}, data=(x, target))
    model.parameters["layers/0/weight"][-1] = 0  # that of the noise
    found = nnreg.importance(model, x, target)
    means = [one.mean for one in found.columns]
    assert means == sorted(means, reverse=True)
    assert found.columns[-1] == module.ColumnImportance("noise", 0.0, 0.0)


def test_a_loss_that_gets_larger_gets_worse(table):
    x, target, model = table
    found = nnreg.importance(model, x, target, metric="loss")
    assert found.columns[0].mean > 0.5
    assert found.metric == "loss"


def test_the_same_seed_gives_the_same_numbers_whichever_columns_are_chosen(table):
    x, target, model = table
    every = nnreg.importance(model, x, target)
    assert nnreg.importance(model, x, target) == every
    assert nnreg.importance(model, x, target, seed=3) == every
    assert nnreg.importance(model, x, target, seed=4) != every
    (one,) = nnreg.importance(model, x, target, columns=["noise"]).columns
    assert one in every.columns


def test_a_single_repeat_has_no_deviation(table):
    x, target, model = table
    found = nnreg.importance(model, x, target, repeats=1)
    assert {one.std for one in found.columns} == {None}


def test_the_model_and_the_rows_stay_as_they_are(table):
    x, target, model = table
    before = {name: values.copy() for name, values in x.items()}
    vector = model.network.vector.copy()
    nnreg.importance(model, x, target)
    np.testing.assert_array_equal(model.network.vector, vector)
    for name, values in before.items():
        np.testing.assert_array_equal(x[name], values)


def test_wrong_names_and_numbers_are_errors(table):
    x, target, model = table
    with pytest.raises(UsageError, match="unknown metric 'lost'; did you mean 'loss'"):
        nnreg.importance(model, x, target, metric="lost")
    with pytest.raises(UsageError, match="no input column 'noisy'; did you mean 'noise'"):
        nnreg.importance(model, x, target, columns=["noisy"])
    with pytest.raises(UsageError, match="repeats: found 0, expected an integer >= 1"):
        nnreg.importance(model, x, target, repeats=0)


def test_rows_and_then_columns_are_left_out_if_all_take_too_long(table, monkeypatch):
    x, target, model = table
    examples = model.examples(x, target)
    monkeypatch.setattr(module, "MIN_ROWS", 30)
    monkeypatch.setattr(module, "SECONDS_PER_EVALUATION", 0.01)
    monkeypatch.setattr(module, "seconds_of_pass", lambda network, rows: 0.001 * rows)
    fewer = importance_on(model, examples, seconds=15 * 0.0605)
    assert (fewer.rows, fewer.of_rows, len(fewer.columns)) == (50, 80, 3)
    few = importance_on(model, examples, seconds=10 * 0.041)
    assert (few.rows, len(few.columns)) == (30, 2)
    assert few.left_out == {"noise": module.TOO_LONG}
    assert importance_on(model, examples, seconds=10 * 0.041) == few


def test_a_column_of_several_inputs_is_shuffled_in_all_of_them():
    x, y = blobs()
    rows = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}
    spec = classifier(
        data={**DATA, "inputs": {"left": ["a", "b"], "right": ["b", "c"]}},
        model={"layers": [
            {"type": "concat", "inputs": ["left", "right"]},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]},
    )  # fmt: skip
    model = nnreg.run(spec, data=(rows, y))
    found = nnreg.importance(model, rows, y, metric="loss", repeats=2)
    value = model.evaluate(rows, y)["loss"]
    for number, name in enumerate("abc"):
        worse = [
            model.evaluate({**rows, name: rows[name][order]}, y)["loss"] - value
            for order in permutations(0, number, len(y), 2)
        ]
        one = next(one for one in found.columns if one.column == name)
        assert one.mean == pytest.approx(np.mean(worse), abs=1e-6)


def sequences(base):
    rng = np.random.default_rng(1)
    x = [rng.normal(size=(length, 1)) for length in rng.integers(1, 6, 30)]
    per_step = [["up" if step > 0 else "down" for step in one[:, 0]] for one in x]
    first = [one[0] for one in per_step]
    return nnreg.run(base, data=(Padded.of(x), per_step if base is PER_STEP else first)), x, first


def test_sequences_are_shuffled_as_a_whole():
    model, x, y = sequences(PER_SEQUENCE)
    found = nnreg.importance(model, x, y, metric="loss", repeats=2)
    value = model.evaluate(x, y)["loss"]
    worse = [
        model.evaluate([x[n] for n in order], y)["loss"] - value
        for order in permutations(0, 0, len(x), 2)
    ]
    assert found.columns[0].mean == pytest.approx(np.mean(worse), abs=1e-9)


def test_sequences_with_a_target_per_step_cannot_be_shuffled():
    model, x, _ = sequences(PER_STEP)
    y = [["up" if step > 0 else "down" for step in one[:, 0]] for one in x]
    with pytest.raises(DataError, match=r"no column can be shuffled alone: .* targets in each"):
        nnreg.importance(model, x, y)


def test_a_column_of_windows_is_shuffled_as_whole_windows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    days = np.arange(60)
    rows = [f"{day},{float(np.sin(day))!r},{day % 4}" for day in days.tolist()]
    (tmp_path / "data.csv").write_text("\n".join(["day,sales,rain", *rows]) + "\n")
    spec = {
        **LINEAR, "metrics": [],
        "data": {"source": "csv", "path": "data.csv", "target": "sales",
                 "window": {"length": 4, "order": "day"}},
        "model": {"layers": [{"type": "flatten"}, {"type": "dense", "units": 1}]},
    }  # fmt: skip
    prepared = prepare_from_spec(read_spec(spec))
    found = importance_on(prepared.model, prepared.train, repeats=2)
    assert {one.column for one in found.columns} == {"sales", "rain"}
    windows, network = prepared.train.x[:], prepared.model.network
    evaluate = prepared.model.evaluation.evaluate
    for number, name in enumerate(prepared.model.preprocessing.names):
        worse = []
        for order in permutations(0, number, len(windows), 2):
            changed = windows.copy()
            changed[..., number] = windows[order][..., number]
            shuffled = dataclasses.replace(prepared.train, x=changed)
            worse.append(evaluate(network, shuffled)["loss"] - found.value)
        one = next(one for one in found.columns if one.column == name)
        assert one.mean == pytest.approx(np.mean(worse), rel=1e-5)


def test_inputs_in_their_file_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = blobs()
    with h5py.File("data.h5", "w") as file:
        file["x"], file["y"] = x, np.unique(y, return_inverse=True)[1]
    data = {"source": {"type": "hdf5", "stream": True}, "path": "data.h5", "target": "y"}
    prepared = prepare_from_spec(read_spec(classifier(data=data)))
    found = importance_on(prepared.model, prepared.train)
    assert [one.column for one in found.columns] == ["x"]


def test_the_command_line_prints_it_for_the_test_split_or_for_a_file(tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    x, y = blobs(120)
    rows = [f"{label},{a},{b}" for label, (a, b) in zip(y, x[:, :2].tolist(), strict=True)]
    text = "\n".join(["species,left<b>,right", *rows]) + "\n"
    (tmp_path / "data.csv").write_text(text)
    spec = classifier(data=csv_data(split={"test": 0.3, "stratify": True}))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert nnreg("run", "spec.json", "--out", "out", "--quiet", "--no-report")[0] == 0
    code, out, _ = nnreg("evaluate", "out", "--importance", "--metric", "loss", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["importance"]["split"] == "test"
    assert found["importance"]["value"] == pytest.approx(found["test"]["loss"])
    assert {one["column"] for one in found["importance"]["columns"]} == {"left<b>", "right"}
    code, out, _ = nnreg("evaluate", "out", "--importance", "--repeats", 2, "--column", "right")
    assert "how much worse it is with a column shuffled, 2 times each" in out
    assert "right" in out
    assert "left<b>" not in out
    code, out, _ = nnreg("evaluate", "out", "data.csv", "--importance")
    assert code == 0
    assert "on 120 rows of the data" in out
    code, _, err = nnreg("evaluate", "out", "--metric", "loss")
    assert code == 2
    assert "belong to --importance; add it" in err


@pytest.mark.verify
def test_the_importance_is_that_of_scikit_learn_with_the_same_permutations(peer, monkeypatch):
    peer("sklearn")
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.inspection import permutation_importance
    from sklearn.utils import check_random_state

    x, y = blobs(200)
    model = nnreg.run(classifier(), data=(x, y))

    class Estimator(ClassifierMixin, BaseEstimator):
        def fit(self, *_):
            self.classes_ = np.unique(y)
            return self

        def predict(self, rows):
            return model.classify(rows)

    theirs = permutation_importance(Estimator().fit(), x, y, n_repeats=4, random_state=7)
    seed = check_random_state(7).randint(np.iinfo(np.int32).max + 1)

    def same(_, column, rows, repeats):  # the column stays shuffled in the next repeat
        state, order, total = check_random_state(seed), np.arange(rows), np.arange(rows)
        for _ in range(repeats):
            state.shuffle(order)
            total = total[order]
            yield total

    columns = {f"x{n}": x[:, n] for n in range(4)}
    model = nnreg.run(classifier(), data=(columns, y))
    assert np.array_equal(model.classify(columns), Estimator().predict(x))
    monkeypatch.setattr(module, "permutations", same)
    ours = nnreg.importance(model, columns, y, metric="accuracy", repeats=4)
    for number, name in enumerate(columns):
        one = next(one for one in ours.columns if one.column == name)
        assert one.mean == pytest.approx(theirs.importances[number].mean(), abs=1e-12)
        assert one.std == pytest.approx(theirs.importances[number].std(ddof=1), abs=1e-12)
