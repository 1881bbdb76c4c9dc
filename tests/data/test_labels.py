"""Classes and predictions have the type and the shape of the target that was given."""

import numpy as np
import pandas
import pytest

import nnreg
from nnreg.data.targets import ClassTarget
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

DENSE = {"type": "dense", "units": "classes", "activation": "softmax"}
SPEC = {
    "model": {"layers": [DENSE]},
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.3},
    "train": {"epochs": 60},
}
POINT = {
    "model": {"layers": [{"type": "dense", "units": 1}]},
    "loss": "mean_squared_error",
    "optimizer": "sgd",
    "train": {"epochs": 1},
}
SIGMOID = {"type": "dense", "units": 1, "activation": "sigmoid"}
X = np.array([[-3.0], [-2.0], [2.0], [3.0]])
RIGHT = np.array([False, False, True, True])

GIVEN = {
    "integers": RIGHT * 7,
    "objects": (RIGHT * 7).astype(object),
    "truth values": RIGHT,
    "numbers": RIGHT * 1.5,
    "text": np.where(RIGHT, "b", "a"),
    "digits as text": np.where(RIGHT, "10", "9"),
    "a list": [1, 1, 2, 2],
    "a series of integers": pandas.Series([1, 1, 2, 2]),
    "a series of truth values": pandas.Series(RIGHT),
    "a nullable series": pandas.Series([1, 1, 2, 2], dtype="Int64"),
}


@pytest.mark.parametrize("y", GIVEN.values(), ids=GIVEN)
def test_classes_are_predicted_in_the_type_that_they_were_given_in(y, tmp_path):
    model = nnreg.build(SPEC, data=(X, y))
    model.fit(X, y)
    assert np.mean(model.classify(X) == np.asarray(y)) == 1
    nnreg.save(model, tmp_path / "m.nnreg")
    assert nnreg.load(tmp_path / "m.nnreg").classify(X).tolist() == list(y)


@pytest.mark.parametrize("labels", [(0, 1), (True, False), ("cat", "dog"), (0.5, 1.5)])
def test_classes_of_a_csv_file_equal_those_that_pandas_reads_from_it(tmp_path, labels):
    rows = "".join(f"{a},{labels[int(a > 0)]}\n" for a in X[:, 0])
    (tmp_path / "t.csv").write_text("a,t\n" + rows)
    data = {"source": "csv", "path": str(tmp_path / "t.csv"), "target": "t"}
    model = nnreg.run({**SPEC, "data": data}, out=tmp_path / "run")
    frame = pandas.read_csv(tmp_path / "t.csv")
    assert np.mean(model.classify(frame) == frame.t) == 1


def test_codes_with_leading_zeros_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("a,t\n-3,007\n-2,007\n2,7\n3,7\n")
    data = {"source": "csv", "path": str(tmp_path / "t.csv"), "target": "t"}
    model = nnreg.run({**SPEC, "data": data}, out=tmp_path / "run")
    assert set(model.classes) == {"007", "7"}
    assert model.classify({"a": [-3.0, 3.0]}).tolist() == ["007", "7"]


def test_a_number_written_in_two_ways_is_one_class(tmp_path):
    (tmp_path / "t.csv").write_text("a,t\n-3,0\n-2,0.0\n2,1.0\n3,1\n")
    data = {"source": "csv", "path": str(tmp_path / "t.csv"), "target": "t"}
    model = nnreg.run({**SPEC, "data": data}, out=tmp_path / "run")
    assert model.classes == ("0", "1")
    assert model.classify(X[:, 0].reshape(-1, 1)).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_order_of_classes_does_not_depend_on_the_rows(order):
    y = np.array(["inf", "10", "-inf", "9", "a", "1_0"])[order]
    model = nnreg.build(SPEC, data=(np.arange(6.0)[:, None], y))
    assert model.classes == ("9", "10", "-inf", "1_0", "a", "inf")


