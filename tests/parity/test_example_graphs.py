"""The networks of the how-to on graphs beside PyTorch: loss and gradients within 1e-10."""

import numpy as np
import pytest

from nnreg.tables.named import NamedArrays
from tests.helpers.graphs import RESULTS, loss_and_gradient, prepared, write_examples

pytestmark = pytest.mark.verify

OTHERS = [name for name in RESULTS if name != "tied"]
"""The networks that are compared here; `test_attention_layers` has the layers of "tied"."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("examples")
    write_examples(directory)
    return directory


class Theirs:
    """Layers of PyTorch with our parameters `p`, by the names of the entries."""

    def __init__(self, torch, parameters):
        self.torch, self.functions = torch, torch.nn.functional
        self.p = {
            name.removeprefix("layers/"): torch.tensor(values.copy(), requires_grad=True)
            for name, values in parameters.items()
        }

    def dense(self, name, x):
        return x @ self.p[f"{name}/weight"] + self.p[f"{name}/bias"]

    def tanh(self, name, x):
        return self.torch.tanh(self.dense(name, x))

    def convolution(self, name, x, padding=0):
        """Return the convolution of images with the channels second."""
        weight = self.p[f"{name}/weight"].permute(3, 2, 0, 1)
        return self.functions.conv2d(x, weight, self.p[f"{name}/bias"], padding=padding)

    def lookup(self, name, x):
        return self.functions.embedding(x, self.p[f"{name}/weight"])

    def lstm(self, name, x):
        weight, recurrent, bias = (
            self.p[f"{name}/{part}"] for part in ("weight", "recurrent", "bias")
        )
        size = recurrent.shape[0]
        h, c, found = *[self.torch.zeros(len(x), size, dtype=x.dtype)] * 2, []
        for step in x.unbind(1):
            gates = step @ weight + h @ recurrent + bias
            i, f, g, o = gates.split(size, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            found.append(h)
        return self.torch.stack(found, dim=1)

    def skip(self, x, t):
        low = self.tanh("low", x)
        high = self.tanh("high", self.tanh("1", low))
        return self.squared(self.dense("4", self.torch.cat([high, low], 1)), t)

    def houses(self, x, t):
        photo = self.convolution("1", x["photo"].permute(0, 3, 1, 2)).tanh().mean((2, 3))
        both = self.torch.cat([self.tanh("table", x["facts"]), photo], 1)
        return self.squared(self.dense("4", both), t)

    def flats(self, x, t):
        trunk = self.tanh("trunk", x)
        price = self.functions.huber_loss(self.dense("price", trunk), t["price"])
        style = self.functions.cross_entropy(self.dense("style", trunk), t["style"])
        return 0.5 * price + style

    def bottleneck(self, x, t):
        return self.squared(self.dense("1", self.dense("code", x)), t)

    def code(self, x, t):
        mean, log_variance = self.dense("1", self.tanh("0", x)).chunk(2, dim=1)
        again = self.dense("again", self.tanh("3", mean))
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
        return self.squared(again, t["again"]) + 0.01 * kl

    def same(self, x, t):
        left, right = self.tanh("tower", x["left"]), self.tanh("tower", x["right"])
        distance = self.torch.sqrt(((left - right) ** 2).sum(1, keepdim=True) + 1e-12)
        logits = self.dense("3", distance)
        return self.functions.binary_cross_entropy_with_logits(logits, t.double())

    def reverse(self, x, t):
        words, written = self.lookup("words", x["source"]), self.lookup("words", x["so_far"])
        memory = self.lstm("memory", words + self.p["1/position"])
        state = self.lstm("state", written + self.p["4/position"])
        found = self.functions.scaled_dot_product_attention(state, memory, memory)
        logits = self.dense("8", self.torch.cat([state, found], 2))
        return self.functions.cross_entropy(logits.flatten(0, 1), t.flatten())

    def unet(self, x, t):
        def convolution(name, x):
            return self.convolution(name, x, padding=1).relu()

        def enlarged(x):
            return self.functions.interpolate(x, scale_factor=2, mode="nearest")

        fine = convolution("fine", x.permute(0, 3, 1, 2))
        middle = convolution("middle", self.functions.max_pool2d(fine, 2))
        coarse = enlarged(convolution("4", self.functions.max_pool2d(middle, 2)))
        larger = enlarged(convolution("7", self.torch.cat([coarse, middle], 1)))
        last = convolution("10", self.torch.cat([larger, fine], 1))
        logits = self.dense("11", last.permute(0, 2, 3, 1))
        return self.functions.cross_entropy(logits.flatten(0, 2), t.flatten())

    def films(self, x, t):
        user = self.dense("user_tower", self.lookup("0", x["user"]).flatten(1))
        film = self.dense("film_tower", self.lookup("3", x["film"]).flatten(1))
        return self.squared(self.dense("7", (user * film).sum(1, keepdim=True)), t)

    def repeated(self, x, t):
        y = self.dense("0", x)
        for index in range(3):
            at = f"1/{index}/layers"
            scale, shift = self.p[f"{at}/0/gamma"], self.p[f"{at}/0/beta"]
            inner = self.functions.layer_norm(y, y.shape[1:], scale, shift, eps=1e-5)
            y = self.dense(f"{at}/change", self.dense(f"{at}/1", inner).relu()) + y
        return self.squared(self.dense("2", y), t)

    def squared(self, y, t):
        return self.functions.mse_loss(y, t)


def tensors(torch, values):
    if isinstance(values, NamedArrays):
        return {name: torch.tensor(array) for name, array in values.arrays.items()}
    return torch.tensor(values)


@pytest.mark.parametrize("name", OTHERS)
def test_the_loss_and_the_gradients_are_those_of_pytorch(torch, examples, name):
    model, x, targets = prepared(examples, name)
    loss, gradient = loss_and_gradient(model, x, targets)
    theirs = Theirs(torch, model.parameters)
    expected = getattr(theirs, name)(tensors(torch, x), tensors(torch, targets))
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-10)
    whole = np.concatenate([values.grad.numpy().ravel() for values in theirs.p.values()])
    np.testing.assert_allclose(gradient, whole, rtol=1e-10, atol=1e-10)
