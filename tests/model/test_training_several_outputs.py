"""Networks of several outputs, each with its loss, its metrics and its target."""

import copy
import csv
import json
import pickle
from dataclasses import dataclass

import jsonschema
import numpy as np
import pytest

import nnreg as library
from nnreg import DataError, Loss, PluginError, SpecError
from nnreg.registry.registry import installed
from nnreg.reports.network_diagram import diagram
from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.run import prepare_run
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from nnreg.spec.resolve import resolved

RNG = np.random.default_rng(0)
ROWS = 200
X = RNG.normal(size=(ROWS, 4))
PRICE = 2 * X[:, 0] + X[:, 1]
STYLE = np.array(["a", "b", "c"])[(X[:, 2] > 0.3).astype(int) + (X[:, 3] > 0)]
FLAT = np.tanh(RNG.normal(size=(ROWS, 2)) @ RNG.normal(size=(2, 4)))

TWO = {
    "layers": [
        {"type": "dense", "units": 16, "activation": "tanh", "name": "trunk"},
        {"type": "dense", "units": 1, "name": "price"},
        {"type": "dense", "units": "classes", "activation": "softmax", "inputs": "trunk",
         "name": "style"}],
    "loss": {"price": {"type": "huber", "weight": 0.5}, "style": "cross_entropy"},
    "metrics": {"style": ["accuracy"], "price": ["r2"]},
}  # fmt: skip
VAE = {
    "layers": [
        {"type": "dense", "units": 16, "activation": "tanh"},
        {"type": "dense", "units": 4},
        {"type": "gaussian_sample", "name": "code"},
        {"type": "dense", "units": 16, "activation": "tanh", "inputs": "code.z"},
        {"type": "dense", "units": 4, "name": "again"}],
    "loss": {"again": "mean_squared_error", "code.kl": {"type": "value", "weight": 0.01}},
}  # fmt: skip
READ_AGAIN = {  # a softmax that another entry reads is not computed together with its loss
    "layers": [
        {"type": "dense", "units": "classes", "activation": "softmax", "name": "style"},
        {"type": "concat", "inputs": ["style", "input"], "name": "all"},
        {"type": "dense", "units": 1, "name": "price"}],
    "loss": {"style": "cross_entropy", "price": "mean_squared_error"},
}  # fmt: skip
LISTED = {**VAE, "outputs": ["code.z"]}
CASES = {
    "two outputs": (TWO, X, {"price": PRICE, "style": STYLE}),
    "vae": (VAE, FLAT, {"again": FLAT}),
    "read again": (READ_AGAIN, X, {"price": PRICE, "style": STYLE}),
    "listed": (LISTED, FLAT, FLAT),
}


def spec_of(name, epochs=60, **changes):
    case = copy.deepcopy(CASES[name][0])
    model = {"layers": case.pop("layers"), "dtype": "float64", "outputs": case.pop("outputs", [])}
    return {
        "model": model,
        **case,
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "train": {"epochs": epochs},
        **changes,
    }


def data_of(name):
    return CASES[name][1:]


def build(name, **changes):
    return library.build(spec_of(name, **changes), data=data_of(name))


def test_two_outputs_learn_their_tasks_and_are_recorded():
    model = library.run(spec_of("two outputs"), data=data_of("two outputs"))
    first, last = model.history[0], model.history[-1]
    names = ["loss", "price_loss", "price_r2", "style_loss", "style_accuracy"]
    assert list(last) == ["epoch", *names]
    assert last["loss"] < 0.2 < first["loss"]
    assert last["style_accuracy"] > 0.9
    assert last["price_r2"] > 0.97
    found = model.evaluate(X, {"price": PRICE, "style": STYLE})
    assert list(found) == names
    total = 0.5 * found["price_loss"] + found["style_loss"]
    np.testing.assert_allclose(found["loss"], total, rtol=1e-12)


def test_a_loss_of_a_layer_is_learned_with_that_of_the_output():
    model = library.run(spec_of("vae", epochs=80), data=data_of("vae"))
    last = model.history[-1]
    assert last["loss"] < 0.1 < model.history[0]["loss"]
    assert last["again_loss"] < 0.05
    found = model.evaluate(FLAT, FLAT)
    np.testing.assert_allclose(
        found["loss"], found["again_loss"] + 0.01 * found["code.kl_loss"], rtol=1e-12
    )


