"""Layers beside those of PyTorch: outputs and gradients within 1e-6 in float64."""

import numpy as np
import pytest

from nnreg.builtin.layers import (
    attention,
    dense,
    dot_product_attention,
    gating,
    normalization,
    sequence,
)
from nnreg.interfaces import LayerBuilder, Workspace
from nnreg.interfaces.join import flat_inputs, one_input
from nnreg.network.network import Network
from tests.parity.comparison import RNG, X, close

pytestmark = pytest.mark.verify


class Ours:
    """A layer in a network, its outputs and gradients."""

    def __init__(self, layer, x, *, training=True):
        plan = LayerBuilder("$")
        shape = x.shape[1:]
        self.network = Network(plan, shape, plan.layer("layers/0", layer, shape), dtype=np.float64)
        self.network.initialize(0)
        self.network.vector += RNG.normal(size=self.network.vector.size) * 0.2
        gradient = np.zeros_like(self.network.vector)
        context = self.network.context(
            Workspace(np.float64, reuse=True),
            gradient,
            training=training,
            input_gradient=x.dtype.kind == "f",
        )
        context.workspace.rng = np.random.default_rng(0)
        y, backward = self.network.forward(x, context)
        self.y = y.copy()
        self.dy = RNG.normal(size=y.shape)
        self.dx = backward(self.dy)
        self.gradients = dict(context.children["layers/0"].gradients)
        self.params = dict(context.children["layers/0"].params)

    def against(self, torch, module, x, load, read):
        """Compare with a module that `load` fills and whose gradients `read` gives by our names."""
        module = module.double()
        with torch.no_grad():
            load(module, {k: torch.tensor(v.copy()) for k, v in self.params.items()})
        leaf = torch.tensor(x, requires_grad=x.dtype.kind == "f")
        y = module(leaf)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(torch.tensor(self.dy))
        close(self.y, y)
        if x.dtype.kind == "f":
            close(self.dx, leaf.grad)
        for name, gradient in read(module).items():
            close(self.gradients[name], gradient)


def test_dense_is_linear(torch):
    def load(m, p):
        m.weight.copy_(p["weight"].T)
        m.bias.copy_(p["bias"])

    Ours(dense.Dense(3), X).against(
        torch, torch.nn.Linear(5, 3), X, load,
        lambda m: {"weight": m.weight.grad.T, "bias": m.bias.grad},
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_pytorchs(torch, training):
    def load(m, p):
        m.weight.copy_(p["gamma"])
        m.bias.copy_(p["beta"])
        m.train(training)

    ours = Ours(normalization.BatchNorm(), X, training=training)
    module = torch.nn.BatchNorm1d(5, momentum=0.1)
    ours.against(torch, module, X, load, lambda m: {"gamma": m.weight.grad, "beta": m.bias.grad})
    close(ours.network.state["layers/0/running_mean"], module.running_mean)
    close(ours.network.state["layers/0/running_variance"], module.running_var)


def test_layer_norm_is_pytorchs(torch):
    def load(m, p):
        m.weight.copy_(p["gamma"])
        m.bias.copy_(p["beta"])

    Ours(normalization.LayerNorm(), X).against(
        torch, torch.nn.LayerNorm(5), X, load,
        lambda m: {"gamma": m.weight.grad, "beta": m.bias.grad},
    )  # fmt: skip


def test_embedding_is_pytorchs(torch):
    index = RNG.integers(0, 7, (4, 3))
    Ours(sequence.Embedding(7, 5), index).against(
        torch, torch.nn.Embedding(7, 5), index, lambda m, p: m.weight.copy_(p["weight"]),
        lambda m: {"weight": m.weight.grad},
    )  # fmt: skip


def test_lstm_is_pytorchs(torch):
    x = RNG.normal(size=(3, 4, 5))

    def load(m, p):
        m.weight_ih_l0.copy_(p["weight"].T)
        m.weight_hh_l0.copy_(p["recurrent"].T)
        m.bias_ih_l0.copy_(p["bias"])
        m.bias_hh_l0.zero_()

    Ours(sequence.Lstm(2, sequences=True), x).against(
        torch, torch.nn.LSTM(5, 2, batch_first=True), x, load,
        lambda m: {"weight": m.weight_ih_l0.grad.T, "recurrent": m.weight_hh_l0.grad.T,
                   "bias": m.bias_ih_l0.grad},
    )  # fmt: skip


def test_multi_head_attention_is_pytorchs(torch):
    x = RNG.normal(size=(3, 4, 6))

    class Attention(torch.nn.MultiheadAttention):
        def forward(self, x):
            return super().forward(x, x, x, need_weights=False)

    def load(m, p):
        m.in_proj_weight.copy_(p["weight"].T)
        m.in_proj_bias.copy_(p["bias"])
        m.out_proj.weight.copy_(p["output_weight"].T)
        m.out_proj.bias.copy_(p["output_bias"])

    Ours(attention.MultiHeadAttention(2), x).against(
        torch, Attention(6, 2, batch_first=True), x, load,
        lambda m: {"weight": m.in_proj_weight.grad.T, "bias": m.in_proj_bias.grad,
                   "output_weight": m.out_proj.weight.grad.T,
                   "output_bias": m.out_proj.bias.grad},
    )  # fmt: skip


def test_cross_attention_is_pytorchs(torch):
    query, memory = RNG.normal(size=(3, 4, 6)), RNG.normal(size=(3, 5, 6))

    class Attention(torch.nn.Module):
        def forward(self, x):
            query, memory = x[:, :24].reshape(3, 4, 6), x[:, 24:].reshape(3, 5, 6)
            return torch.nn.functional.scaled_dot_product_attention(query, memory, memory)

    layer, _ = one_input(dot_product_attention.CrossAttention(), ((4, 6), (5, 6)))
    x = flat_inputs([query, memory])
    Ours(layer, x).against(torch, Attention(), x, lambda m, p: None, lambda m: {})


def test_glu_is_pytorchs(torch):
    x = np.concatenate([X, X[::-1] * 50], axis=1)
    ours = Ours(gating.Glu(), x)
    leaf = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.glu(leaf)
    y.backward(torch.tensor(ours.dy))
    close(ours.y, y)
    close(ours.dx, leaf.grad)


@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.2, 0.9)])
def test_rrelu_is_pytorchs_with_slopes_within_the_same_bounds(torch, bounds):
    ours = Ours(gating.RRelu(*bounds), X, training=False)
    leaf = torch.tensor(X, requires_grad=True)
    y = torch.nn.functional.rrelu(leaf, *bounds)
    y.backward(torch.tensor(ours.dy))
    close(ours.y, y)
    close(ours.dx, leaf.grad)
    negative = -np.ones((500, 4))
    slopes = -Ours(gating.RRelu(*bounds), negative).y
    theirs = -torch.nn.functional.rrelu(torch.tensor(negative), *bounds, training=True).numpy()
    for one in (slopes, theirs):
        assert bounds[0] <= one.min() <= one.max() <= bounds[1]
    assert slopes.mean() == pytest.approx(theirs.mean(), abs=0.02)
    assert slopes.std() == pytest.approx(theirs.std(), abs=0.02)