def test_a_column_of_labels_is_one_label_per_row():
    for split in ({}, {"validation": 0.5, "stratify": True}):
        data = {"source": "csv", "path": "none.csv", "target": "t", "split": split}
        spec = {**SPEC, "data": data} if split else SPEC
        model = nnreg.build(spec, data=(X, RIGHT[:, None]))
        model.fit(X, RIGHT[:, None])
        assert model.classify(X).tolist() == RIGHT.tolist()


@pytest.mark.parametrize("layer", [SIGMOID, POINT["model"]["layers"][0]])
def test_a_prediction_has_the_shape_of_the_target(layer, tmp_path):
    spec = {**POINT, "model": {"layers": [layer]}}
    for y, shape in ((RIGHT * 1.0, (4,)), (RIGHT[:, None] * 1.0, (4, 1))):
        model = nnreg.build(spec, data=(X, y))
        assert model.predict(X).shape == shape
        assert (model.predict(X) - y).shape == shape
        nnreg.save(model, tmp_path / "m.nnreg")
        assert nnreg.load(tmp_path / "m.nnreg").predict(X).shape == shape


def test_a_single_probability_has_the_shape_of_the_target():
    spec = {**SPEC, "model": {"layers": [SIGMOID]}, "loss": "binary_cross_entropy"}
    model = nnreg.build({**spec, "metrics": ["accuracy"]}, data=(X, RIGHT))
    model.fit(X, RIGHT)
    assert ((model.predict(X) > 0.5) == RIGHT).tolist() == [True] * 4
    assert model.probabilities(X).shape == (4, 2)
    assert model.classify(X).tolist() == RIGHT.tolist()


def test_truth_values_are_numbers_where_the_spec_wants_numbers():
    model = nnreg.build(POINT, data=(X, RIGHT))
    assert model.classes is None


def held_out_row(data, rows, kinds):
    """Return a row of the validation or test split."""
    prepared = prepare_from_spec(
        read_spec({**SPEC, "data": {**data, "scaling": "none"}}), (rows, kinds)
    )
    return int((prepared.validation or prepared.test).x[0, 0])


@pytest.mark.parametrize(
    "split", [{"validation": 0.3}, {"test": 0.3}, {"validation": 0.3, "order": True}]
)
def test_a_class_that_only_a_held_out_split_has_is_refused_with_a_way_out(split):
    data = {"source": "csv", "path": "none.csv", "target": "t", "split": split}
    rows, kinds = np.arange(40.0)[:, None], np.where(np.arange(40) % 2, "cat", "dog")
    rare = held_out_row(data, rows, kinds)
    kinds = kinds.astype(object)
    kinds[rare] = "rare"
    (name,) = split.keys() - {"order"}
    text = f"row {rare}, column 'target': class 'rare' is in the {name} split only, with 1"
    with pytest.raises(nnreg.DataError, match=text) as caught:
        nnreg.build({**SPEC, "data": data}, data=(rows, kinds))
    assert ("set data.split.stratify" in str(caught.value)) == ("order" not in split)


def test_class_weights_may_name_a_class_as_a_number():
    data = {"source": "csv", "path": "none.csv", "target": "t", "class_weights": {"1": 3.0}}
    model = nnreg.build({**SPEC, "data": data}, data=(X, RIGHT))
    weights = model.with_sample_weights(model.examples(X, RIGHT), X).weights
    assert weights[-1] == pytest.approx(3 * weights[0])


@pytest.mark.parametrize("name", ["a", "9" * 30, "9" * 5000])
def test_a_class_that_is_not_of_its_kind_is_refused(name):
    with pytest.raises(ValueError, match=r"names: .* is not a finite integer of 64 bits"):
        ClassTarget("t", (name, "1"), kind="integer")


def test_a_class_without_a_name_is_refused(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("x,t\n1,a\n2,\n3,a\n4,\n")
    data = {"source": {"type": "csv", "missing": ["NA"]}, "path": str(file), "target": "t"}
    with pytest.raises(nnreg.DataError, match="a class of the target 't' is the empty text; give"):
        prepare_from_spec(read_spec({**SPEC, "data": data}))
