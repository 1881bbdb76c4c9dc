"""Activations with parameters in networks of sequences of different lengths."""

import numpy as np
import pytest

import nnreg
from tests.helpers.masked import with_values_at_masked_steps
from tests.helpers.trainable import PRelu, TrainableSwish

RNG = np.random.default_rng(0)
SEQUENCES = [RNG.normal(size=(steps, 2)) for steps in (3, 1, 4, 2)]
Y = RNG.normal(size=4)
PRELU = {"type": "dense", "units": 3, "activation": "prelu"}
SWISH = {"type": "activation", "activation": "trainable_swish"}
MEAN = [{"type": "global_average_pool"}, {"type": "dense", "units": 1}]
PLACES = {
    "dense": [PRELU, *MEAN],
    "layer": [SWISH, *MEAN],
    "after a recurrence": [{"type": "lstm", "units": 3, "sequences": True}, SWISH, *MEAN],
    "residual": [PRELU, {"type": "residual", "layers": [PRELU, SWISH]}, *MEAN],
    "stack": [{"type": "stack", "times": 2, "layers": [PRELU]}, *MEAN],
    "join": [
        {**PRELU, "name": "tower"},
        {**SWISH, "name": "swish"},
        {"use": "tower", "inputs": "input", "name": "again"},
        {"type": "multiply", "inputs": ["swish", "again"]},
        {"type": "multi_head_attention", "heads": 1},
        *MEAN,
    ],
}


@pytest.fixture(autouse=True)
def _plugin(registering):
    nnreg.register("prelu", PRelu)
    nnreg.register("trainable_swish", TrainableSwish)


def outputs_and_gradient(network, x):
    """Return the outputs, and the gradient of their sum."""
    gradient = np.full_like(network.vector, np.nan)
    context = network.context(network.workspace(reuse=True), gradient, training=True)
    y, backward = network.forward(x, context)
    backward(np.ones_like(y))
    return y.copy(), gradient


@pytest.mark.parametrize("layers", PLACES.values(), ids=PLACES)
def test_they_keep_the_mask(layers):
    spec = {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 2},
    }
    network = nnreg.build(spec, data=(SEQUENCES, Y)).network
    padded = nnreg.Padded.of(SEQUENCES)
    y, gradient = outputs_and_gradient(network, padded)
    for x in (padded.resized(9), with_values_at_masked_steps(padded)):
        for found, expected in zip(outputs_and_gradient(network, x), (y, gradient), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_target_per_step_is_compared_behind_them():
    spec = {
        "model": {"layers": [PRELU, SWISH, {"type": "dense", "units": 2}]},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 2, "threads": 2, "batch_size": 4},
    }
    model = nnreg.build(spec, data=(SEQUENCES, SEQUENCES))
    model.fit(SEQUENCES, SEQUENCES)
    assert [len(one) for one in model.predict(SEQUENCES)] == [3, 1, 4, 2]
