"""Layers on sequences of different lengths beside PyTorch on each alone: 1e-12 in float64."""

import numpy as np
import pytest

from nnreg.builtin.layers import (
    attention,
    composition,
    convolution,
    dense,
    dot_product_attention,
    global_pooling,
    normalization,
    positions,
)
from nnreg.builtin.layers.lstm import Lstm
from nnreg.interfaces import LayerBuilder, Workspace
from nnreg.interfaces.join import flat_inputs, one_input, split_values
from nnreg.network.network import Network
from nnreg.network.parameters import views
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase

pytestmark = pytest.mark.verify

LENGTHS = np.array([5, 2, 0, 1, 4])
MASK = np.arange(6) < LENGTHS[:, None]


def exactly(found, expected):
    if not isinstance(expected, np.ndarray):
        expected = expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


class Masked:
    """A list of layers on sequences of different lengths: its output and gradients."""

    def __init__(self, layers, features=6, *, training=True):
        rng = np.random.default_rng(3)
        root = LayerBuilder("$", masks=("input",))
        shape = (MASK.shape[1], features)
        output = root.chain(layers, shape)
        self.network = Network(root, shape, output, dtype=np.float64)
        self.network.initialize(0)
        self.network.vector += rng.normal(size=self.network.vector.size) * 0.3
        self.x = rng.normal(size=(len(MASK), *shape))
        self.x[~MASK] *= 1000
        workspace = Workspace(np.float64, reuse=True)
        workspace.masks = {"input": MASK}
        gradient = np.full_like(self.network.vector, np.nan)
        context = self.network.context(workspace, gradient, training=training, input_gradient=True)
        y, backward = self.network.forward(self.x, context)
        self.y, self.dy = y.copy(), rng.normal(size=y.shape)
        if root.children[f"layers/{len(layers) - 1}"][1].output_mask:
            self.dy[~MASK] = 0
        self.dx = backward(self.dy)
        self.gradients = by_short_name(views(gradient, self.network.params))
        self.params = by_short_name(self.network.parameters)

    def against_each_alone(self, torch, compute):
        """Compare with a function of one sequence `(1, steps, features)` and our parameters."""
        p = {k: torch.tensor(v.copy(), requires_grad=True) for k, v in self.params.items()}
        for row, length in enumerate(LENGTHS):
            assert np.all(self.dx[row, length:] == 0)
            own = slice(0, length) if self.y.ndim == 3 else slice(None)
            if not length:
                assert np.all(self.y[row, own] == 0)
                continue
            x = torch.tensor(self.x[row : row + 1, :length], requires_grad=True)
            y = compute(torch, x, p)[0]
            y.backward(torch.tensor(self.dy[row, own]))
            exactly(self.y[row, own], y)
            exactly(self.dx[row, :length], x.grad[0])
        for name, found in self.gradients.items():
            exactly(found, p[name].grad)


def by_short_name(arrays):
    return {name.removeprefix("layers/"): values for name, values in arrays.items()}


def lstm(torch, x, p, name="0"):
    module = torch.nn.LSTM(x.shape[-1], p[f"{name}/recurrent"].shape[0], batch_first=True).double()
    weights = {
        "weight_ih_l0": p[f"{name}/weight"].T,
        "weight_hh_l0": p[f"{name}/recurrent"].T,
        "bias_ih_l0": p[f"{name}/bias"],
        "bias_hh_l0": torch.zeros_like(p[f"{name}/bias"]),
    }
    return torch.func.functional_call(module, weights, (x,))[0]


def self_attention(torch, x, p, name="0", *, causal=False):
    module = torch.nn.MultiheadAttention(x.shape[-1], 2, batch_first=True).double()
    weights = {
        "in_proj_weight": p[f"{name}/weight"].T,
        "in_proj_bias": p[f"{name}/bias"],
        "out_proj.weight": p[f"{name}/output_weight"].T,
        "out_proj.bias": p[f"{name}/output_bias"],
    }
    hidden = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1)
    options = {"need_weights": False, "attn_mask": hidden if causal else None}
    return torch.func.functional_call(module, weights, (x, x, x), options)[0]


def layer_norm(torch, x, p, name):
    weights = p[f"{name}/gamma"], p[f"{name}/beta"]
    return torch.nn.functional.layer_norm(x, x.shape[-1:], *weights, eps=1e-5)


def linear(torch, x, p, name):
    return x @ p[f"{name}/weight"] + p[f"{name}/bias"]


