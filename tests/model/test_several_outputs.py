"""Layers of several outputs, which entries of a graph read by name."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Layer, PluginError, SpecError
from nnreg.builtin.layers.dot_product_attention import CrossAttention
from nnreg.builtin.layers.sampling import GaussianSample
from nnreg.interfaces import Context, Workspace
from nnreg.registry.registry import installed
from nnreg.reports.network_diagram import boxes_of
from nnreg.testing.finite_differences import central_difference
from tests.helpers.schemas import validator
from tests.helpers.trained import require_saved_and_resumed
from tests.model.graph_specs import spec

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))
Y = X[:, 0] * X[:, 1]
DENSE = {"type": "dense", "units": 4, "activation": "tanh"}
OUTPUT = {"type": "dense", "units": 1}
SAMPLE = {"type": "gaussian_sample", "name": "code"}

BOTH = [DENSE, SAMPLE, {"type": "concat", "inputs": ["code.kl", "code.z", "code.z"]}, OUTPUT]
ONE = [DENSE, SAMPLE, {**OUTPUT, "inputs": "code.z"}]
STACKED = [
    {"type": "stack", "name": "code", "layers": [DENSE, {"type": "gaussian_sample"}]},
    {"type": "concat", "inputs": ["code.z", "code.kl", "input"]},
    OUTPUT,
]
USED_AGAIN = [
    {**SAMPLE, "inputs": "input"},
    {**DENSE, "inputs": "code.z", "name": "wide"},
    {"use": "code", "inputs": "wide", "name": "again"},
    {"type": "add", "inputs": ["again.z", "code.z"]},
    OUTPUT,
]
GRAPHS = {"both": BOTH, "one": ONE, "stacked": STACKED, "used again": USED_AGAIN}


def build(layers, **changes):
    return nnreg.build(spec(layers, **changes), data=(X, Y))


def context_of(network, gradient=None, **keywords):
    workspace = network.workspace(reuse=True)
    workspace.rng = np.random.default_rng(5)
    return network.context(workspace, gradient, **keywords)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_agree_with_central_differences(name, training):
    network = build(GRAPHS[name]).network
    gradient = np.zeros_like(network.vector)
    context = context_of(network, gradient, training=training, input_gradient=True)
    dy = np.random.default_rng(1).normal(size=(len(X), 1))
    x = X.copy()

    def run():
        context.workspace.rewind()
        context.workspace.rng = np.random.default_rng(5)
        return network.forward(x, context)

    def total():
        return float(np.sum(run()[0] * dy))

    expected = central_difference(total, network.vector), central_difference(total, x)
    gradient[...] = np.nan
    found = run()[1](dy)
    for one, other in zip((gradient, found), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7 * np.abs(other).max())


def test_a_gaussian_sample_is_the_mean_in_prediction_and_drawn_in_training():
    x = RNG.normal(size=(50_000, 2))
    x[:, 0], x[:, 1] = 3.0, np.log(4.0)
    workspace = Workspace(np.float64, reuse=False)
    workspace.rng = np.random.default_rng(0)
    context = Context({}, {}, {}, {}, workspace)
    (y, _), layer = GaussianSample().forward(x, context), GaussianSample()
    np.testing.assert_array_equal(y["z"], x[:, :1])
    np.testing.assert_allclose(y["kl"], 0.5 * (9 + 4 - np.log(4) - 1), rtol=1e-12)
    context.training = True
    z = layer.forward(x, context)[0]["z"]
    assert (round(z.mean(), 1), round(z.std(), 1)) == (3.0, 2.0)


def test_cross_attention_is_softmax_of_the_products_times_the_memory():
    query, memory = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4))
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    y, _ = CrossAttention().forward([query, memory], context)
    scores = np.exp(query @ memory.swapaxes(1, 2) / 2)
    expected = scores / scores.sum(axis=2, keepdims=True) @ memory
    np.testing.assert_allclose(y, expected, rtol=1e-12)


@pytest.mark.parametrize("name", GRAPHS)
def test_it_saves_and_resumes_bit_identically(name, tmp_path):
    require_saved_and_resumed(spec(GRAPHS[name]), (X, Y), tmp_path)


ERRORS = {
    "not named": (
        [DENSE, "gaussian_sample", OUTPUT],
        "$.model.layers[2].inputs",
        "the layer before has several outputs, z, kl; name it, and read one of them, as in "
        "NAME.OUTPUT",
    ),
    "which output": (
        [DENSE, SAMPLE, OUTPUT],
        "$.model.layers[2].inputs",
        "'code' has several outputs; read one of code.z, code.kl",
    ),
    "unknown output": (
        [DENSE, SAMPLE, {**OUTPUT, "inputs": "code.k1"}],
        "$.model.layers[2].inputs",
        "'code' has no output 'k1'; choose one of kl, z",
    ),
    "output of a layer of one": (
        [{**DENSE, "name": "a"}, {**OUTPUT, "inputs": "a.z"}],
        "$.model.layers[1].inputs",
        "'a' has one output; write 'a'",
    ),
    "output of the input": (
        [{**OUTPUT, "inputs": "input.z"}],
        "$.model.layers[0].inputs",
        "'input' has one output; write 'input'",
    ),
    "use of an output": (
        [DENSE, SAMPLE, {"use": "code.z", "inputs": "code.z"}],
        "$.model.layers[2].use",
        "'code.z' is an output of a layer; name the layer, 'code'",
    ),
    "last": (
        [DENSE, SAMPLE],
        "$.model.layers[1]",
        "has several outputs, z, kl; read one of them in a last layer",
    ),
    "repeated": (
        [{"type": "stack", "times": 2, "layers": [DENSE, "gaussian_sample"], "name": "a"},
         {**OUTPUT, "inputs": "a.z"}],
        "$.model.layers[0]",
        "repeats layers with several outputs, z, kl; read one last",
    ),
    "odd": (
        [{**DENSE, "units": 3}, SAMPLE, {**OUTPUT, "inputs": "code.z"}],
        "$.model.layers[1]",
        "the input has shape (batch, 3), but this layer takes (..., 2 · features), means and "
        "logarithms of variances",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_reported_at_its_place(name):
    layers, path, message = ERRORS[name]
    with pytest.raises(SpecError) as caught:
        build(layers)
    assert (path, message) in [(one.path, one.message) for one in caught.value.problems]


def test_the_summary_and_the_diagram_show_the_outputs():
    model = build(BOTH)
    assert "z (batch, 2), kl (batch, 1)" in model.summary()
    assert "concat (reads code.kl, code.z, code.z)" in model.summary()
    assert boxes_of(model)[2].options == "reads code.kl, code.z, code.z"
    validator().validate(spec(BOTH))


@dataclass(frozen=True)
class Halves(Layer):
    """left, right = the halves of x

    Options:
        wrong: what it does wrong
    """

    wrong: str = ""

    def build(self, shape, builder):
        half = (shape[0] // 2,)
        return {"left": half, "right": half}

    def forward(self, x, context):
        left, right = np.split(x, 2, axis=1)

        def backward(dy):
            if self.wrong == "gradient":
                return np.concatenate([dy["left"], -dy["right"]], axis=1)
            return np.concatenate([dy["left"], dy["right"]], axis=1)

        if self.wrong == "names":
            return {"left": left}, backward
        if self.wrong == "one":
            return left, backward
        return {"left": left, "right": right}, backward


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("gradient", "the gradient of its input is not that of its output"),
        ("names", "expected a dictionary with the outputs of build, left, right"),
        ("one", "expected a dictionary with the outputs of build, left, right"),
    ],
)
def test_a_layer_of_a_plugin_with_several_outputs_is_checked(wrong, message, tmp_path):
    nnreg.register("halves", Halves)
    try:
        layers = [
            {**DENSE, "name": "hidden"},
            {"type": "halves", "name": "two"},
            {"type": "multiply", "inputs": ["two.left", "two.right"]},
            OUTPUT,
        ]
        model = nnreg.run(spec(layers), data=(X, Y))
        nnreg.save(model, tmp_path / "m.h5")
        np.testing.assert_array_equal(nnreg.load(tmp_path / "m.h5").predict(X), model.predict(X))
        layers[1]["wrong"] = wrong
        with pytest.raises(PluginError, match=message):
            nnreg.run(spec(layers), data=(X, Y))
    finally:
        installed().remove("nnreg.register halves")