@pytest.mark.parametrize("name", CASES)
def test_the_gradients_agree_with_central_differences(name):
    x, y = data_of(name)
    y = {key: value[:7] for key, value in y.items()} if isinstance(y, dict) else y[:7]
    model = build(name)
    _, found = model.gradients(x[:7], y)
    for key, gradient in found.items():
        values, expected = model.parameters[key], np.zeros_like(gradient)
        for index in np.ndindex(values.shape):
            before, losses = values[index], []
            for change in (1e-5, -1e-5):
                values[index] = before + change
                losses.append(model.gradients(x[:7], y)[0])
            values[index] = before
            expected[index] = (losses[0] - losses[1]) / 2e-5
        np.testing.assert_allclose(gradient, expected, atol=1e-7 * max(1, np.abs(expected).max()))


def test_each_output_equals_a_network_of_its_own():
    """The gradients of the sum are the weighted sums of those of each output alone."""
    whole = build("two outputs")
    _, found = whole.gradients(X, {"price": PRICE, "style": STYLE})
    parts = []
    for name, target, loss in (("price", PRICE, "huber"), ("style", STYLE, "cross_entropy")):
        layers = [one for one in TWO["layers"] if one["name"] in ("trunk", name)]
        one = {**spec_of("two outputs"), "model": {"layers": layers, "dtype": "float64"},
               "loss": loss, "metrics": []}  # fmt: skip
        alone = library.build(one, data=(X, target))
        for key in alone.parameters:
            alone.parameters[key] = whole.parameters[key]
        parts.append(alone.gradients(X, target))
    for key, gradient in found.items():
        weighted = [w * g[key] for w, (_, g) in zip((0.5, 1), parts, strict=True) if key in g]
        np.testing.assert_allclose(gradient, sum(weighted), rtol=1e-9, atol=1e-15)


def test_predictions_are_by_output_in_the_form_of_each_target():
    model = build("two outputs")
    found = model.predict(X)
    assert {key: value.shape for key, value in found.items()} == {
        "price": (ROWS,),
        "style": (ROWS, 3),
    }
    np.testing.assert_allclose(found["style"].sum(axis=1), 1)
    chosen = model.classify(X)
    assert list(chosen) == ["style"]
    assert set(chosen["style"]) <= set("abc")
    assert {name: y.shape for name, y in model.probabilities(X).items()} == {"style": (ROWS, 3)}
    assert build("listed").predict(FLAT)["code.z"].shape == (ROWS, 2)


def test_targets_are_scaled_and_predictions_have_their_units(tmp_path):
    spec = table_spec(tmp_path)
    write_table(tmp_path / "t.csv")
    spec["data"]["target_scaling"] = "standard"
    spec["train"]["epochs"] = 40
    model = library.run(spec)
    x = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": X[:, 3]}
    assert np.corrcoef(model.predict(x)["price"], PRICE)[0, 1] > 0.9
    assert model.evaluate(x, {"price": PRICE, "style": STYLE})["price_r2"] > 0.8


@pytest.mark.parametrize("name", CASES)
def test_it_saves_resumes_and_copies_bit_identically(name, tmp_path):
    x, y = data_of(name)
    whole = library.run(spec_of(name, epochs=4), data=(x, y))
    half = library.run(spec_of(name, epochs=2), data=(x, y))
    library.save(half, tmp_path / "half.h5")
    loaded = library.load(tmp_path / "half.h5")
    for other in (loaded, pickle.loads(pickle.dumps(half))):
        for key, values in half.predict(x).items():
            np.testing.assert_array_equal(other.predict(x)[key], values)
    loaded.fit(x, y, epochs=2)
    np.testing.assert_array_equal(loaded.network.vector, whole.network.vector)
    assert loaded.history.records == whole.history.records


def test_a_run_that_pauses_in_mid_epoch_resumes_bit_identically(tmp_path):
    x, y = data_of("two outputs")
    whole = library.run(spec_of("two outputs", epochs=3), data=(x, y))
    model = build("two outputs", epochs=3)
    pauses = iter([False, False, True])
    trainer = model.trainer(model.examples(x, y))
    for record in trainer.iterate(lambda: next(pauses, False)):
        if record is None:
            break
    assert model.training_state.epoch_state.outputs.shape[1] == 4
    library.save(model, tmp_path / "part.h5")
    loaded = library.load(tmp_path / "part.h5")
    loaded.fit(x, y)
    np.testing.assert_array_equal(loaded.network.vector, whole.network.vector)
    assert loaded.history.records == whole.history.records


