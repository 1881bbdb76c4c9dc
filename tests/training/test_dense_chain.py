"""Which networks are chains of dense layers, and where their arrays are."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin.activations import Identity, Relu, Softmax, Tanh
from nnreg.interfaces.dense_chain import ChainLayer, DenseChain
from nnreg.network.dense_chain import dense_chain

OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}


def chain_of(*layers, x=None, **model):
    spec = {
        "model": {"layers": [*layers, OUTPUT], **model},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {"kernels": "numpy"},
    }
    x = np.zeros((6, 4), "f4") if x is None else x
    return dense_chain(nnreg.build(spec, data=(x, np.arange(6) % 3)).network)


def dense(units, **options):
    return {"type": "dense", "units": units, **options}


def test_a_chain_says_where_the_arrays_of_each_layer_are():
    layers = (
        dense(5, activation="relu"),
        {"type": "dropout", "rate": 0.25},
        dense(2, bias=False),
        {"type": "activation", "activation": "tanh"},
    )
    assert chain_of(*layers) == DenseChain(
        (
            ChainLayer(4, 5, 0, 20, Relu(), 0.25),
            ChainLayer(5, 2, 25, None, Tanh()),
            ChainLayer(2, 3, 35, 41, Identity()),
        ),
        Softmax(),
        44,
    )


def test_what_does_not_change_anything_is_left_out():
    same = chain_of({"type": "flatten"}, dense(5), {"type": "dropout", "rate": 0})
    assert same == chain_of(dense(5))


@pytest.mark.parametrize(
    "layers",
    [
        [dense(5), {"type": "batch_norm"}],
        [{"type": "dropout"}, dense(5)],
        [dense(5), {"type": "dropout"}, {"type": "dropout"}],
        [dense(5, activation="relu"), {"type": "activation", "activation": "tanh"}],
        [dense(5, activation="prelu")],
        [{**dense(5), "name": "a"}, {**dense(5), "name": "b", "inputs": "input"},
         {"type": "add", "inputs": ["a", "b"]}],
    ],
)  # fmt: skip
def test_other_networks_are_no_chains(layers):
    assert chain_of(*layers) is None


def test_inputs_of_other_shapes_and_ensembles_are_no_chains():
    assert chain_of({"type": "flatten"}, x=np.zeros((6, 2, 2), "f4")) is None
    assert chain_of(dense(5), members=2) is None
