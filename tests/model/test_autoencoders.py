"""Networks whose target is their input, or that have none."""

import copy
import json
import warnings

import numpy as np
import pandas as pd
import pytest

import nnreg as library
from nnreg.errors import DataError, NnregWarning, SpecError, UsageError

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(60, 4)), columns=list("abcd"))
FRAME["price"] = FRAME["a"] + FRAME["b"]
FRAME["kind"] = np.where(FRAME["a"] > 0, "high", "low")
INPUTS = list("abcd")
LAYERS = [{"type": "dense", "units": 2, "activation": "tanh"}, {"type": "dense", "units": 4}]
VARIATIONAL = [
    {"type": "dense", "units": 4},
    {"type": "gaussian_sample", "name": "code"},
    {"type": "dense", "units": 4, "inputs": "code.z", "name": "again"},
]
VARIATIONAL_LOSS = {"again": "mean_squared_error", "code.kl": {"type": "value", "weight": 0.1}}
VALUES = [{"type": "dense", "units": 1, "name": "v"}]


def spec_of(layers=LAYERS, loss="mean_squared_error", data=None, **changes):
    spec = {
        "model": {"layers": layers},
        "loss": loss,
        "optimizer": "adam",
        "train": {"epochs": 2},
        **changes,
    }
    if data is not None:
        spec["data"] = {"source": "csv", "path": "t.csv", "split": {"test": 0.2}, **data}
    return spec


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    return tmp_path


WRITTEN = {
    "listed twice": {"inputs": INPUTS, "target": INPUTS},
    "by the word": {"inputs": INPUTS, "target": "inputs"},
    "all columns but those excluded": {"exclude": ["price", "kind"], "target": "inputs"},
}


def test_an_autoencoder_is_written_in_three_ways():
    found = [library.run(spec_of(data=data)).network.vector for data in WRITTEN.values()]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_it_is_predicted_and_evaluated_from_its_inputs(nnreg):
    model = library.run(spec_of(data=WRITTEN["by the word"], metrics=["r2"]), out="out")
    assert model.predict(FRAME).shape == (60, 4)
    assert model.evaluate(FRAME) == model.evaluate(FRAME, FRAME[INPUTS])
    assert len(model.fit(FRAME, epochs=1)) == 3
    code, out, _ = nnreg("predict", "out", "t.csv")
    assert (code, out.splitlines()[0]) == (0, ",".join(f"prediction_{one}" for one in "abcd"))
    assert nnreg("evaluate", "out", "t.csv")[0] == 0
    assert nnreg("report", "out")[0] == 0


def test_targets_beside_the_inputs_are_not_among_them():
    layers = [*VARIATIONAL, {"type": "dense", "units": 1, "inputs": "code.z", "name": "price"}]
    loss = {**VARIATIONAL_LOSS, "price": "huber"}
    target = {"again": "inputs", "price": "price"}
    model = library.build(spec_of(layers, loss, {"exclude": ["kind"], "target": target}))
    assert model.preprocessing.names == tuple(INPUTS)
    assert model.outputs["again"].target.names == tuple(INPUTS)


def test_a_column_with_that_name_is_the_target():
    FRAME[["a", "b", "price"]].rename(columns={"price": "inputs"}).to_csv("t.csv", index=False)
    model = library.build(spec_of(VALUES, data={"target": "inputs"}))
    assert (model.preprocessing.names, model.preprocessing.target_names) == (
        ("a", "b"),
        ("inputs",),
    )


@pytest.mark.parametrize("layers", ["plain", "variational"])
def test_inputs_passed_in_as_targets_too_are_reproduced(layers):
    plain = layers == "plain"
    spec = spec_of() if plain else spec_of(VARIATIONAL, VARIATIONAL_LOSS)
    x = FRAME[INPUTS]
    model = library.run(spec, data=(x, x))
    assert model.evaluate(x)["loss"] == model.evaluate(x, x)["loss"]
    spec["data"] = {"source": "csv", "path": "-", "inputs": INPUTS, "target": "inputs"}
    library.run(spec, data=(FRAME, None))
    library.run(spec, data=(FRAME, FRAME))


