"""An activation as a layer computes what the activation does, with arrays of the workspace."""

import numpy as np
import pytest

from nnreg.builtin import activations
from nnreg.builtin.components import ACTIVATIONS
from nnreg.builtin.layers.dense import ActivationLayer
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.trainable_activation import TrainableActivation

NAMES = [reference.partition(":")[2] for reference in ACTIVATIONS.values()]


@pytest.mark.parametrize("shape", [(4, 6), (80, 100)])
@pytest.mark.parametrize("name", NAMES)
def test_the_layer_gives_the_bits_of_the_activation_and_keeps_its_input(name, shape):
    activation = getattr(activations, name)()
    if isinstance(activation, TrainableActivation):
        pytest.skip("its layer calls it as it is")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 5, *shape)).astype(np.float32)
    before = x.copy()
    y, backward = activation.forward(x)
    context = Context({}, {}, {}, {}, Workspace(np.float32, reuse=True), training=True)
    found, found_backward = ActivationLayer(activation).forward(x, context)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(found_backward(dy), backward(dy))
