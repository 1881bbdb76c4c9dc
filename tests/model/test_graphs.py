"""Lists of layers whose entries have names, read several earlier entries, or share layers."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, Join, Layer, PluginError, ShapeError
from nnreg.registry.registry import installed
from nnreg.reports.network_diagram import boxes_of
from nnreg.testing.finite_differences import central_difference
from tests.helpers.schemas import validator
from tests.helpers.trained import require_saved_and_resumed
from tests.model.graph_specs import (
    DENSE,
    GRAPHS,
    OUTPUT,
    RNG,
    SHARED,
    SKIP,
    TIED,
    X,
    Y,
    build,
    problems,
    spec,
)


def gradients(network, x):
    """Return the gradients of Σ y dy and those by central differences, of parameters and input."""
    gradient = np.zeros_like(network.vector)
    context = network.context(
        network.workspace(reuse=True), gradient, training=True, input_gradient=True
    )
    dy = np.random.default_rng(1).normal(size=(len(x), *network.output_shape))
    x = x.copy()

    def total():
        context.workspace.rewind()
        return float(np.sum(network.forward(x, context)[0] * dy))

    expected = central_difference(total, network.vector), central_difference(total, x)
    context.workspace.rewind()
    gradient[...] = np.nan
    _, backward = network.forward(x, context)
    dx = backward(dy)
    return (gradient, dx), expected


@pytest.mark.parametrize("name", GRAPHS)
def test_the_gradients_agree_with_central_differences(name):
    network = build(GRAPHS[name]).network
    found, expected = gradients(network, X)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7 * np.abs(other).max())


def test_a_skip_connection_reads_what_it_names():
    model = build(SKIP)
    p = model.parameters
    low = np.tanh(X @ p["layers/low/weight"] + p["layers/low/bias"])
    middle = np.tanh(low @ p["layers/1/weight"] + p["layers/1/bias"])
    high = np.tanh(middle @ p["layers/high/weight"] + p["layers/high/bias"])
    y = np.hstack([high, low]) @ p["layers/4/weight"] + p["layers/4/bias"]
    np.testing.assert_allclose(model.predict(X), y[:, 0], rtol=1e-12)


def test_a_layer_that_is_used_again_has_one_set_of_weights():
    model = build(SHARED)
    p = model.parameters
    assert set(p) == {
        f"layers/{one}" for one in ("tower/weight", "tower/bias", "4/weight", "4/bias")
    }

    def tower(x):
        return np.tanh(x @ p["layers/tower/weight"] + p["layers/tower/bias"])

    product = tower(tower(X)) * tower(X) * tower(X)
    y = product @ p["layers/4/weight"] + p["layers/4/bias"]
    np.testing.assert_allclose(model.predict(X), y[:, 0], rtol=1e-12)


def test_a_transposed_use_multiplies_by_the_transposed_weight_alone():
    model = build(TIED)
    p = model.parameters
    code = np.tanh(X @ p["layers/code/weight"] + p["layers/code/bias"])
    y = (code @ p["layers/code/weight"].T - X) @ p["layers/4/weight"] + p["layers/4/bias"]
    np.testing.assert_allclose(model.predict(X), y[:, 0], rtol=1e-12)


def test_words_and_the_output_over_them_can_share_an_embedding():
    tokens = RNG.integers(0, 5, (8, 4))
    layers = [
        {"type": "embedding", "vocabulary": 5, "units": 3, "name": "words"},
        {"type": "dense", "units": 3, "activation": "tanh"},
        {"use": "words", "transposed": True},
        {"type": "activation", "activation": "softmax"},
    ]
    data = tokens, np.eye(5)[(tokens + 1) % 5]
    model = nnreg.build(spec(layers, loss="cross_entropy"), data=data)
    assert set(model.parameters) == {"layers/words/weight", "layers/1/weight", "layers/1/bias"}
    assert model.network.output_shape == (4, 5)
    gradient = np.zeros_like(model.network.vector)
    network = model.network
    context = network.context(network.workspace(reuse=True), gradient, training=True)
    dy = RNG.normal(size=(8, 4, 5))

    def total():
        context.workspace.rewind()
        return float(np.sum(network.forward(tokens, context)[0] * dy))

    expected = central_difference(total, network.vector)
    network.forward(tokens, context)[1](dy)
    np.testing.assert_allclose(gradient, expected, atol=1e-7 * np.abs(expected).max())


def test_a_residual_network_is_the_same_nested_and_as_a_graph():
    nested = build([{"type": "residual", "layers": [DENSE, DENSE]}, OUTPUT], seed=3)
    graph = build([
        {**DENSE, "name": "a"},
        {**DENSE, "name": "b"},
        {"type": "add", "inputs": ["b", "input"]},
        OUTPUT,
    ], seed=3)  # fmt: skip
    graph.network.vector[...] = nested.network.vector
    np.testing.assert_array_equal(graph.predict(X), nested.predict(X))
    (found, _), (expected, _) = gradients(graph.network, X)[0], gradients(nested.network, X)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_chain_with_names_stays_a_chain():
    plain = nnreg.run(spec([DENSE, OUTPUT]), data=(X, Y))
    named = nnreg.run(
        spec([{**DENSE, "name": "hidden"}, {**OUTPUT, "inputs": "hidden"}]), data=(X, Y)
    )
    assert all(plan.wire is None for _, plan in named.network.plan.children.values())
    assert next(iter(named.parameters)) == "layers/hidden/weight"
    np.testing.assert_array_equal(named.network.vector, plain.network.vector)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_saves_resumes_and_copies_bit_identically(name, tmp_path):
    require_saved_and_resumed(spec(GRAPHS[name]), (X, Y), tmp_path)


def test_a_named_layer_can_be_frozen_and_so_are_its_uses():
    before = build(SHARED).parameters["layers/tower/weight"].copy()
    model = nnreg.run(spec(SHARED, train={"epochs": 2, "freeze": ["layers/tower"]}), data=(X, Y))
    np.testing.assert_array_equal(model.parameters["layers/tower/weight"], before)
    path, message = problems(SHARED, train={"freeze": ["layers/again"]})[0]
    assert path == "$.train.freeze[0]"
    assert message.startswith("no layer 'layers/again'")


def test_gradients_below_a_frozen_branch_are_right():
    layers = [{**DENSE, "name": "a"}, {**DENSE, "inputs": "input", "name": "b"},
              {"type": "add", "inputs": ["a", "b"]}, OUTPUT]  # fmt: skip
    free, frozen = build(layers), build(layers, train={"freeze": ["layers/b"]})
    found, expected = (np.zeros_like(free.network.vector) for _ in range(2))
    for model, gradient in ((free, expected), (frozen, found)):
        network = model.network
        context = network.context(network.workspace(reuse=True), gradient, training=True)
        network.forward(X, context)[1](np.ones((len(X), 1)))
    names = list(free.network.params)
    assert names[0] == "layers/a/weight"
    np.testing.assert_array_equal(found[:12], expected[:12])
    np.testing.assert_array_equal(found[12:24], 0)
    np.testing.assert_array_equal(found[24:], expected[24:])


def test_weights_of_named_layers_can_be_taken_over(tmp_path):
    nnreg.save(nnreg.run(spec(SKIP), data=(X, Y)), tmp_path / "first.h5")
    start = {"epochs": 1, "start_from": {
        "checkpoint": str(tmp_path / "first.h5"), "layers": ["layers/low"]}}  # fmt: skip
    first = nnreg.load(tmp_path / "first.h5")
    second = nnreg.build(spec(SKIP, seed=9, train=start), data=(X, Y))
    low, high = "layers/low/weight", "layers/high/weight"
    np.testing.assert_array_equal(second.parameters[low], first.parameters[low])
    assert not np.array_equal(second.parameters[high], first.parameters[high])


def test_an_option_of_a_layer_in_a_graph_can_be_set():
    model = nnreg.run(spec(SKIP), overrides=["model.layers.0.units=5"], data=(X, Y))
    assert model.parameters["layers/low/weight"].shape == (3, 5)
    assert model.parameters["layers/4/weight"].shape == (8, 1)


def test_the_summary_and_the_diagram_show_what_an_entry_reads():
    model = build(TIED)
    assert "layers/decoded  dense (uses code)" in model.summary()
    assert "subtract (reads decoded, input)" in model.summary()
    code, _, decoded, difference, _ = boxes_of(model)
    assert code.kind == "code: dense"
    assert (decoded.options, decoded.size) == ("uses code", 0)
    assert difference.options == "reads decoded, input"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_schema_accepts_graphs(name):
    validator().validate(spec(GRAPHS[name]))
    model = build(GRAPHS[name])
    validator().validate(json.loads(json.dumps(spec(GRAPHS[name]))))
    assert model.document.tree["model"]["layers"] == GRAPHS[name]


def test_the_schema_refuses_other_keys_beside_use():
    layers = [{**DENSE, "name": "a"}, {"use": "a", "units": 3}]
    assert not validator().is_valid(spec(layers))


def test_integers_reach_an_embedding_by_each_of_its_uses():
    tokens = RNG.integers(0, 5, (20, 3))
    layers = [
        {"type": "embedding", "vocabulary": 5, "units": 2, "name": "words"},
        {"use": "words", "inputs": "input", "name": "again"},
        {"type": "add", "inputs": ["words", "again"]},
        {"type": "flatten"},
        OUTPUT,
    ]
    model = nnreg.build(spec(layers), data=(tokens, tokens.sum(axis=1).astype(float)))
    assert model.network.integer_input
    with pytest.raises(nnreg.DataError, match="from 0 to 4"):
        model.predict(tokens + 1)


def test_a_non_finite_value_names_the_entry(tmp_path):
    model = build(SKIP)
    model.parameters["layers/high/weight"][...] = np.inf
    with pytest.raises(DivergedError, match="layers/high"):
        model.fit(X, Y, epochs=1)


def test_shards_of_a_batch_give_the_same_gradients():
    one = nnreg.run(spec(SHARED, train={"epochs": 2, "threads": 1}), data=(X, Y))
    two = nnreg.run(spec(SHARED, train={"epochs": 2, "threads": 2}), data=(X, Y))
    np.testing.assert_allclose(one.network.vector, two.network.vector, rtol=1e-9)


@dataclass(frozen=True)
class Scaled(Join):
    """y = weight · (a + b)"""

    def build(self, shapes, builder):
        if len(shapes) != 2:
            raise ShapeError(shapes[0], "two inputs")
        builder.param("weight", (1,), nnreg.registry.registry.installed()
                      .find("initializer", "ones").cls())  # fmt: skip
        return shapes[0]

    def forward(self, xs, context):
        total = xs[0] + xs[1]

        def backward(dy):
            context.gradients["weight"][...] = np.sum(dy * total)
            return [dy * context.params["weight"], dy * context.params["weight"]]

        return context.params["weight"] * total, backward


@dataclass(frozen=True)
class WrongSign(Scaled):
    """Scaled, with a wrong gradient of its second input"""

    def forward(self, xs, context):
        y, backward = super().forward(xs, context)
        return y, lambda dy: [backward(dy)[0], -backward(dy)[1]]


@pytest.fixture
def register():
    yield nnreg.register
    for name in ("scaled", "wrong_sign", "named"):
        installed().remove(f"nnreg.register {name}")


def test_a_join_of_a_plugin_is_checked_and_saved(register, tmp_path):
    register("scaled", Scaled)
    register("wrong_sign", WrongSign)
    layers = [{**DENSE, "name": "a"}, {"type": "scaled", "inputs": ["a", "input"]}, OUTPUT]
    model = nnreg.run(spec(layers), data=(X, Y))
    nnreg.save(model, tmp_path / "m.h5")
    np.testing.assert_array_equal(nnreg.load(tmp_path / "m.h5").predict(X), model.predict(X))
    layers[1]["type"] = "wrong_sign"
    with pytest.raises(PluginError, match="the gradient of its input is not that of its output"):
        nnreg.run(spec(layers), data=(X, Y))


@dataclass(frozen=True)
class Named(Layer):
    """y = x, with an option that an entry has"""

    name: str = "x"

    def forward(self, x, context):
        return x, lambda dy: dy


def test_an_option_with_the_name_of_a_key_of_entries_is_refused(register):
    with pytest.raises(PluginError, match="option 'name' has a name that nnreg uses"):
        register("named", Named)