SEQUENCES = [RNG.normal(size=(steps, 4)) for steps in (3, 1, 2)]
WORDS = [["p", "q"], ["p"], ["q", "q", "p"]]
TAGGER = [
    {"type": "lstm", "units": 2, "sequences": True},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
GIVEN = {
    "array": (FRAME[INPUTS].to_numpy(), LAYERS, "huber"),
    "sequences": (SEQUENCES, LAYERS, "huber"),
    "padded": (library.Padded.of(SEQUENCES), LAYERS, "huber"),
    "named sequences": ({"x": SEQUENCES}, LAYERS, "huber"),
    "words": ({"words": WORDS}, TAGGER, "cross_entropy"),
}


@pytest.mark.parametrize(("x", "layers", "loss"), GIVEN.values(), ids=GIVEN)
def test_inputs_given_as_both_are_their_own_targets(x, layers, loss):
    model = library.run(spec_of(layers, loss), data=(x, x))
    expected = model.evaluate(x, x)["loss"]
    assert model.evaluate(x)["loss"] == expected
    model.fit(x, epochs=1)
    assert model.evaluate(x)["loss"] < expected


@pytest.mark.parametrize("name", ["named sequences", "words"])
def test_equal_sequences_of_one_name_are_inputs_and_targets(name):
    x, layers, loss = GIVEN[name]
    library.build(spec_of(layers, loss), data=(x, copy.deepcopy(x)))
    other = {key: [*rows[:-1], rows[0]] for key, rows in x.items()}
    with pytest.raises(DataError, match=r"have columns '.*' of other values"):
        library.build(spec_of(layers, loss), data=(x, other))


def test_an_input_that_a_network_could_copy_is_reported():
    with pytest.warns(NnregWarning, match="'price' is both an input and a target, which the"):
        library.build(spec_of(VALUES, data={"inputs": ["a", "price"], "target": "price"}))
    with pytest.raises(DataError, match="'price' is both an input and a target; remove one"):
        library.build(spec_of(VALUES), data=(FRAME[["a", "price"]], FRAME[["price"]]))
    with pytest.raises(DataError, match="have columns 'a' of other values"):
        library.build(spec_of(), data=(FRAME[INPUTS], FRAME[INPUTS] + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = {"inputs": {"x": INPUTS, "y": "price"}, "target": {"again": INPUTS}}
        layers = [{**VARIATIONAL[0], "inputs": ["x"]}, *VARIATIONAL[1:]]
        layers.insert(2, {"type": "concat", "inputs": ["code.z", "y"]})
        layers[-1] = {"type": "dense", "units": 4, "name": "again"}
        library.build(spec_of(layers, VARIATIONAL_LOSS, data))


def test_a_target_of_several_columns_has_no_categories():
    with pytest.raises(DataError, match="column 'kind' is categorical, but the columns of a"):
        library.build(spec_of(data={"exclude": ["price"], "target": "inputs"}))


@pytest.mark.parametrize("loss", ["value", {"v": "value"}], ids=["one output", "named"])
def test_without_a_loss_that_takes_one_there_is_no_target(loss, nnreg):
    spec = spec_of(VALUES, loss, {"inputs": INPUTS, "missing_target": "drop"})
    model = library.run(spec, out="out")
    assert model.history[-1]["loss"] == library.load("out").history[-1]["loss"]
    assert model.evaluate(FRAME)["loss"] == model.evaluate(FRAME, None)["loss"]
    for command in ("evaluate out", "evaluate out t.csv", "predict out t.csv", "report out"):
        assert nnreg(*command.split())[0] == 0
    spec["train"]["epochs"] = 4
    again = library.resume("out", overrides=["train.epochs=4"])
    np.testing.assert_array_equal(again.network.vector, library.run(spec).network.vector)
    assert len(model.fit(FRAME, epochs=1)) == 3
    library.run(spec_of(VALUES, loss), data=(FRAME[INPUTS], None))
    folds = library.run(spec_of(VALUES, loss, {"inputs": INPUTS, "split": {}},
                                train={"epochs": 1, "folds": 2}), out="folds")  # fmt: skip
    assert "loss" in folds.summary["mean"]


def problem(spec, **keywords):
    with pytest.raises(SpecError) as caught:
        library.build(spec, **keywords)
    (one,) = caught.value.problems
    return f"{one.path}: {one.message}"


def test_a_target_that_is_missing_or_not_used_is_reported():
    assert problem(spec_of(data={"inputs": INPUTS})) == (
        "$.data.target: required, but missing: the loss at $.loss compares with a target; name its "
        'column, or give "inputs" for an autoencoder'
    )
    assert "the loss at $.loss.again compares" in problem(
        spec_of(VARIATIONAL, VARIATIONAL_LOSS, {"inputs": INPUTS})
    )
    assert problem(spec_of(VALUES, {"v": "value"}, {"inputs": INPUTS, "target": "price"})) == (
        "$.data.target: no loss takes a target; remove it, or give an output a loss that does"
    )
    assert problem(spec_of(VALUES, {"v": "value"}, {"inputs": INPUTS}, metrics={"v": ["r2"]})) == (
        "$.metrics.v: not an output with a target; remove it"
    )
    split = {"test": 0.2, "stratify": True}
    assert problem(spec_of(VALUES, "value", {"inputs": INPUTS, "split": split})) == (
        "$.data.split.stratify: no target; stratify needs classes"
    )
    model = library.build(spec_of(), data=(FRAME[INPUTS].to_numpy(), FRAME[INPUTS].to_numpy()))
    with pytest.raises(UsageError, match="the model takes a target; pass it as y"):
        model.evaluate(FRAME[INPUTS].to_numpy())


def test_a_spec_without_a_target_is_that_of_the_schema(folder, nnreg):
    (folder / "s.json").write_text(json.dumps(spec_of(VALUES, "value", {"inputs": INPUTS})))
    assert nnreg("validate", "s.json")[0] == 0
    assert nnreg("run", "s.json", "--dry-run")[0] == 0
