"""An embedding and the mean of its vectors are computed together, with the same results."""

from types import SimpleNamespace

import numpy as np
import pytest

import nnreg
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces.kernels import Kernels
from nnreg.network.joined_layers import joined_layers

EMBEDDING = {"type": "embedding", "vocabulary": 9, "units": 5}
CLASSES = {"type": "dense", "units": "classes", "activation": "softmax"}
POOL = {"type": "global_average_pool"}
TOKENS = np.random.default_rng(0).integers(0, 9, (24, 7))
GRIDS = TOKENS[:, :6].reshape(24, 2, 3)
LISTS = [row[: 1 + n % 7] for n, row in enumerate(TOKENS)]


def built(layers, x, **train):
    spec = {
        "model": {"layers": [*layers, CLASSES]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {"epochs": 2, "batch_size": 5, "kernels": "numpy", **train},
    }
    return nnreg.build(spec, data=(x, np.arange(len(x)) % 3))


@pytest.mark.parametrize("kernels", [Kernels(), NumbaKernels()], ids=["numpy", "numba"])
@pytest.mark.parametrize("x", [TOKENS, GRIDS, LISTS], ids=["tokens", "grids", "lists"])
@pytest.mark.parametrize("freeze", [[], ["layers/0"]])
def test_a_mean_of_vectors_is_the_same_as_layer_by_layer(x, kernels, freeze):
    if kernels.missing():
        pytest.skip(kernels.missing())
    found = []
    for joined in (True, False):
        model = built([EMBEDDING, POOL], x, freeze=freeze)
        model.network.kernels = kernels
        assert model.network.joined
        if not joined:
            model.network.joined = {}
        for _ in model.trainer(model.examples(x, np.arange(len(x)) % 3)).epochs():
            pass
        found.append((model.network.vector.copy(), model.predict(x)))
    tolerance = 0 if type(kernels) is Kernels else 1e-5
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kernels", [Kernels(), NumbaKernels()], ids=["numpy", "numba"])
def test_an_index_outside_of_the_table_is_refused_before_it_is_read(kernels):
    if kernels.missing():
        pytest.skip(kernels.missing())
    network = built([EMBEDDING, POOL], TOKENS).network
    network.kernels = kernels
    with pytest.raises(IndexError):
        network.forward(np.full((2, 7), 9), network.reused_context())


def test_layers_of_a_graph_run_one_by_one():
    add = {"type": "add", "inputs": ["mean", "mean"]}
    graph = built([EMBEDDING, {**POOL, "name": "mean"}, add], TOKENS)
    assert not graph.network.joined
    assert graph.predict(TOKENS).shape == (24, 3)


def test_of_three_layers_two_are_joined():
    def layer(joined):
        return SimpleNamespace(joined=lambda following: "both" if joined else None)

    def joined(*layers):
        own = SimpleNamespace(wire=None)
        children = {str(index): (one, own) for index, one in enumerate(layers)}
        return joined_layers(SimpleNamespace(children=children))

    assert joined(layer(True), layer(True), layer(False)) == {"0": "both"}
    assert joined(layer(False), layer(True), layer(False)) == {"1": "both"}
    assert joined(layer(True)) == {}
