"""Graphs of a few small layers, their data, and networks of them."""

import copy

import numpy as np
import pytest

import nnreg
from nnreg import SpecError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = X[:, 0] * X[:, 1]
DENSE = {"type": "dense", "units": 3, "activation": "tanh"}
OUTPUT = {"type": "dense", "units": 1}

SKIP = [
    {**DENSE, "name": "low"},
    DENSE,
    {**DENSE, "name": "high"},
    {"type": "concat", "inputs": ["high", "low"]},
    OUTPUT,
]
SHARED = [
    {**DENSE, "name": "tower"},
    {"use": "tower", "name": "again"},
    {"use": "again", "inputs": "input", "name": "first"},
    {"type": "multiply", "inputs": ["again", "first", "tower"]},
    OUTPUT,
]
TIED = [
    {"type": "dense", "units": 2, "name": "code"},
    {"type": "activation", "activation": "tanh"},
    {"use": "code", "transposed": True, "name": "decoded"},
    {"type": "subtract", "inputs": ["decoded", "input"]},
    OUTPUT,
]
NESTED = [
    {"type": "stack", "times": 2, "layers": [
        {**DENSE, "name": "a"},
        {**DENSE, "inputs": "input", "name": "b"},
        {"type": "residual", "layers": [{**DENSE, "name": "c"}, {"use": "c"}]},
        {"type": "add", "inputs": ["a", "b", "input"], "name": "sum"},
        {"type": "maximum", "inputs": ["sum", "2"]},
    ]},
    OUTPUT,
]  # fmt: skip
NESTED[0]["layers"][2]["name"] = "r"
NESTED[0]["layers"][4]["inputs"] = ["sum", "r"]
SHARED_BLOCK = [
    {"type": "residual", "layers": [DENSE, {"type": "layer_norm"}], "name": "block"},
    {"use": "block"},
    {"use": "block", "name": "third"},
    {"type": "average", "inputs": ["third", "block"]},
    OUTPUT,
]
GRAPHS = {
    "skip": SKIP,
    "shared": SHARED,
    "tied": TIED,
    "nested": NESTED,
    "shared block": SHARED_BLOCK,
}


def spec(layers, **changes):
    """Return a spec of these layers."""
    return {
        "model": {"layers": copy.deepcopy(layers), "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 3},
        **changes,
    }


def build(layers, **changes):
    """Return an untrained network of these layers."""
    return nnreg.build(spec(layers, **changes), data=(X, Y))


def problems(layers, **changes):
    """Return the path and the text of each problem of these layers."""
    with pytest.raises(SpecError) as caught:
        build(layers, **changes)
    return [(one.path, one.message) for one in caught.value.problems]
