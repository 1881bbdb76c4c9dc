"""Activations beside those of PyTorch: values and gradients within 1e-6 in float64."""

import pytest

from nnreg.builtin import activations as act
from tests.parity.comparison import RNG, X, close

pytestmark = pytest.mark.verify


ACTIVATIONS = [
    (act.Relu(), "relu", {}),
    (act.LeakyRelu(0.2), "leaky_relu", {"negative_slope": 0.2}),
    (act.Sigmoid(), "sigmoid", {}),
    (act.Tanh(), "tanh", {}),
    (act.Softmax(), "softmax", {"dim": -1}),
    (act.Elu(0.7), "elu", {"alpha": 0.7}),
    (act.Selu(), "selu", {}),
    (act.Gelu(), "gelu", {"approximate": "tanh"}),
    (act.Gelu(exact=True), "gelu", {}),
    (act.Silu(), "silu", {}),
    (act.Softplus(), "softplus", {}),
    (act.Softsign(), "softsign", {}),
]


@pytest.mark.parametrize(("activation", "name", "options"), ACTIVATIONS, ids=repr)
def test_an_activation_is_pytorchs(torch, activation, name, options):
    x, dy = torch.tensor(X, requires_grad=True), RNG.normal(size=X.shape)
    expected = getattr(torch.nn.functional, name)(x, **options)
    expected.backward(torch.tensor(dy))
    y, backward = activation.forward(X)
    close(y, expected)
    close(backward(dy), x.grad)
