"""How a training step is divided follows from the spec and the shapes of the data."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import Layer
from nnreg.builtin.initializers import Zeros
from nnreg.training.parallelism import divide


def divided(layers, x, **train):
    """Return how a network of these layers is trained, on any number of threads."""
    output = {"type": "dense", "units": "classes", "activation": "softmax"}
    spec = {
        "model": {"layers": [*layers, output]},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "train": {"batch_size": 128, "kernels": "numpy", **train},
    }
    model = nnreg.build(spec, data=(x, np.arange(len(x)) % 3))
    found = {
        replace(
            divide(model.network, model.evaluation, replace(model.spec.train, threads=n), len(x)),
            threads=None,
        )
        for n in (1, 2, 16)
    }
    assert len(found) == 1
    return found.pop()


def division(units, features=1000, layer="dense", **train):
    layers = [{"type": layer, "units": one} for one in units]
    return divided(layers, np.zeros((128, features), "f4"), **train)


LARGE, MIXED, MEDIUM, SMALL = (1000,), (1000, 300), (500,), (20,)


@pytest.mark.parametrize(
    ("units", "reproducible", "expected"),
    [
        (LARGE, None, (1, True, True)),
        (LARGE, True, (1, True, True)),
        (LARGE, False, (1, False, False)),
        (MIXED, None, (1, False, False)),  # a fifth of the operations would lose other threads
        (MIXED, True, (1, True, True)),
        (MIXED, False, (1, False, False)),
        (MEDIUM, None, (1, False, False)),
        (MEDIUM, True, (2, False, True)),
        (MEDIUM, False, (1, False, False)),
        (SMALL, None, (1, False, True)),
        (SMALL, True, (1, False, True)),
        (SMALL, False, (1, False, True)),
    ],
)
def test_large_products_are_computed_in_blocks_where_that_costs_little_or_on_request(
    units, reproducible, expected
):
    found = division(units, **({} if reproducible is None else {"reproducible": reproducible}))
    assert (found.shards, found.blocks, found.reproducible) == expected


def test_a_batch_of_few_rows_has_no_large_products():
    assert division(LARGE, batch_size=10**6).blocks
    assert not division(LARGE, batch_size=99).blocks


def test_the_table_of_an_embedding_is_no_product():
    """It used to leave every large vocabulary to the threads of the BLAS."""
    x = np.arange(128 * 4).reshape(128, 4) % 9000
    embedding = {"type": "embedding", "vocabulary": 9000, "units": 250}
    assert divided([embedding, "flatten", {"type": "dense", "units": 1000}], x).blocks
    small = divided([embedding, "global_average_pool"], x)
    assert small.reproducible
    assert not small.blocks


@dataclass(frozen=True)
class Plain(Layer):
    """y = x · weight, without `Context.workspace`"""

    units: int
    independent = True

    def build(self, shape, builder):
        builder.param("weight", (shape[-1], self.units), Zeros())
        return (self.units,)

    def forward(self, x, context):
        weight = context.params["weight"]

        def backward(dy):
            np.matmul(x.T, dy, out=context.gradients["weight"])
            return dy @ weight.T

        return x @ weight, backward


@pytest.mark.usefixtures("registering")
def test_products_that_a_layer_computes_itself_keep_the_threads_of_the_blas_by_default():
    nnreg.register("plain", Plain)
    assert not division(LARGE, layer="plain").reproducible
    assert division(LARGE, layer="plain", reproducible=True).reproducible
