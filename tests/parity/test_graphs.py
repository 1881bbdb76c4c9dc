"""Graphs of layers beside the same computation in PyTorch: gradients within 1e-10 in float64."""

import numpy as np
import pytest

import nnreg
from tests.model.graph_specs import SHARED, SHARED_BLOCK, SKIP, TIED, X, Y, spec
from tests.model.output_specs import PRICE, STYLE, build
from tests.model.output_specs import X as HEADS_X

pytestmark = pytest.mark.verify


def of_torch(torch, model, compute):
    """Return outputs and gradients, by our names, of a function of the input and parameters."""
    p = {
        name.removeprefix("layers/"): torch.tensor(values.copy(), requires_grad=True)
        for name, values in model.parameters.items()
    }
    y = compute(torch.tensor(X), p)
    y.backward(torch.ones_like(y))
    return y.detach().numpy(), {name: values.grad.numpy() for name, values in p.items()}


def ours(model):
    network = model.network
    gradient = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=True), gradient, training=True)
    y, backward = network.forward(X, context)
    y = y.copy()
    backward(np.ones_like(y))
    named, start = {}, 0
    for name, param in network.params.items():
        size = int(np.prod(param.shape))
        named[name.removeprefix("layers/")] = gradient[start : start + size].reshape(param.shape)
        start += size
    return y, named


def skip(torch, x, p):
    low = torch.tanh(x @ p["low/weight"] + p["low/bias"])
    middle = torch.tanh(low @ p["1/weight"] + p["1/bias"])
    high = torch.tanh(middle @ p["high/weight"] + p["high/bias"])
    return torch.cat([high, low], dim=1) @ p["4/weight"] + p["4/bias"]


def shared(torch, x, p):
    def tower(x):
        return torch.tanh(x @ p["tower/weight"] + p["tower/bias"])

    return (tower(tower(x)) * tower(x) * tower(x)) @ p["4/weight"] + p["4/bias"]


def tied(torch, x, p):
    code = torch.tanh(x @ p["code/weight"] + p["code/bias"])
    return (code @ p["code/weight"].T - x) @ p["4/weight"] + p["4/bias"]


def shared_block(torch, x, p):
    def block(x):
        inner = torch.tanh(x @ p["block/layers/0/weight"] + p["block/layers/0/bias"])
        scale, shift = p["block/layers/1/gamma"], p["block/layers/1/beta"]
        return x + torch.nn.functional.layer_norm(inner, (3,), scale, shift, eps=1e-5)

    first = block(x)
    third = block(block(first))
    return (third + first) / 2 @ p["4/weight"] + p["4/bias"]


@pytest.mark.parametrize(
    ("layers", "compute"),
    [(SKIP, skip), (SHARED, shared), (TIED, tied), (SHARED_BLOCK, shared_block)],
    ids=["skip", "shared", "tied", "shared block"],
)
def test_a_graph_has_the_outputs_and_gradients_of_pytorch(torch, layers, compute):
    model = nnreg.build(spec(layers), data=(X, Y))
    y, found = ours(model)
    expected, gradients = of_torch(torch, model, lambda x, p: compute(torch, x, p))
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-10, atol=1e-12, err_msg=name)


def test_two_outputs_have_the_loss_and_the_gradients_of_pytorch(torch):
    model = build("two outputs")
    loss, found = model.gradients(HEADS_X, {"price": PRICE, "style": STYLE})
    p = {
        name.removeprefix("layers/"): torch.tensor(values.copy(), requires_grad=True)
        for name, values in model.parameters.items()
    }
    trunk = torch.tanh(torch.tensor(HEADS_X) @ p["trunk/weight"] + p["trunk/bias"])
    price = (trunk @ p["price/weight"] + p["price/bias"])[:, 0]
    style = trunk @ p["style/weight"] + p["style/bias"]
    classes = torch.tensor(np.searchsorted(["a", "b", "c"], STYLE))
    total = 0.5 * torch.nn.functional.huber_loss(price, torch.tensor(PRICE))
    total = total + torch.nn.functional.cross_entropy(style, classes)
    total.backward()
    np.testing.assert_allclose(loss, total.item(), rtol=1e-10)
    for name, gradient in found.items():
        expected = p[name.removeprefix("layers/")].grad.numpy()
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12, err_msg=name)
