"""Threads share networks with time steps only where kernels compute all steps in one call."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Layer
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces.kernels import Kernels, combine
from nnreg.network.time_steps import calls_in_time_steps, has_time_steps
from nnreg.training.parallelism import MAX_SHARDS, shard_count

LSTM = {"type": "lstm", "units": 32}
CONVOLUTION = {"type": "conv1d", "filters": 256, "padding": "same"}
X = np.zeros((512, 16, 3), "f4")


def built(*layers, dtype="float32", kernels=None, **train):
    output = {"type": "dense", "units": 1}
    spec = {
        "model": {"layers": [*layers, "flatten", output], "dtype": dtype},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"kernels": "numpy", "batch_size": 128, **train},
    }
    model = nnreg.build(spec, data=(X, np.zeros(len(X))))
    model.network.kernels = kernels or NumbaKernels()
    return model


def shards(model):
    network, settings = model.network, model.spec.train
    return shard_count(network, model.evaluation, settings, len(X))


@dataclass(frozen=True)
class Stepwise(Layer):
    """A layer with a loop over the time steps."""

    independent = True

    def build(self, shape, builder):
        builder.sequence_length = shape[0]
        builder.activation_count = 10**6
        return shape

    def forward(self, x, context):
        return x, lambda dy: dy


def both_directions(layer):
    return {"type": "bidirectional", "layer": layer}


@pytest.mark.usefixtures("registering")
@pytest.mark.parametrize(
    ("layers", "dtype", "expected"),
    [
        ([LSTM], "float32", 4),
        ([both_directions(LSTM)], "float32", 4),
        ([CONVOLUTION, {**LSTM, "sequences": True}, LSTM], "float32", 4),
        ([CONVOLUTION], "float32", MAX_SHARDS),
        ([LSTM], "float64", 1),
        ([{**LSTM, "projection": 8}], "float32", 1),
        ([{"type": "gru", "units": 64}], "float32", 1),
        ([{"type": "simple_rnn", "units": 128}], "float32", 1),
        ([both_directions({"type": "gru", "units": 64})], "float32", 1),
        ([CONVOLUTION, {"type": "gru", "units": 64, "sequences": True}, LSTM], "float32", 1),
        (["stepwise"], "float32", 1),
    ],
)
def test_shards_have_many_sequences_and_few_calls(layers, dtype, expected):
    """Shards of eight sequences of 50 steps were twice as slow as a whole batch."""
    nnreg.register("stepwise", Stepwise)
    model = built(*layers, dtype=dtype)
    network = model.network
    assert 128 * network.activations_per_example > max(250_000, network.vector.size)
    assert shards(model) == expected
    assert network._shares(128) is (expected > 1)
    network.kernels = Kernels()
    assert shards(model) == (1 if has_time_steps(network.plan) else MAX_SHARDS)
    assert network._shares(128) is not has_time_steps(network.plan)


def test_the_number_of_sequences_limits_the_shards():
    for batch, expected in ((128, 4), (95, 2), (63, 1)):
        assert shards(built({**LSTM, "units": 128}, batch_size=batch)) == expected
    assert shards(built(LSTM, batch_size=16, shards=5)) == 5  # the spec decides


def test_kernels_that_combine_with_those_of_steps_have_them():
    class Other(Kernels):
        few_calls = True

        def relu(self, x, bias, scratch):
            raise NotImplementedError

    plan = built(LSTM).network.plan
    for kernels, expected in (
        (Other(), True),  # that they have few calls elsewhere says nothing of the steps
        (combine([Other(), NumbaKernels()]), False),
        (combine([NumbaKernels(), Other()]), False),
    ):
        assert calls_in_time_steps(plan, kernels, np.dtype("f4")) is expected