def test_one_named_output_equals_an_unnamed_one():
    layers = [{"type": "dense", "units": 3, "activation": "tanh"},
              {"type": "dense", "units": 1, "name": "price"}]  # fmt: skip
    plain = spec_of("two outputs", epochs=3)
    plain |= {"model": {"layers": layers, "dtype": "float64"}, "loss": "huber", "metrics": ["r2"]}
    named = {**plain, "loss": {"price": "huber"}, "metrics": {"price": ["r2"]}}
    one, other = (library.run(spec, data=(X, PRICE)) for spec in (plain, named))
    np.testing.assert_array_equal(other.network.vector, one.network.vector)
    np.testing.assert_array_equal(other.predict(X)["price"], one.predict(X))
    assert other.history[-1]["price_r2"] == one.history[-1]["r2"]


def test_weights_of_examples_count_for_every_output():
    x, y = data_of("two outputs")
    weights = RNG.integers(0, 3, ROWS).astype(float)
    model = build("two outputs")
    model.fit(x, y, weights=weights, epochs=1)
    rows = np.repeat(np.arange(ROWS), weights.astype(int))
    again = build("two outputs", train={"epochs": 1, "batch_size": 10_000, "shuffle": False})
    many = {key: value[rows] for key, value in y.items()}
    first = build("two outputs", train={"epochs": 1, "batch_size": 10_000, "shuffle": False})
    first.fit(x, y, weights=weights)
    again.fit(x[rows], many)
    np.testing.assert_allclose(first.history[0]["loss"], again.history[0]["loss"], rtol=1e-9)
    np.testing.assert_allclose(first.network.vector, again.network.vector, rtol=1e-6, atol=1e-9)


def write_table(path):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "d", "price", "style"])
        writer.writerows([*row, p, s] for row, p, s in zip(X, PRICE, STYLE, strict=True))


def table_spec(folder, **changes):
    spec = spec_of("two outputs", epochs=5, **changes)
    spec["data"] = {
        "source": "csv", "path": str(folder / "t.csv"), "split": {"validation": 0.2, "test": 0.2},
        "target": {"price": "price", "style": "style"},
    }  # fmt: skip
    return spec


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "t.csv")
    (tmp_path / "s.json").write_text(json.dumps(table_spec(tmp_path), indent=1))
    return tmp_path


def test_each_command_handles_several_outputs(table, nnreg):
    def command(*arguments):
        code, out, err = nnreg(*arguments)
        assert code == 0, err
        return out

    command("validate", "s.json")
    command("run", "s.json", "--dry-run")
    printed = command("run", "s.json", "--quiet", "--out", "out")
    assert "test price_r2" in printed
    assert "test style_accuracy" in printed
    page = (table / "out" / "report.html").read_text()
    assert "<strong>price</strong>: Mean absolute error" in page
    assert "<strong>style</strong>: Accuracy" in page
    assert {one.name for one in (table / "out" / "plots").iterdir()} >= {
        "output-0-predicted.svg",
        "output-1-confusion.svg",
        "price_loss.svg",
    }
    summary = json.loads((table / "out" / "summary.json").read_text())
    assert list(summary["verdicts"]) == ["price", "style"]
    assert list(summary["baseline"]) == ["price_r2", "style_accuracy"]
    head, *rows = csv.reader(command("predict", "out", "t.csv").splitlines())
    assert head == ["prediction_price", "prediction_style",
                    *(f"probability_style_{one}" for one in "abc")]  # fmt: skip
    model = library.load("out")
    found = model.predict({name: X[:, i] for i, name in enumerate("abcd")})
    np.testing.assert_allclose([float(row[0]) for row in rows], found["price"])
    assert len(rows) == ROWS
    assert json.loads(command("predict", "out", "t.csv", "--json"))[0]["prediction_style"] in "abc"
    assert "style_accuracy" in command("evaluate", "out", "t.csv")
    assert "val_style_accuracy" in json.dumps(list(model.history[-1]))
    command("run", "s.json", "--quiet", "--out", "more", "--set", "train.epochs=7")
    command("resume", "out", "--quiet", "--set", "train.epochs=7")
    np.testing.assert_array_equal(
        library.load("out/checkpoints/last.h5").network.vector,
        library.load("more/checkpoints/last.h5").network.vector,
    )
    command("report", "out")
    command("diff", "out", "more")
    command("inspect", "out/checkpoints/best.h5")


