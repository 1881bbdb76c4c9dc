"""Networks of several outputs, each with its loss, its metrics and its target."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg as library
from nnreg import Loss, PluginError, SpecError
from nnreg.registry.registry import installed
from nnreg.runs.run import prepare_run
from tests.helpers.trained import require_gradients_of_loss, require_saved_and_resumed
from tests.model.output_specs import (
    CASES,
    FLAT,
    PRICE,
    RNG,
    ROWS,
    STYLE,
    TWO,
    X,
    build,
    data_of,
    spec_of,
)


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
    require_gradients_of_loss(build(name), x[:7], y)


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


@pytest.mark.parametrize("name", CASES)
def test_it_saves_resumes_and_copies_bit_identically(name, tmp_path):
    require_saved_and_resumed(spec_of(name), data_of(name), tmp_path)


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


def test_labels_beside_classes_stay_numbers():
    model = build("mixed")
    assert model.outputs["labels"].classes is None
    assert {name: y.shape for name, y in model.predict(X).items()} == {
        "price": (ROWS,), "style": (ROWS, 3), "labels": (ROWS, 2)
    }  # fmt: skip
    assert list(model.classify(X)) == ["style"]
    assert list(model.probabilities(X)) == ["style", "labels"]


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
