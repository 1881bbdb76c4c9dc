"""Layers, losses and activations with a formula alone: their derivative is that of autograd."""

from dataclasses import dataclass

import numpy as np
import pytest

from nnreg import Activation, Layer, Loss, PluginError, ShapeError
from nnreg.builtin.activations import Softmax, Tanh
from nnreg.builtin.initializers import GlorotUniform, Ones, Zeros
from nnreg.builtin.layers.attention import MultiHeadAttention
from nnreg.builtin.layers.composition import Stack
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.normalization import LayerNorm
from nnreg.builtin.losses import CrossEntropy
from nnreg.interfaces import traced
from nnreg.interfaces.join import Join
from nnreg.testing.activations import check_activation
from nnreg.testing.layers import LayerCase, Pass, check_layer
from nnreg.testing.losses import check_loss

pytest.importorskip("autograd")
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class NormalizedDense(Layer):
    """Dense, then layer norm."""

    units: int
    independent = True

    def build(self, shape, builder):
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        builder.param("weight", (shape[-1], self.units), GlorotUniform())
        builder.param("bias", (self.units,), Zeros())
        builder.param("gamma", (self.units,), Ones())
        builder.param("beta", (self.units,), Zeros())
        return (*shape[:-1], self.units)

    def formula(self, x, params):
        z = np.tanh(x @ params["weight"] + params["bias"])
        centred = z - np.mean(z, axis=-1, keepdims=True)
        scale = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
        return params["gamma"] * centred / scale + params["beta"]