def test_predictions_of_two_outputs_with_one_name_are_refused(table, nnreg):
    with open("n.csv", "w") as file:
        file.write("x,b_c,c,d\n" + "".join(f"{i},{i},{2 * i},{-i}\n" for i in range(20)))
    spec = table_spec(table, metrics={})
    spec["data"] |= {"path": "n.csv", "inputs": "x",
                     "target": {"a": ["b_c", "d"], "a_b": ["c", "d"]}}  # fmt: skip
    spec["model"]["layers"] = [
        {"type": "dense", "units": 2, "inputs": "input", "name": name} for name in ("a", "a_b")
    ]
    spec["loss"] = {"a": "huber", "a_b": "huber"}
    library.run(spec, out="out")
    code, out, err = nnreg("predict", "out", "n.csv")
    assert (code, out) == (2, "")
    assert "two columns are called prediction_a_b_c; use model.predict in Python" in err


def test_folds_and_early_stopping_by_one_output(table):
    spec = table_spec(table)
    spec["data"]["split"] = {}
    stop = {"patience": 2, "monitor": "val_style_accuracy"}
    spec["train"] = {"epochs": 4, "folds": 2, "early_stopping": stop}
    result = library.run(spec, out=table / "folds")
    assert "style_accuracy" in result.summary["mean"]


def test_the_schema_the_diagram_and_the_resolved_spec_have_the_outputs(table):
    spec = table_spec(table)
    jsonschema.validate(spec, json_schema())
    wrong = {**spec, "loss": {"price": {"type": "huber", "weigth": 1}}}
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(wrong))
    picture = diagram(library.build(spec)).file()
    assert "style" in picture
    tree = resolved(read_spec("s.json"), table)
    assert tree["loss"]["price"] == {"type": "huber", "delta": 1.0, "weight": 0.5}
    (table / "resolved.json").write_text(json.dumps(tree))
    one, other = (library.run(table / name) for name in ("s.json", "resolved.json"))
    np.testing.assert_array_equal(one.network.vector, other.network.vector)


def test_a_target_may_have_another_name_than_its_output(table):
    spec = table_spec(table)
    spec["loss"]["style"] = {"type": "cross_entropy", "target": "kind"}
    spec["data"]["target"] = {"price": "price", "kind": "style"}
    assert library.build(spec).outputs["style"].classes == ("a", "b", "c")


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


@pytest.mark.parametrize("y", [None, PRICE], ids=["no target", "target"])
def test_a_loss_without_a_target_can_be_that_of_the_only_output(y, tmp_path):
    layers = [{"type": "dense", "units": 1, "activation": "softplus"}]
    spec = spec_of("two outputs", loss="value", metrics=[], epochs=2)
    spec["model"]["layers"] = layers
    model = library.run(spec, data=(X, y), out=tmp_path / "out")
    assert model.history[-1]["loss"] < model.history[0]["loss"]
    found = model.evaluate(X, y)["loss"]
    np.testing.assert_allclose(found, np.mean(model.predict(X)), rtol=1e-12)
    again = library.load(tmp_path / "out")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(SpecError, match="mean_absolute_error compares predictions with the targ"):
        library.build({**spec, "metrics": ["mean_absolute_error"]}, data=(X, y))


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


def test_weights_of_classes_are_those_of_the_only_target(table):
    spec = table_spec(table)
    spec["model"]["layers"] = [spec["model"]["layers"][-1] | {"inputs": "input"}]
    spec["loss"] = {"style": "cross_entropy"}
    spec["metrics"] = {"style": ["accuracy"]}
    spec["data"] |= {
        "target": {"style": "style"},
        "exclude": ["price"],
        "class_weights": "balanced",
    }
    named = library.run(spec)
    spec["model"]["layers"][0].pop("name")
    spec |= {"loss": "cross_entropy", "metrics": ["accuracy"]}
    spec["data"]["target"] = "style"
    np.testing.assert_allclose(named.network.vector, library.run(spec).network.vector, rtol=1e-12)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("batch_size", [32, 200])
