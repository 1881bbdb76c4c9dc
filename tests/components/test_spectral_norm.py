"""Spectral normalization: the state of the power method, and the layers that it takes."""

from dataclasses import replace

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.activations import Softmax, Tanh
from nnreg.builtin.layers.convolution import Conv2d
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.spectral_norm import SpectralNorm
from nnreg.testing.finite_differences import central_difference
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.helpers.trained import require_saved_and_resumed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
LABELS = np.arange(40) % 3
SPEC = {
    "model": {
        "layers": [
            {"type": "spectral_norm", "layer": {"type": "dense", "units": 5, "activation": "tanh"}},
            {
                "type": "spectral_norm",
                "layer": {"type": "dense", "units": "classes", "activation": "softmax"},
            },
        ]
    },
    "loss": "cross_entropy",
    "optimizer": "adam",
    "train": {"epochs": 4, "batch_size": 8},
}


def tried(layer, shape, iterations=1, **options):
    x = np.random.default_rng(1).normal(size=(3, *shape))
    return Pass(LayerCase(SpectralNorm(layer, iterations), x), **options)


def test_the_largest_singular_value_of_the_weight_becomes_1():
    one = tried(Dense(3, bias=False), (4,), 300)
    y, _ = one.run()
    weight = one.network.parameters["layers/0/layer/weight"]
    largest = np.linalg.svd(weight, compute_uv=False)[0]
    np.testing.assert_allclose(y, one.x @ (weight / largest), rtol=1e-12)
    np.testing.assert_allclose(one.network.predict(one.x), y, rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), [(Dense(3, Tanh()), (4,)), (Conv2d(2), (4, 3, 2))])
def test_once_the_power_method_has_converged_the_gradient_is_exact(layer, shape, training):
    one = tried(layer, shape, training=training)
    weight = one.network.parameters["layers/0/layer/weight"]
    one.network.state_vector[:] = np.linalg.svd(weight.reshape(-1, weight.shape[-1]))[0][:, 0]
    _, dx = one.run()
    found = one.gradient.copy()
    expected = central_difference(one.loss, one.network.vector)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(dx, central_difference(one.loss, one.x), atol=1e-5)


def test_only_training_changes_the_state():
    one, trained = (tried(Dense(3), (4,), training=training) for training in (False, True))
    state = one.network.state_vector.copy()
    one.run()
    np.testing.assert_array_equal(one.network.state_vector, state)
    trained.run()
    found = trained.network.state_vector
    assert not np.allclose(found, state)
    np.testing.assert_allclose(np.linalg.norm(found), 1)


def test_evaluation_needs_no_training_before():
    """The estimate is a length for any state, so that outputs are never beyond all bounds."""
    one = tried(Dense(3, bias=False), (4,), training=False)
    weight = one.network.parameters["layers/0/layer/weight"]
    for seed in range(20):
        one.network.state_vector[:] = np.random.default_rng(seed).normal(size=4) * 10.0 ** (
            seed - 9
        )
        y, _ = one.run()
        sigma = (one.x @ weight / y).mean()
        np.testing.assert_allclose(y * sigma, one.x @ weight)
        singular = np.linalg.svd(weight, compute_uv=False)
        assert 0 < sigma <= singular[0] * (1 + 1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_a_weight_of_zeros_gives_finite_numbers_and_keeps_the_state(training):
    one = tried(Dense(3), (4,), training=training)
    one.network.vector[:] = 0
    state = one.network.state_vector.copy()
    y, dx = one.run()
    assert not y.any()
    assert not dx.any()
    assert np.isfinite(one.gradient).all()
    np.testing.assert_array_equal(one.network.state_vector, state)


def test_it_is_saved_and_resumed_with_the_same_bits(tmp_path):
    require_saved_and_resumed(SPEC, (X, LABELS), tmp_path)


def test_the_output_activation_is_that_of_the_layer_it_holds():
    layer = SpectralNorm(Dense(3, Softmax()))
    split, activation = layer.split_output_activation()
    assert activation == Softmax()
    assert split == replace(layer, layer=Dense(3))
    assert layer.output_range == (0, 1)
    model = nnreg.build(SPEC, data=(X, LABELS))
    assert model.network.output_activation == Softmax()
    np.testing.assert_allclose(model.predict(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "layer", ["flatten", "layer_norm", {"type": "separable_conv1d", "filters": 2}]
)
def test_a_layer_without_a_matrix_is_refused_at_its_place(layer):
    layers = [{"type": "spectral_norm", "layer": layer}, "flatten", SPEC["model"]["layers"][1]]
    with pytest.raises(SpecError, match=r"layers\[0\]\.layer: \w+ has no matrix 'weight'"):
        nnreg.build({**SPEC, "model": {"layers": layers}}, data=(X[:, :, None], LABELS))


def test_a_layer_of_integers_is_refused():
    embedding = {"type": "embedding", "vocabulary": 5, "units": 3}
    layers = [{"type": "spectral_norm", "layer": embedding}, "flatten", SPEC["model"]["layers"][1]]
    with pytest.raises(SpecError, match=r"layers\[0\]\.layer: this layer takes integers"):
        nnreg.build({**SPEC, "model": {"layers": layers}}, data=(X.astype(int) % 5, LABELS))
