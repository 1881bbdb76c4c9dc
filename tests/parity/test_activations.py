"""Activations beside those of PyTorch, or of Keras, in float64.

A row of the table has an activation, the peer's function and its options. Values and gradients are
compared at ordinary inputs, at kinks and far from 0; those that neither has, with their formula.
"""

import warnings

import numpy as np
import pytest

from nnreg.builtin import activations as act
from tests.parity.comparison import FORMULA, compare, name_of, require_all

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5)) * 3
FAR = np.array([[-1e4, -700.0, -40.0, -9.7], [9.7, 40.0, 79.0, 1e4], [-1e4, 1e4, -700.0, 700.0]])
KINKS = np.array([[-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0]])


def snake(torch, x, alpha):
    return x + torch.sin(alpha * x) ** 2 / alpha


def exponential(torch, x):
    return torch.exp(torch.clamp(x, max=80.0))


def sparsemax(torch, x):
    """Find the threshold by bisection: that of Keras is wrong up to version 3.15."""
    rows = x.detach()
    high = rows.max(dim=-1, keepdim=True).values
    low = high - 1
    for _ in range(60):
        middle = (low + high) / 2
        above = torch.clamp(rows - middle, min=0).sum(dim=-1, keepdim=True) > 1
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    inside = rows > high
    threshold = ((x * inside).sum(dim=-1, keepdim=True) - 1) / inside.sum(dim=-1, keepdim=True)
    return torch.clamp(x - threshold, min=0)


TORCH, KERAS = "torch.nn.functional", "keras.activations"
CASES = [
    (act.Identity(), KERAS, "linear", {}),
    (act.Relu(), TORCH, "relu", {}),
    (act.LeakyRelu(0.2), TORCH, "leaky_relu", {"negative_slope": 0.2}),
    (act.Relu6(), TORCH, "relu6", {}),
    (act.Threshold(), TORCH, "threshold", {"threshold": 1, "value": 0}),
    (act.Threshold(-0.5, 0.3), TORCH, "threshold", {"threshold": -0.5, "value": 0.3}),
    (act.Threshold(-0.5, 0.3), KERAS, "threshold", {"threshold": -0.5, "default_value": 0.3}),
    (act.Elu(0.7), TORCH, "elu", {"alpha": 0.7}),
    (act.Selu(), TORCH, "selu", {}),
    (act.Celu(), TORCH, "celu", {}),
    (act.Celu(0.5), TORCH, "celu", {"alpha": 0.5}),
    (act.Exponential(), None, exponential, {}),
    (act.Sigmoid(), TORCH, "sigmoid", {}),
    (act.LogSigmoid(), TORCH, "logsigmoid", {}),
    (act.HardSigmoid(), TORCH, "hardsigmoid", {}),
    (act.SparseSigmoid(), KERAS, "sparse_sigmoid", {}),
    (act.Tanh(), TORCH, "tanh", {}),
    (act.HardTanh(), TORCH, "hardtanh", {}),
    (act.Softsign(), TORCH, "softsign", {}),
    (act.Gelu(), TORCH, "gelu", {"approximate": "tanh"}),
    (act.Gelu(exact=True), TORCH, "gelu", {}),
    (act.Silu(), TORCH, "silu", {}),
    (act.HardSilu(), TORCH, "hardswish", {}),
    (act.Mish(), TORCH, "mish", {}),
    (act.Softplus(), KERAS, "softplus", {}),
    (act.Squareplus(), KERAS, "squareplus", {}),
    (act.Squareplus(0.25), KERAS, "squareplus", {"b": 0.25}),
    (act.SparsePlus(), KERAS, "sparse_plus", {}),
    (act.Snake(), None, snake, {"alpha": 1.0}),
    (act.Snake(2.5), None, snake, {"alpha": 2.5}),
    (act.HardShrink(), TORCH, "hardshrink", {}),
    (act.HardShrink(0.9), TORCH, "hardshrink", {"lambd": 0.9}),
    (act.SoftShrink(), TORCH, "softshrink", {}),
    (act.SoftShrink(0.9), TORCH, "softshrink", {"lambd": 0.9}),
    (act.TanhShrink(), TORCH, "tanhshrink", {}),
    (act.Softmax(), TORCH, "softmax", {"dim": -1}),
    (act.LogSoftmax(), TORCH, "log_softmax", {"dim": -1}),
    (act.Softmin(), TORCH, "softmin", {"dim": -1}),
    (act.Sparsemax(), None, sparsemax, {}),
]

AT_KINKS = {"hardswish": [-3.0, 3.0]}
"""Where a peer's derivative at a kink is another one of those between the slopes on both sides."""

LESS_EXACT = {"squareplus": FAR, "gelu": FAR, "softplus": FAR}
"""Where a peer loses digits: Keras subtracts nearly equal numbers, PyTorch clips."""

SINGLE = {"hardsigmoid": 1e-7, "celu": 1e-6}
"""Relative differences from peers whose slope, or 1 / alpha, is a constant in float32."""


def of_peer(request, library, function, x, dy, options):
    """Return the value and the gradient of a peer."""
    torch = request.getfixturevalue("torch")
    leaf = torch.tensor(x, requires_grad=True)
    if library is None:
        y = function(torch, leaf, **options)
    elif library == TORCH:
        y = getattr(torch.nn.functional, function)(leaf, **options)
    else:
        keras = request.getfixturevalue("keras")
        y = getattr(keras.activations, function)(leaf, **options)
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), leaf.grad.numpy()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
@pytest.mark.parametrize("x", [X, KINKS, FAR], ids=["ordinary", "kinks", "far"])
def test_an_activation_is_that_of_another_library(request, case, x):
    activation, library, function, options = case
    if LESS_EXACT.get(function) is x:
        pytest.skip("the other library is less exact there")
    dy = np.random.default_rng(1).normal(size=x.shape)
    dy[np.isin(x, AT_KINKS.get(function, [])) & (x is KINKS)] = 0
    expected, expected_gradient = of_peer(request, library, function, x.copy(), dy, options)
    with warnings.catch_warnings(action="error"), np.errstate(over="raise", invalid="raise"):
        y, backward = activation.forward(x)
        dx = backward(dy)
    peer = f"{library}.{function}" if library else FORMULA
    compare(
        activation, peer, [(y, expected)], [(dx, expected_gradient)],
        rtol=SINGLE.get(function, 1e-10),
    )  # fmt: skip


def test_every_built_in_activation_is_compared():
    """That with parameters is compared in `test_trainable_activations`."""
    require_all("activation", {name_of(case[0]) for case in CASES} | {"prelu"})