@dataclass(frozen=True)
class Attention(MultiHeadAttention):
    """Attention by its formula."""

    forward = Layer.forward
    keeps_mask = None

    def formula(self, x, params):
        batch, time, features = x.shape
        size = features // self.heads
        mixed = (x @ params["weight"] + params["bias"]).reshape(batch, time, 3, self.heads, size)
        q, k, v = (mixed[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        scores = q @ k.swapaxes(-1, -2) / size**0.5
        if self.causal:
            scores = np.where(np.tri(time, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        heads = weights / weights.sum(axis=-1, keepdims=True) @ v
        joined = heads.transpose(0, 2, 1, 3).reshape(batch, time, features)
        return joined @ params["output_weight"] + params["output_bias"]


@dataclass(frozen=True)
class Recurrence(Lstm):
    """An LSTM by its formula."""

    forward = Layer.forward
    keeps_mask = None

    def formula(self, x, params):
        h = c = np.zeros((len(x), self.units), x.dtype)
        for step in range(x.shape[1]):
            z = x[:, step] @ params["weight"] + h @ params["recurrent"] + params["bias"]
            i, f, g, o = np.split(z, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return h


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@dataclass(frozen=True)
class Entropy(Loss):
    """Cross-entropy of logits by its formula."""

    def formula(self, y, t):
        shifted = y - np.max(y, axis=-1, keepdims=True)
        logs = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        return -np.mean(np.sum(t * logs, axis=-1))


@dataclass(frozen=True)
class SoftmaxFormula(Activation):
    """Softmax by its formula."""

    def formula(self, x):
        powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
        return powers / np.sum(powers, axis=-1, keepdims=True)


PAIRS = [
    (NormalizedDense(3), Stack((Dense(3, Tanh()), LayerNorm()))),
    (Attention(2), MultiHeadAttention(2)),
    (Attention(2, causal=True), MultiHeadAttention(2, causal=True)),
    (Recurrence(3), Lstm(3)),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: str(pair[1]))
def test_a_layer_agrees_with_the_built_in_one(pair, training):
    x = RNG.normal(size=(3, 5, 4))
    found, expected = (Pass(LayerCase(layer, x), training=training) for layer in pair)
    for one, other in zip(found.run(), expected.run(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-9, atol=1e-9)


def test_a_loss_agrees_with_the_built_in_one():
    y, t = RNG.normal(size=(6, 3)), np.eye(3)[[0, 1, 2, 2, 1, 0]]
    found, gradient = Entropy().forward(y, t)
    value, expected = CrossEntropy().forward_logits(y, t)
    np.testing.assert_allclose(found, value, rtol=1e-9)
    np.testing.assert_allclose(gradient(), expected(), rtol=1e-9, atol=1e-9)


def test_an_activation_agrees_with_the_built_in_one_even_if_it_is_not_elementwise():
    x, dy = RNG.normal(size=(2, 4, 3))
    (y, backward), (expected, expected_backward) = SoftmaxFormula().forward(x), Softmax().forward(x)
    np.testing.assert_allclose(y, expected, rtol=1e-9)
    np.testing.assert_allclose(backward(dy), expected_backward(dy), rtol=1e-9, atol=1e-9)


@dataclass(frozen=True)
class Mixed(Join):
    """A join by its formula: a · b"""

    def build(self, shapes, builder):
        builder.param("gain", shapes[0], Ones())
        return shapes[0]

    def formula(self, x, params):
        return params["gain"] * x[0] * x[1]


@dataclass(frozen=True)
class Lookup(Layer):
    """Rows of a table by index."""

    integer_input = True

    def build(self, shape, builder):
        builder.param("table", (3, 2), Ones())
        return (*shape, 2)

    def formula(self, x, params):
        return params["table"][x]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [*[(pair[0], (5, 4)) for pair in PAIRS], (Mixed(), ((4,), (4,)))],
    ids=str,
)
def test_a_layer_passes_the_conformance_checks(layer, shape):
    check_layer(layer, shape)


def test_a_layer_of_integers_passes_the_conformance_checks():
    check_layer(Lookup(), (5,), x=np.arange(15).reshape(3, 5) % 3)


def test_losses_and_activations_pass_the_conformance_checks():
    check_loss(Entropy(), RNG.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]])
    check_activation(SoftmaxFormula())


def formula_layer(formula):
    """Return a layer with this formula, on (4,), with a parameter `weight` of the same shape."""

    def build(self, shape, builder):
        builder.param("weight", shape, Ones())
        return shape

    methods = {"build": build, "formula": lambda self, x, params: formula(x, params["weight"])}
    return dataclass(frozen=True)(type("Wrong", (Layer,), methods))()


def put(x, w):
    y = np.zeros_like(w)
    y[0] = w[0]
    return x * y


def put_row(x, w):
    y = np.zeros((2, 4))
    y[0] = w
    return x + y[0]


def put_traced(x, w):
    y = x * w
    y[:, 0] = 1
    return y


def added(x, w):
    y = x * w
    y += 1
    return y


def windows(x, w):
    return np.lib.stride_tricks.sliding_window_view(x * w, 1, axis=1)[..., 0]


CANNOT = {
    "a conversion": (put, "y[0] = w[0]"),
    "a conversion to a plain array": (put_row, "y[0] = w"),
    "an assignment to a part": (put_traced, "y[:, 0] = 1"),
    "np.add into an array that exists": (added, "y += 1"),
    "np.sliding_window_view": (windows, "return np.lib.stride_tricks.sliding_window_view("),
    "np.interp": (lambda x, w: np.interp(x * w, [0, 1], [0, 1]), "interp("),
    "np.maximum.reduce": (lambda x, w: np.maximum.reduce(x * w, axis=0) + x, "maximum.reduce("),
    "np.clip with an array given by name": (lambda x, w: np.clip(x, a_min=0, a_max=w), "clip("),
    "np.block of a list": (lambda x, w: np.block([x * w]), "block("),
    "a conversion to a number": (lambda x, w: x * float(w[0]), "float("),
    "the attribute 'item'": (lambda x, w: x * w[0].item(), "item("),
}


@pytest.mark.parametrize("call", CANNOT)
def test_what_autograd_cannot_follow_is_named_with_its_line(call):
    formula, source = CANNOT[call]
    tried = Pass(LayerCase(formula_layer(formula), np.ones((2, 4))))
    with pytest.raises(PluginError) as caught:
        tried.run()
    text = str(caught.value)
    assert text.startswith(f"autograd cannot differentiate {call}")
    line = formula.__code__.co_firstlineno
    assert "(test_formulas.py, line " in text
    assert source in text
    assert line <= int(text.partition("line ")[2].partition(":")[0]) <= line + 4


def test_a_wrong_shape_is_numpys_error_and_not_autograds():
    tried = Pass(LayerCase(formula_layer(lambda x, w: x @ w[:2]), np.ones((2, 4))))
    with pytest.raises(ValueError, match="mismatch"):
        tried.run()


def test_an_output_that_does_not_depend_on_a_parameter_has_a_gradient_of_zero():
    tried = Pass(LayerCase(formula_layer(lambda x, w: 2 * x), np.ones((2, 4))), filled=np.nan)
    _, dx = tried.run()
    np.testing.assert_array_equal(dx, 2 * tried.dy)
    np.testing.assert_array_equal(tried.gradient, 0)


def test_a_mean_in_float32_has_a_gradient_in_float32():
    x = np.ones((2, 4), np.float32)
    y, backward = traced.trace(lambda x: np.tanh(x) * np.mean(x, axis=-1, keepdims=True), [x])
    assert y.dtype == backward(np.ones_like(y))[0].dtype == np.float32


def test_without_autograd_a_formula_predicts_and_training_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(traced, "installed", lambda: False)
    case = LayerCase(Recurrence(3), RNG.normal(size=(3, 5, 4)))
    predicting, training = Pass(case, training=False), Pass(case)
    assert predicting.forward(case.x)[0].shape == (3, 3)
    with pytest.raises(
        PluginError, match=r"Recurrence has only .* pip install 'nnreg\[autograd\]'"
    ):
        training.forward(case.x)
    value, backward = Entropy().forward(np.zeros((1, 3)), np.eye(3)[:1])
    assert value == pytest.approx(np.log(3))
    with pytest.raises(PluginError, match="Entropy has only a formula"):
        backward()
    other = dataclass(frozen=True)(type("Other", (SoftmaxFormula,), {}))  # not cached yet
    _, backward = other().forward(np.zeros((1, 3)))
    with pytest.raises(PluginError, match=r"or run: pip install 'nnreg\[autograd\]'"):
        backward(np.ones((1, 3)))
