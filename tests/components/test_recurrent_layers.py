"""What is special to recurrent layers and to layers around a layer."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.activations import Softmax
from nnreg.builtin.layers.composition import Residual, Stack
from nnreg.builtin.layers.dense import Dense, Dropout
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.normalization import BatchNorm
from nnreg.builtin.layers.recurrent import Gru, SimpleRnn
from nnreg.builtin.layers.wrappers import Bidirectional, TimeDistributed
from nnreg.interfaces import LayerBuilder
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass

X = np.random.default_rng(0).normal(size=(4, 5, 3))
LENGTHS = {"0": np.array([5, 2, 0, 1])}


@pytest.mark.parametrize("cls", [SimpleRnn, Gru, Lstm])
def test_steps_read_backwards_are_those_of_the_reversed_sequence(cls):
    y, dx = Pass(LayerCase(cls(3, sequences=True, backwards=True), X)).run()
    tried = Pass(LayerCase(cls(3, sequences=True), X[:, ::-1]))
    tried.dy = tried.dy[:, ::-1]
    found, dx_found = tried.run()
    np.testing.assert_array_equal(found[:, ::-1], y)
    np.testing.assert_array_equal(dx_found[:, ::-1], dx)


@pytest.mark.parametrize("cls", [SimpleRnn, Gru, Lstm])
def test_the_backward_direction_starts_at_the_last_step_of_each_sequence(cls):
    y, _ = MaskedPass(LayerCase(Bidirectional(cls(3, sequences=True)), X), LENGTHS).run()
    for row, length in enumerate(LENGTHS["0"]):
        alone = LayerCase(Bidirectional(cls(3, sequences=True)), X[row : row + 1, : max(length, 1)])
        found, _ = Pass(alone).run()
        np.testing.assert_allclose(y[row, :length], found[0, :length], rtol=1e-12)


def test_the_h_of_a_sequence_without_steps_is_zero_in_both_directions():
    y, dx = MaskedPass(LayerCase(Bidirectional(Lstm(3, projection=2)), X), LENGTHS).run()
    assert not np.any(y[2])
    assert not np.any(dx[2])


def test_an_activation_over_an_axis_is_over_the_units_of_a_recurrent_layer():
    y, _ = Pass(LayerCase(SimpleRnn(3, sequences=True, activation=Softmax()), X)).run()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [SimpleRnn(3), Gru(3), Lstm(3, projection=2), Bidirectional(Gru(3)), TimeDistributed(Dense(2))],
    ids=str,
)
def test_the_first_layer_computes_no_gradient_of_its_input(layer):
    tried = Pass(LayerCase(layer, X), input_gradient=False)
    _, backward = layer.forward(X, tried.inner)
    assert backward(tried.dy) is None


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (Dense(3), "Dense does not read steps in an order; bidirectional takes a recurrent layer"),
        (Stack((Gru(3),)), "Stack does not read steps in an order"),
    ],
)
def test_bidirectional_refuses_a_layer_without_a_direction(layer, problem):
    with pytest.raises(SpecError, match=rf"\$\.layers\[0\]\.layer: {problem}"):
        LayerBuilder("$").layer("layers/0", Bidirectional(layer), (5, 3), path="$.layers[0]")


@pytest.mark.parametrize("layer", [BatchNorm(), Residual((Dense(3), BatchNorm()))], ids=str)
def test_time_distributed_refuses_a_layer_that_would_see_the_padding(layer):
    Pass(LayerCase(TimeDistributed(layer), X)).run()
    with pytest.raises(SpecError, match=r"layer: BatchNorm would combine steps .* padding"):
        MaskedPass(LayerCase(TimeDistributed(layer), X), LENGTHS)


def test_time_distributed_gives_the_layer_one_batch_of_all_steps():
    tried = Pass(LayerCase(TimeDistributed(BatchNorm()), X))
    y, dx = tried.run()
    other = Pass(LayerCase(BatchNorm(), X.reshape(20, 3)))
    other.dy = tried.dy.reshape(20, 3)
    found, dx_found = other.run()
    np.testing.assert_array_equal(y.reshape(20, 3), found)
    np.testing.assert_array_equal(dx.reshape(20, 3), dx_found)
    np.testing.assert_array_equal(tried.network.state_vector, other.network.state_vector)


def test_time_distributed_counts_the_values_of_all_steps():
    builder = LayerBuilder("$")
    layer = TimeDistributed(Residual((Dense(3), Dropout())))
    builder.layer("layers/0", layer, (5, 3))
    _, plan = builder.children["layers/0"]
    inner = plan.children["layer"][1]
    total = (
        plan.activations
        + inner.activations
        + sum(child.activations for _, child in inner.children.values())
    )
    assert total == 15 + 5 * (3 + 3 + 3)


SPEC = {
    "model": {
        "layers": [
            {"type": "bidirectional", "layer": {"type": "gru", "units": 4, "sequences": True}},
            {"type": "lstm", "units": 4, "projection": 3, "backwards": True},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]
    },
    "loss": "cross_entropy",
    "optimizer": "adam",
    "train": {"epochs": 4},
}


def test_a_saved_network_predicts_and_resumes_with_the_same_bits(tmp_path):
    x, y = np.resize(X, (12, 5, 3)), np.array(["a", "b", "c"] * 4)
    whole = nnreg.build(SPEC, data=(x, y))
    whole.fit(x, y, epochs=4)
    part = nnreg.build(SPEC, data=(x, y))
    part.fit(x, y, epochs=2)
    nnreg.save(part, tmp_path / "part.h5")
    part = nnreg.load(tmp_path / "part.h5")
    part.fit(x, y, epochs=2)
    np.testing.assert_array_equal(part.predict(x), whole.predict(x))


def test_the_parameters_of_both_directions_have_names():
    model = nnreg.build(SPEC, data=(X, np.array(["a", "b", "c", "a"])))
    shapes = {name: values.shape for name, values in model.parameters.items()}
    assert shapes["layers/0/forward/weight"] == shapes["layers/0/backward/weight"] == (3, 12)
    assert shapes["layers/0/backward/recurrent_bias"] == (4,)
    assert shapes["layers/1/recurrent"] == (3, 16)
    assert shapes["layers/1/projection_weight"] == (4, 3)
