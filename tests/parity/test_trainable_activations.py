"""The trained slopes of prelu beside PyTorch's: outputs and gradients within 1e-10 in float64."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin.activations import PRelu
from tests.parity.comparison import compare

pytestmark = pytest.mark.verify

X = np.random.default_rng(0).normal(size=(12, 3))
STEEPER = {"type": "prelu", "initializer": {"type": "constant", "value": 0.4}}
IMAGES = np.random.default_rng(1).normal(size=(4, 5, 5, 2))


def gradients(layers, x):
    """Return a model, its outputs, and the gradient of their sum by the names of parameters."""
    spec = {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 1},
    }
    model = nnreg.build(spec, data=(x, np.arange(len(x), dtype=float)))
    network = model.network
    gradient = np.zeros_like(network.vector)
    context = network.context(
        network.workspace(reuse=False), gradient, training=True, input_gradient=True
    )
    y, backward = network.forward(x, context)
    dx = backward(np.ones_like(y))
    named, start = {"x": dx}, 0
    for name, values in model.parameters.items():
        named[name] = gradient[start : start + values.size].reshape(values.shape)
        start += values.size
    return model, y, named


def compare_network(torch, layers, x, compute):
    model, y, found = gradients(layers, x)
    p = {"x": torch.tensor(x, requires_grad=True)}
    p |= {
        name: torch.tensor(values.copy(), requires_grad=True)
        for name, values in model.parameters.items()
    }
    expected = compute(torch.nn.functional, p)
    expected.sum().backward()
    assert found.keys() == p.keys()
    pairs = [(values, p[name].grad) for name, values in found.items()]
    compare(PRelu, "torch.nn.functional.prelu", [(y, expected)], pairs)


def test_in_dense_layers_and_shared_ones(torch):
    layers = [
        {"type": "dense", "units": 3, "activation": "prelu", "name": "tower"},
        {"use": "tower"},
        {"type": "activation", "activation": STEEPER},
        {"type": "dense", "units": 1},
    ]

    def compute(functional, p):
        def tower(x):
            z = x @ p["layers/tower/weight"] + p["layers/tower/bias"]
            return functional.prelu(z, p["layers/tower/activation/slope"])

        y = functional.prelu(tower(tower(p["x"])), p["layers/2/activation/slope"])
        return y @ p["layers/3/weight"] + p["layers/3/bias"]

    compare_network(torch, layers, X, compute)


def test_in_a_convolution(torch):
    layers = [
        {"type": "conv2d", "filters": 3, "kernel": 2, "activation": "prelu"},
        "global_average_pool",
        {"type": "dense", "units": 1},
    ]

    def compute(functional, p):
        weight = p["layers/0/weight"].permute(3, 2, 0, 1)
        z = functional.conv2d(p["x"].permute(0, 3, 1, 2), weight, p["layers/0/bias"])
        y = functional.prelu(z, p["layers/0/activation/slope"]).mean(dim=(2, 3))
        return y @ p["layers/2/weight"] + p["layers/2/bias"]

    compare_network(torch, layers, IMAGES, compute)
