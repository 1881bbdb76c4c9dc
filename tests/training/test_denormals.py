"""Long trainings keep no denormal numbers, with which arithmetic is slow on most processors."""

import numpy as np
import pytest

import nnreg
from nnreg._utils.denormals import zero_tiny
from nnreg.builtin.layers import recurrent
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.recurrent import Gru, SimpleRnn
from nnreg.kernels.numpy import recurrent as steps
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass
from nnreg.training import update
from nnreg.training.update import ExponentialMovingAverage
from tests.helpers.specs import regressor

HALF = {"beta1": 0.5, "beta2": 0.5}
OPTIMIZERS = [
    {"type": "sgd", "momentum": 0.5},
    {"type": "sgd", "momentum": 0.5, "nesterov": True},
    {"type": "adam", **HALF},
    {"type": "adamw", **HALF},
    {"type": "nadam", **HALF},
    {"type": "radam", **HALF},
    {"type": "adamax", "beta1": 0.5},
    {"type": "lion", "beta2": 0.5},
    {"type": "rmsprop", "rho": 0.5},
    {"type": "adadelta", "rho": 0.5},
    {"type": "lamb", **HALF},
    {"type": "schedule_free_adamw", "beta2": 0.5},
    {"type": "lookahead", "base": {"type": "adam", **HALF}},
]


def denormal(values):
    """Return how many values are denormal."""
    return int(np.sum((values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)))


def model_of(steps, optimizer, layers=(), **train):
    """Return a model and one row a step, of which the first alone has a value in its first column.

    The gradient of the weights of that column is 0 from the second step on.
    """
    x, y = np.ones((steps, 2)), np.linspace(-1, 1, steps)
    x[1:, 0] = 0
    network = {"layers": [*layers, {"type": "dense", "units": 1}]}
    train = {"epochs": 1, "batch_size": 1, "shuffle": False, **train}
    spec = regressor(model=network, optimizer=optimizer, train=train)
    return nnreg.build(spec, data=(x, y)), x, y


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o["type"])
def test_the_state_of_an_optimizer_without_gradients_becomes_0(optimizer, monkeypatch):
    model, x, y = model_of(140, optimizer)
    model.fit(x, y)
    vectors = model.training_state.optimizer_state
    assert not sum(map(denormal, vectors.values()))
    monkeypatch.setattr(update, "CLEARED_EVERY", 10**9)
    model, x, y = model_of(140, optimizer)
    model.fit(x, y)
    found = model.training_state.optimizer_state
    assert sum(map(denormal, found.values()))
    for name, values in vectors.items():
        np.testing.assert_allclose(values, found[name], rtol=1e-5, atol=1e-30)


def test_a_training_that_continues_clears_its_state_at_the_same_steps(tmp_path):
    optimizer = {"type": "sgd", "momentum": 0.5}
    whole, x, y = model_of(120, optimizer)
    whole.fit(x, y)
    first, _, _ = model_of(120, optimizer)
    first.fit(x[:48], y[:48])
    nnreg.save(first, tmp_path / "model.h5")
    resumed = nnreg.load(tmp_path / "model.h5")
    resumed.fit(x[48:], y[48:], epochs=1)
    states = [model.training_state.optimizer_state["velocity"] for model in (whole, resumed)]
    assert states[0].tobytes() == states[1].tobytes()
    assert 0 < np.min(np.abs(states[0])) < 1e-31  # it would be 0 if 32 steps after loading counted


def test_running_statistics_of_what_is_always_0_become_0():
    layers = [{"type": "batch_norm", "momentum": 0.5}]
    model, x, y = model_of(280, "sgd", layers, batch_size=2)
    model.fit(x, y)
    assert model.network.state_vector.size
    assert not denormal(model.network.state_vector)


def test_the_average_of_weights_that_are_0_becomes_0():
    network = model_of(1, "sgd")[0].network
    means = np.zeros_like(network.vector), np.zeros_like(network.state_vector)
    average = ExponentialMovingAverage(network, 0.5, means)
    for count in range(1, 141):
        network.vector[...] = count == 1
        average.add(count)
    assert not denormal(means[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_what_is_close_to_denormal_is_cleared(dtype):
    info = np.finfo(dtype)
    small = 2.0**27 * float(info.tiny)
    values = np.array([0, small, -small, info.max, np.inf, -np.inf, np.nan], dtype)
    same = values.copy()
    zero_tiny(same, np.empty_like(same))
    np.testing.assert_array_equal(same, values)
    tiny = np.array([info.tiny, -info.tiny, info.smallest_subnormal, 1e-31 * (dtype == np.float32)])
    tiny = tiny.astype(dtype)
    zero_tiny(tiny, np.empty_like(tiny))
    assert not tiny.any()


def run_of(layer, x, mask=None):
    """Return the gradients of a layer in float32, and all arrays of its passes."""
    if mask is None:
        run = Pass(LayerCase(layer, x), dtype=np.float32)
    else:
        run = MaskedPass(LayerCase(layer, x), {"0": mask}, dtype=np.float32)
    _, dx = run.run()
    return [run.gradient.copy(), dx], run.context.workspace._buffers.values()


@pytest.mark.parametrize("lengths", [None, np.array([330, 300])])
@pytest.mark.parametrize(
    "layer",
    [Lstm(3), Lstm(3, projection=2), SimpleRnn(3), Gru(3), Gru(3, reset_after=False)],
    ids=str,
)
def test_the_gradient_through_many_steps_is_0_where_it_vanishes(layer, lengths, monkeypatch):
    x = np.random.default_rng(0).normal(size=(2, 330, 2))
    found, arrays = run_of(layer, x, lengths)
    few = sum(denormal(array) for array in arrays if array.dtype.kind == "f")
    assert not found[1][:, 0].any()
    for module in (steps, recurrent):
        monkeypatch.setattr(module, "CLEARED_EVERY", 10**9)
    expected, arrays = run_of(layer, x, lengths)
    many = sum(denormal(array) for array in arrays if array.dtype.kind == "f")
    assert 20 * few < many, (few, many)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7 * np.max(np.abs(other)))


def test_steps_before_a_vanished_gradient_keep_their_own(monkeypatch):
    """The gradient of the output of an early step arrives after that of the last has vanished."""
    layer, x = Lstm(3, sequences=True), np.random.default_rng(0).normal(size=(2, 330, 2))
    results = []
    for every in (16, 10**9):
        monkeypatch.setattr(steps, "CLEARED_EVERY", every)
        run = Pass(LayerCase(layer, x), dtype=np.float32)
        run.dy[:, 20:-1] = 0
        results.append((run.run()[1], run.gradient))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-6, atol=1e-30)
    assert results[0][0][:, :20].all()
