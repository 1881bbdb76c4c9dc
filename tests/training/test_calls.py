"""Small networks are bound by the number of calls: that of a training step must not grow."""

import numpy as np
import pytest

import nnreg
from tests.helpers.work import calls

LAYERS = [
    {"type": "dense", "units": 16, "activation": "relu"},
    {"type": "dense", "units": 8, "activation": "relu"},
    {"type": "dense", "units": 3},
]
GRAPH = [
    {"type": "dense", "units": 4, "name": "change", "inputs": "input"},
    {"type": "add", "inputs": ["input", "change"]},
    {"type": "dense", "units": 3},
]
BATCH = 32


def calls_per_step(layers, optimizer, **train):
    """Return the calls, of Python and C functions, of each further step of an epoch."""

    def epoch(steps):
        rng = np.random.default_rng(0)
        x, y = (rng.normal(size=(steps * BATCH, size)) for size in (4, 3))
        spec = {
            "model": {"layers": layers},
            "loss": "mean_squared_error",
            "optimizer": optimizer,
            "train": {"batch_size": BATCH, **train},
        }
        model = nnreg.build(spec, data=(x, y))
        model.fit(x, y, epochs=1)
        return calls(lambda: model.fit(x, y, epochs=1))

    return (epoch(30) - epoch(10)) / 20


@pytest.mark.parametrize(
    ("layers", "optimizer", "most"),
    [(LAYERS, "sgd", 142), (LAYERS, "adam", 148), (GRAPH, "sgd", 132)],
    ids=["chain sgd", "chain adam", "graph sgd"],
)
def test_a_step_makes_no_more_calls_than_it_did(layers, optimizer, most):
    assert calls_per_step(layers, optimizer) <= most


def test_reproducible_products_of_a_small_network_cost_no_calls():
    assert calls_per_step(LAYERS, "sgd", reproducible=True) <= calls_per_step(LAYERS, "sgd")