def convolution_of(torch, x, p, before, after, **options):
    padded = torch.nn.functional.pad(x.transpose(1, 2), (before, after))
    weight = p["0/weight"].permute(2, 1, 0)
    return torch.nn.functional.conv1d(padded, weight, p["0/bias"], **options).transpose(1, 2)


def network(torch, x, p):
    x = lstm(torch, x + p["0/position"][: x.shape[1]], p, "1")
    x = layer_norm(torch, x + self_attention(torch, x, p, "2/layers/0"), p, "3")
    return linear(torch, x, p, "4").mean(1)


ONE = {
    "lstm, every step": (Lstm(3, sequences=True), lstm),
    "lstm, last step": (Lstm(3), lambda *args: lstm(*args)[:, -1]),
    "attention": (attention.MultiHeadAttention(2), self_attention),
    "causal attention": (
        attention.MultiHeadAttention(2, causal=True),
        lambda *args: self_attention(*args, causal=True),
    ),
    "mean": (global_pooling.GlobalAveragePool(), lambda torch, x, p: x.mean(1)),
    "largest": (global_pooling.GlobalMaxPool(), lambda torch, x, p: x.max(1).values),
    "convolution": (
        convolution.Conv1d(4, 4, padding="same"),
        lambda *args: convolution_of(*args, 1, 2),
    ),
    "causal convolution": (
        convolution.Conv1d(4, padding="causal", dilation=2, groups=2),
        lambda *args: convolution_of(*args, 4, 0, dilation=2, groups=2),
    ),
    "dense": (dense.Dense(4), lambda *args: linear(*args, "0")),
    "layer norm": (normalization.LayerNorm(), lambda *args: layer_norm(*args, "0")),
}


@pytest.mark.parametrize("name", ONE)
def test_a_layer_gives_each_sequence_what_pytorch_gives_it_alone(torch, name):
    layer, compute = ONE[name]
    Masked([layer]).against_each_alone(torch, compute)


def test_a_network_gives_each_sequence_what_pytorch_gives_it_alone(torch):
    layers = [
        positions.AddPosition(),
        Lstm(4, sequences=True),
        composition.Residual((attention.MultiHeadAttention(2),)),
        normalization.LayerNorm(),
        dense.Dense(3),
        global_pooling.GlobalAveragePool(),
    ]
    Masked(layers).against_each_alone(torch, network)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_that_of_pytorch_on_the_real_steps(torch, training):
    ours = Masked([normalization.BatchNorm()], training=training)
    module = torch.nn.BatchNorm1d(6, momentum=0.1).double().train(training)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(ours.params["0/gamma"]))
        module.bias.copy_(torch.tensor(ours.params["0/beta"]))
    x = torch.tensor(ours.x[MASK], requires_grad=True)
    y = module(x)
    y.backward(torch.tensor(ours.dy[MASK]))
    exactly(ours.y[MASK], y)
    exactly(ours.dx[MASK], x.grad)
    assert np.all(ours.dx[~MASK] == 0)
    exactly(ours.gradients["0/gamma"], module.weight.grad)
    exactly(ours.gradients["0/beta"], module.bias.grad)
    exactly(ours.network.state["layers/0/running_mean"], module.running_mean)
    exactly(ours.network.state["layers/0/running_variance"], module.running_var)


def test_cross_attention_is_that_of_pytorch_on_each_pair_of_sequences(torch):
    rng = np.random.default_rng(4)
    shapes, lengths = ((6, 3), (5, 3)), {"0": LENGTHS, "1": np.array([3, 5, 2, 0, 1])}
    layer, _ = one_input(dot_product_attention.CrossAttention(), shapes)
    x = flat_inputs([rng.normal(size=(5, *shape)) for shape in shapes])
    tried = MaskedPass(LayerCase(layer, x), lengths)
    y, dx = tried.run()
    query, memory = split_values(x, shapes)
    found = split_values(dx, shapes)
    for row, (steps, keys) in enumerate(zip(*lengths.values(), strict=True)):
        if not (steps and keys):
            assert np.all(y[row, :steps] == 0)
            assert all(np.all(part[row] == 0) for part in found)
            continue
        q = torch.tensor(query[row : row + 1, :steps], requires_grad=True)
        m = torch.tensor(memory[row : row + 1, :keys], requires_grad=True)
        expected = torch.nn.functional.scaled_dot_product_attention(q, m, m)
        expected.backward(torch.tensor(tried.dy[row : row + 1, :steps]))
        exactly(y[row, :steps], expected[0])
        exactly(found[0][row, :steps], q.grad[0])
        exactly(found[1][row, :keys], m.grad[0])
