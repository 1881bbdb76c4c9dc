"""Predictions by a convolution and its pooling as one: those of the layers one after the other."""

import copy

import numpy as np
import pytest

import nnreg
from nnreg.builtin.layers.convolution import PooledConvolution

CONV = {"type": "conv2d", "filters": 4, "activation": "relu"}
POOL, FLAT = {"type": "max_pool2d"}, {"type": "flatten"}
OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}
IMAGES = np.random.default_rng(0).normal(size=(5, 9, 8)).astype("f4")


def model(*layers, kernels="numpy", **settings):
    spec = {
        "model": {"layers": [*layers, FLAT, OUTPUT], **settings},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {"kernels": kernels, "epochs": 1},
    }
    return nnreg.build(spec, data=(IMAGES, np.arange(5) % 3))


def joined(network):
    found = [getattr(one, "__self__", None) for one in network.joined.values()]
    return [type(one) is PooledConvolution for one in found].count(True)


def one_by_one(network, x):
    """Return the scores of a pass whose backward functions may be called."""
    gradient = np.zeros_like(network.vector)
    return network.forward(x, network.context(network.workspace(reuse=False), gradient))[0]


LISTS = {
    "relu": ([CONV, POOL], 1),
    "no activation": ([{**CONV, "activation": "identity"}, POOL], 1),
    "no bias": ([{**CONV, "bias": False}, POOL], 1),
    "two": ([CONV, {"type": "max_pool2d", "size": 2, "stride": 1}, CONV, POOL], 2),
    "padding": ([{**CONV, "padding": "same", "stride": 2}, POOL], 1),
    "only the last of two": ([CONV, CONV, POOL], 1),
    "two poolings": ([CONV, POOL, POOL], 1),
    "another activation": ([{**CONV, "activation": "tanh"}, POOL], 0),
    "a trained activation": ([{**CONV, "activation": "prelu"}, POOL], 0),
    "groups": ([CONV, {**CONV, "groups": 2}, POOL], 0),
    "padded with the edge": ([{**CONV, "padding": 1, "padding_mode": "edge"}, POOL], 0),
    "padded pooling": ([CONV, {**POOL, "padding": 1}], 0),
    "mean": ([CONV, {"type": "average_pool2d"}], 0),
    "a graph": (
        [
            {**CONV, "name": "a"},
            {**POOL, "size": 1, "name": "b"},
            {"type": "add", "inputs": ["a", "b"]},
        ],
        0,
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_predictions_have_the_same_bits_with_numpy(name):
    layers, count = LISTS[name]
    network = model(*layers).network
    assert joined(network) == count
    x = IMAGES.reshape(5, *network.input_shape)
    np.testing.assert_array_equal(network.logits(x), one_by_one(network, x))


def test_predictions_with_numba_are_those_of_its_layers():
    pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")
    wide = {**CONV, "filters": 16, "padding": "same"}
    network = model(wide, POOL, wide, POOL, kernels="numba").network
    assert joined(network) == 2
    expected = one_by_one(network, IMAGES.reshape(5, *network.input_shape))
    np.testing.assert_allclose(network.logits(IMAGES), expected, rtol=1e-5, atol=1e-5)


def test_members_and_copies_predict_the_same_as_layers_one_by_one():
    trained = model(CONV, POOL, members=2)
    assert [joined(trained.network.member(n)) for n in range(2)] == [1, 1]
    x = IMAGES.reshape(5, *trained.network.input_shape)
    expected = one_by_one(trained.network, x)
    np.testing.assert_array_equal(trained.network.logits(x), expected)
    np.testing.assert_array_equal(copy.deepcopy(trained.network).logits(x), expected)


def test_saved_models_predict_the_same_bits_on_any_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.network.prediction.MAX_CHUNK_ROWS", 2)
    monkeypatch.setattr("nnreg.network.prediction.MIN_CHUNK_ROWS", 2)
    monkeypatch.setattr("nnreg.network.network.MIN_CHUNK_ACTIVATIONS", 1)
    before = model(CONV, POOL)
    before.fit(IMAGES, np.arange(5) % 3)
    nnreg.save(before, tmp_path / "model.h5")
    after = nnreg.load(tmp_path / "model.h5")
    expected = before.predict(IMAGES)
    for threads in (1, 2):
        after.network.threads = threads
        np.testing.assert_array_equal(after.predict(IMAGES), expected)


def test_the_backward_function_of_a_prediction_cannot_be_called():
    network = model(CONV, POOL).network
    context = network.context(network.workspace(reuse=False))
    own, following = context.children["layers/0"], context.children["layers/1"]
    assert own.only_forward
    x = IMAGES.reshape(5, *network.input_shape)
    y, backward = network.joined["layers/0"](x, own, following)
    with pytest.raises(NotImplementedError, match="no backward function"):
        backward(y)
