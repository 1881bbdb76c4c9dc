"""Several outputs that do not fit the spec or the data are refused, each error at its place."""

import numpy as np
import pytest

import nnreg as library
from nnreg import DataError, SpecError
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.model.output_specs import PRICE, ROWS, X, build, spec_of, table_spec, write_table


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "t.csv")
    return tmp_path


def problems(table, edit):
    spec = table_spec(table)
    edit(spec)
    with pytest.raises(SpecError) as caught:
        library.build(spec)
    return [(one.path, one.message) for one in caught.value.problems]


ERRORS = {
    "unknown output": (
        lambda s: (s["loss"].update(styel={"type": s["loss"].pop("style"), "target": "style"}),
                   s["metrics"].pop("style")),
        "$.loss.styel",
        "unknown name 'styel'; did you mean 'style'?",
    ),
    "output without a loss": (
        lambda s: (s["loss"].pop("price"), s["metrics"].pop("price"),
                   s["data"].update(target={"style": "style"})),
        "$.model.layers[1]",
        "no entry reads its output; name 'price' in the 'inputs' of a later entry, give it a "
        "loss, list it in model.outputs, or remove it",
    ),
    "an input": (
        lambda s: s["loss"].update(input="value"),
        "$.loss.input",
        "'input' is an input, not a layer's output",
    ),
    "wrong option": (
        lambda s: s["loss"]["price"].update(dleta=2),
        "$.loss.price.dleta",
        "unknown key 'dleta'; did you mean 'delta'?",
    ),
    "wrong weight": (
        lambda s: s["loss"]["price"].update(weight=0),
        "$.loss.price.weight",
        "must be greater than 0, found 0",
    ),
    "unknown loss": (
        lambda s: s["loss"].update(price="hubr"),
        "$.loss.price",
        "no loss 'hubr'; did you mean 'huber'?",
    ),
    "one target": (
        lambda s: s["data"].update(target=["price", "style"]),
        "$.data.target",
        "several outputs have targets; give an object with the columns of each: price, style",
    ),
    "unknown target": (
        lambda s: s["loss"]["price"].update(target="cost"),
        "$.loss.price",
        "no target 'cost' in data.target; choose one of price, style",
    ),
    "unused target": (
        lambda s: s["data"]["target"].update(other="a"),
        "$.data.target.other",
        "no loss uses the target 'other'; remove it, or name it as the target of a loss",
    ),
    "metrics as a list": (
        lambda s: s.update(metrics=["accuracy"]),
        "$.metrics",
        "must be an object with outputs, as 'loss' is",
    ),
    "metrics of no output": (
        lambda s: s["metrics"].update(trunk=["r2"]),
        "$.metrics.trunk",
        "not an output with a target; choose one of price, style",
    ),
    "metric of numbers for classes": (
        lambda s: s["metrics"].update(style=["r2"]),
        "$.metrics.style[0]",
        "r2 compares numbers, but the target is categorical; remove it",
    ),
    "no loss with a target": (
        lambda s: (s.update(loss={"price": "value"}, metrics={}),),
        "$.data.target.style",
        "no loss uses the target 'style'; remove it, or name it as the target of a loss",
    ),
    "misspelled output": (
        lambda s: (s["loss"].update(prise=s["loss"].pop("price")), s["metrics"].pop("price")),
        "$.loss.prise",
        "no layer 'prise'; did you mean 'price'?",
    ),
    "output without its target": (
        lambda s: s["data"].update(target={"price": "price"}),
        "$.loss.style",
        "no target 'style' in data.target; choose one of price",
    ),
    "target of a loss that takes none": (
        lambda s: s["loss"].update(price={"type": "value", "target": "price"}),
        "$.loss.price.target",
        "the loss takes no target; remove it",
    ),
    "loss without a type": (
        lambda s: s["loss"].update(price={"weight": 2}),
        "$.loss.price",
        'must be the name of a loss or {"type": NAME, …}, found {"weight": 2}',
    ),
    "loss that is a number": (
        lambda s: s["loss"].update(price=3),
        "$.loss.price",
        'must be the name of a loss or {"type": NAME, …}, found 3',
    ),
    "target without columns": (
        lambda s: s["data"].update(target=[]),
        "$.data.target",
        "must not be empty, found []",
    ),
    "output of a layer without it": (
        lambda s: (s["model"].update(outputs=["trnk"]),),
        "$.model.outputs[0]",
        "unknown name 'trnk'; did you mean 'trunk'?",
    ),
    "output that is an input": (
        lambda s: (s["model"].update(outputs=["zzz"]),),
        "$.model.outputs[0]",
        "unknown name 'zzz'; choose one of price, style, trunk",
    ),
    "outputs of one loss": (
        lambda s: (s["model"].update(outputs=["price"]), s.update(loss="huber", metrics=[])),
        "$.model.outputs",
        "are several; give 'loss' as an object with outputs",
    ),
    "metrics by output of one loss": (
        lambda s: (s.update(loss="huber"),),
        "$.metrics",
        "are those of outputs; give 'loss' as such an object too",
    ),
    "an object of targets for one loss": (
        lambda s: (s.update(loss="huber", metrics=[]),),
        "$.data.target",
        "an object is for several outputs; give 'loss' as an object with those too",
    ),
    "wrong units": (
        lambda s: s["model"]["layers"][2].update(units=2),
        "$.model.layers[2]",
        'the network gives shape (2,) for one example, but the target has 3 classes, so that '
        '"units": "classes" would give (3,)',
    ),
    "wrong activation": (
        lambda s: s["model"]["layers"][2].update(activation="tanh"),
        "$.model.layers[2].activation",
        "the loss takes outputs within 0 and 1, but those of tanh are within -1 and 1; give this "
        "layer another activation, such as softmax",
    ),
    "unknown monitor": (
        lambda s: s["train"].update(early_stopping={"monitor": "val_accuracy"}),
        "$.train.early_stopping.monitor",
        "unknown metric 'val_accuracy'; did you mean 'val_style_accuracy'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_reported_at_its_place(table, name):
    edit, path, message = ERRORS[name]
    found = problems(table, edit)
    assert (path, message) in found, found


def test_targets_that_do_not_fit_are_refused():
    model = build("two outputs")
    with pytest.raises(DataError, match="the target column 'style' is missing"):
        model.evaluate(X, {"price": PRICE})
    with pytest.raises(DataError, match="unknown class 'z'"):
        model.evaluate(X, {"price": PRICE, "style": np.full(ROWS, "z")})


def test_weights_of_classes_need_one_target(table):
    spec = table_spec(table)
    spec["data"]["class_weights"] = "balanced"
    with pytest.raises(SpecError) as caught:
        prepare_from_spec(read_spec(spec))
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == (
        "$.data.class_weights",
        "is for one target, but the outputs price, style have one each; give weights of rows in "
        "data.sample_weights",
    )


def test_a_model_without_classes_neither_classifies_nor_has_probabilities():
    spec = spec_of("two outputs", metrics={})
    spec["model"]["layers"].pop()
    spec["loss"].pop("style")
    model = library.build(spec, data=(X, {"price": PRICE}))
    for method in (model.classify, model.probabilities):
        with pytest.raises(DataError, match="no output of this model has classes; use predict"):
            method(X)
