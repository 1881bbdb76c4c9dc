"""Layers run on any array type that NumPy's dispatch protocols (NEP 13, NEP 18) carry.

`tests/conformance` checks every component in drawn configurations; these have layers and
activations as options.
"""

import numpy as np
import pytest

from nnreg.builtin import activations
from nnreg.builtin.layers import attention, composition, convolution, dense
from nnreg.builtin.layers.lstm import Lstm
from nnreg.testing import StrictArray
from nnreg.testing.layer_pass import LayerCase
from nnreg.testing.layers import dispatch

LAYERS = [
    (dense.Dense(3, activations.Relu()), (5,)),
    (dense.ActivationLayer(activations.Softmax()), (5,)),
    (convolution.Conv2d(3, padding="same", stride=2, activation=activations.Gelu()), (5, 4, 2)),
    (Lstm(2, sequences=True), (3, 2)),
    (composition.Residual((dense.Dense(5, activations.Sigmoid()), dense.Dropout(0.4))), (5,)),
    (attention.MultiHeadAttention(2, causal=True), (3, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_a_layer_dispatches(layer, shape):
    dispatch(LayerCase(layer, np.random.default_rng(0).normal(size=(4, *shape))))


def test_a_strict_array_has_the_methods_of_an_array_and_refuses_to_become_one():
    x = StrictArray(np.array([[1.0, 4.0], [9.0, 16.0]]))
    for result in (x.sum(axis=0), x.T, np.sqrt(x), x @ x, np.where(x > 2, x, 0), x[0]):
        assert isinstance(result, StrictArray)
    assert float(x.max()) == 16
    assert len(x) == 2
    x[0] = 0
    assert x.inner.tolist() == [[0, 0], [9, 16]]
    for convert in (np.asarray, np.array, lambda x: np.empty((2, 2)).__setitem__(0, x)):
        with pytest.raises(TypeError, match="converted to a NumPy array"):
            convert(x)
