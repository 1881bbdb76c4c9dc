"""What random layers draw: moments, whole channels, reproducible, and nothing in evaluation."""

import numpy as np
import pytest

from nnreg.builtin.layers import noise
from nnreg.testing.layer_pass import LayerCase, Pass

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 250))
LAYERS = {
    "alpha_dropout": (noise.AlphaDropout(0.3), (6,)),
    "gaussian_dropout": (noise.GaussianDropout(0.3), (6,)),
    "gaussian_noise": (noise.GaussianNoise(0.5), (6,)),
    "spatial_dropout1d": (noise.SpatialDropout1d(0.3), (3, 6)),
    "spatial_dropout2d": (noise.SpatialDropout2d(0.3), (3, 2, 6)),
    "spatial_dropout3d": (noise.SpatialDropout3d(0.3), (3, 2, 2, 6)),
}
WITHOUT = [
    noise.AlphaDropout(0),
    noise.GaussianDropout(0),
    noise.GaussianNoise(0),
    noise.SpatialDropout1d(0),
]


def run(layer, x, *, seed=5, training=True):
    """Return the output for a seed of the random numbers."""
    tried = Pass(LayerCase(layer, x), training=training)
    tried.context.workspace.rng = np.random.default_rng(seed)
    return tried.call(x.copy())[0].copy()


@pytest.mark.parametrize("name", LAYERS)
def test_noise_is_that_of_the_seed_in_training_and_none_in_evaluation(name):
    layer, shape = LAYERS[name]
    x = RNG.normal(size=(20, *shape))
    y = run(layer, x)
    np.testing.assert_array_equal(run(layer, x), y)
    assert not np.array_equal(run(layer, x, seed=6), y)
    assert not np.array_equal(y, x)
    tried = Pass(LayerCase(layer, x), training=False)
    tried.context.workspace.rng = None  # as in evaluation, where drawing is an error
    y, backward = tried.call(x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(backward(tried.dy), tried.dy)


@pytest.mark.parametrize("layer", WITHOUT, ids=str)
def test_without_noise_nothing_is_drawn(layer):
    x = X.reshape(400, 50, 5)
    np.testing.assert_array_equal(run(layer, x), x)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_the_mean_and_the_variance(rate):
    y = run(noise.AlphaDropout(rate), X)
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.var() == pytest.approx(1, abs=0.02)
    _, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(rate, abs=0.01)


def test_gaussian_dropout_multiplies_by_noise_of_the_variance_of_dropout():
    factor = run(noise.GaussianDropout(0.2), np.ones_like(X))
    assert factor.mean() == pytest.approx(1, abs=0.01)
    assert factor.var() == pytest.approx(0.25, abs=0.01)


def test_gaussian_noise_adds_noise_of_its_deviation():
    added = run(noise.GaussianNoise(0.3), X) - X
    assert added.mean() == pytest.approx(0, abs=0.005)
    assert added.std() == pytest.approx(0.3, abs=0.005)
    assert abs(np.corrcoef(added.ravel(), X.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_spatial_dropout_drops_whole_channels_and_keeps_the_mean(dims):
    layer = getattr(noise, f"SpatialDropout{dims}d")(0.4)
    y = run(layer, np.ones((200, *[2] * dims, 50)))
    channels = y.reshape(200, -1, 50)
    np.testing.assert_array_equal(channels, np.broadcast_to(channels[:, :1], channels.shape))
    assert np.mean(channels[:, 0] == 0) == pytest.approx(0.4, abs=0.02)
    assert np.unique(y) == pytest.approx([0, 1 / 0.6])
    assert len(np.unique(channels[:, 0], axis=0)) == 200