def test_the_recorded_loss_is_the_weighted_sum_of_those_of_the_outputs(weights, batch_size):
    x, y = data_of("two outputs")
    spec = spec_of("two outputs", epochs=3)
    spec["train"]["batch_size"] = batch_size
    given = np.arange(ROWS) % 3 if weights else None
    model = library.build(spec, data=(x, y))
    model.fit(x, y, weights=given, validation=(x[:50], {k: v[:50] for k, v in y.items()}))
    for record in model.history:
        for prefix in ("", "val_"):
            total = 0.5 * record[f"{prefix}price_loss"] + record[f"{prefix}style_loss"]
            np.testing.assert_allclose(record[f"{prefix}loss"], total, rtol=1e-12)


@dataclass(frozen=True)
class Doubled(Loss):
    """loss = 2 mean(y - t)"""

    def forward(self, y, t):
        return float(2 * np.mean(y - t)), lambda: np.full_like(y, 2 / y.size)


@dataclass(frozen=True)
class Wrong(Doubled):
    """The same with a wrong gradient"""

    def forward(self, y, t):
        return super().forward(y, t)[0], lambda: np.full_like(y, 3 / y.size)


def test_a_loss_of_a_plugin_is_checked_for_its_output(registering, tmp_path):
    library.register("doubled", Doubled)
    library.register("wrong_loss", Wrong)
    assert installed().find("loss", "doubled") is not None
    x, y = data_of("two outputs")
    spec = spec_of("two outputs", epochs=1)
    spec["loss"]["price"] = {"type": "doubled", "weight": 0.1}
    model = library.run(spec, data=(x, y))
    library.save(model, tmp_path / "m.h5")
    np.testing.assert_array_equal(
        library.load(tmp_path / "m.h5").predict(x)["price"], model.predict(x)["price"]
    )
    spec["loss"]["price"]["type"] = "wrong_loss"
    with pytest.raises(PluginError, match=r"\$.loss.price: .*Wrong: the gradient"):
        prepare_run(spec, data=(x, y))


LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)
MIXED = {
    "layers": [*TWO["layers"],
        {"type": "dense", "units": 2, "activation": "sigmoid", "inputs": "trunk",
         "name": "labels"}],
    "loss": {**TWO["loss"], "labels": "binary_cross_entropy"},
}  # fmt: skip
CASES["mixed"] = (MIXED, X, {"price": PRICE, "style": STYLE, "labels": LABELS})


def test_labels_beside_classes_stay_numbers():
    model = build("mixed")
    assert model.outputs["labels"].classes is None
    assert {name: y.shape for name, y in model.predict(X).items()} == {
        "price": (ROWS,), "style": (ROWS, 3), "labels": (ROWS, 2)
    }  # fmt: skip
    assert list(model.classify(X)) == ["style"]
    assert list(model.probabilities(X)) == ["style", "labels"]


def test_targets_may_be_given_by_output_or_by_column(table):
    spec = table_spec(table)
    spec["data"] |= {"target": {"price": ["price", "d"], "style": "style"}, "inputs": ["a", "b"]}
    spec["model"]["layers"][1]["units"] = 2
    model = library.build(spec)
    x, both = X[:, :2], np.stack([PRICE, X[:, 3]], axis=1)
    by_column = model.evaluate(x, {"price": PRICE, "d": X[:, 3], "style": STYLE})
    assert model.evaluate(x, {"price": both, "style": STYLE}) == by_column
    every = {"a": X[:, 0], "b": X[:, 1], "price": PRICE, "d": X[:, 3], "style": STYLE}
    assert model.evaluate(every) == by_column
    with pytest.raises(DataError, match="the target column 'd' is missing"):
        model.evaluate(x, {"price": PRICE})


def test_a_model_without_classes_neither_classifies_nor_has_probabilities():
    spec = spec_of("two outputs", metrics={})
    spec["model"]["layers"].pop()
    spec["loss"].pop("style")
    model = library.build(spec, data=(X, {"price": PRICE}))
    for method in (model.classify, model.probabilities):
        with pytest.raises(DataError, match="no output of this model has classes; use predict"):
            method(X)


def test_an_array_passed_in_by_its_name_is_an_input():
    spec = spec_of("two outputs", epochs=1)
    spec["model"]["layers"][0]["inputs"] = "table"
    y = data_of("two outputs")[1]
    model = library.run(spec, data=({"table": X}, y))
    assert model.predict({"table": X})["price"].shape == (ROWS,)


def test_weights_that_overflow_are_reported_without_a_warning_of_numpy():
    model = build("two outputs")
    model.network.vector[...] = 1e308
    model.network.predict(X)
