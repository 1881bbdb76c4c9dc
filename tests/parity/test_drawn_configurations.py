"""Components beside their peers over configurations that Hypothesis draws from the annotations."""

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from nnreg.builtin import losses
from nnreg.builtin.activations import Relu, Tanh
from nnreg.builtin.layers import normalization
from nnreg.builtin.layers.attention import MultiHeadAttention
from nnreg.builtin.layers.depthwise_convolution import Depthwise, Separable
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.recurrent import Gru, SimpleRnn
from nnreg.errors import ShapeError
from nnreg.registry.registry import installed
from nnreg.testing import configurations
from tests.components.norms_and_noise import NORMS_AND_NOISE
from tests.components.windowed_layers import WINDOWED
from tests.parity import test_activations as activations
from tests.parity import test_attention_layers as attention
from tests.parity import test_losses as of_losses
from tests.parity import test_norms_and_noise as norms
from tests.parity import test_optimizers as optimizers
from tests.parity import test_recurrent_layers as recurrent
from tests.parity.comparison import compare
from tests.parity.layers import compare_layer
from tests.parity.test_windowed_layers import MODES, first, in_order, last

pytestmark = pytest.mark.verify

drawing = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cls_of(kind, name):
    return installed().find(kind, name).cls


def values_of(component, names):
    """Return the options of a component under the names of its peer."""
    return {theirs: getattr(component, own) for own, theirs in names.items()}


TORCH, KERAS = activations.TORCH, activations.KERAS
ACTIVATIONS = {
    "leaky_relu": (TORCH, "leaky_relu", {"slope": "negative_slope"}),
    "elu": (TORCH, "elu", {"alpha": "alpha"}),
    "celu": (TORCH, "celu", {"alpha": "alpha"}),
    "threshold": (TORCH, "threshold", {"threshold": "threshold", "value": "value"}),
    "hard_shrink": (TORCH, "hardshrink", {"threshold": "lambd"}),
    "soft_shrink": (TORCH, "softshrink", {"threshold": "lambd"}),
    "squareplus": (KERAS, "squareplus", {"b": "b"}),
    "snake": (None, activations.snake, {"alpha": "alpha"}),
}
"""Of those with options, the library, its function, and its names of the options."""


@drawing
@given(data=st.data())
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_that_of_another_library(request, name, data):
    library, function, names = ACTIVATIONS[name]
    activation, x = data.draw(configurations(cls_of("activation", name))), activations.X
    dy = np.random.default_rng(1).normal(size=x.shape)
    options = values_of(activation, names)
    expected, gradient = activations.of_peer(request, library, function, x.copy(), dy, options)
    y, backward = activation.forward(x)
    rtol = activations.SINGLE.get(function, 1e-10)
    compare(activation, name, [(y, expected)], [(backward(dy), gradient)], rtol=rtol, drawn=True)


def focal_options(loss):
    balance = {} if loss.alpha is None else {"alpha": loss.alpha, "apply_class_balancing": True}
    return {"gamma": loss.gamma, "label_smoothing": loss.label_smoothing, **balance}


def same(*names):
    """Return the options of a loss that have the names of its peer."""
    return lambda loss: values_of(loss, {name: name for name in names})


FRACTIONS = st.floats(0.05, 0.95)
LOSSES = {
    # a case of its table; the peer's options of a loss; strategies for some of its own
    losses.Huber: ("huber_loss", same("delta"), {}),
    losses.SmoothL1: ("smooth_l1_loss", same("beta"), {}),
    losses.Poisson: ("poisson_nll_loss", lambda one: {"log_input": False, "eps": one.epsilon}, {}),
    losses.MultiMargin: (
        "multi_margin_loss", lambda one: {"margin": one.margin, "p": one.exponent}, {}),
    losses.Dice: (of_losses.dice_with_smoothing, same("smooth"), {}),
    losses.Tversky: (of_losses.tversky, same("alpha", "beta", "smooth"), {}),
    losses.CrossEntropy: ("cross_entropy", same("label_smoothing"), {}),
    losses.BinaryFocalCrossEntropy: ("keras binary_focal_crossentropy", focal_options, {}),
    losses.FocalCrossEntropy: (
        "keras categorical_focal_crossentropy",
        lambda one: {"from_logits": True, **same("gamma", "alpha", "label_smoothing")(one)},
        {"alpha": FRACTIONS}),
    losses.GeneralizedCrossEntropy: (of_losses.generalized, same("q"), {}),
    losses.Contrastive: (of_losses.contrastive, same("margin"), {}),
    losses.TripletMargin: (of_losses.triplet, same("margin"), {}),
    losses.Quantile: (
        of_losses.pinball, same("quantiles"),
        {"quantiles": st.lists(FRACTIONS, min_size=3, max_size=3, unique=True).map(
            lambda found: tuple(sorted(found)))}),
    losses.Ctc: (of_losses.ctc, same("blank"), {"blank": st.just(0)}),
}  # fmt: skip


@drawing
@given(data=st.data())
@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
def test_a_loss_is_that_of_another_library(request, cls, data):
    function, options, strategies = LOSSES[cls]
    _, y, t, logits, *_ = next(
        case
        for case in of_losses.CASES
        if type(case[0]) is cls and case[4] == function and not case[5].get("normalizes")
    )
    loss = data.draw(configurations(cls, **strategies))
    expected, gradient = of_losses.of_peer(request, function, y.copy(), t.copy(), options(loss))
    found, backward = (loss.forward_logits if logits else loss.forward)(y, t)
    compare(loss, function, [(found, expected)], [(backward(), gradient)], rtol=1e-9, drawn=True)


def each_axis(value, dims):
    return value if isinstance(value, tuple) else (value,) * dims


def frame(padding, space, windows, strides, dilations):
    """Return what is added before and after each axis, as the documentation of TensorFlow says."""
    found = []
    for axis, size in enumerate(space):
        reach = (windows[axis] - 1) * dilations[axis]
        if padding == "same":
            steps = math.ceil(size / strides[axis])
            total = max((steps - 1) * strides[axis] + reach + 1 - size, 0)
            found.append((total // 2, total - total // 2))
        elif padding == "causal":
            found.append((reach, 0))
        else:
            found.append((each_axis(0 if padding == "valid" else padding, len(space))[axis],) * 2)
    return found


def padded(torch, x, pairs, **options):
    """Pad an array with its channels first; PyTorch's list begins with the last axis."""
    return torch.nn.functional.pad(x, [one for pair in pairs[::-1] for one in pair], **options)


def dims_of(layer):
    """Return the number of spatial axes, which the name of each of these layers has."""
    return int(re.search(r"(\d)d", type(layer).__name__)[1])


class Windows:
    """The options of a drawn layer for each axis, and its input with channels first."""

    def __init__(self, layer, x, window):
        self.dims = dims_of(layer)
        self.x = first(x if x.ndim == self.dims + 2 else x[..., None])
        self.space = self.x.shape[2:]
        self.window = each_axis(window, self.dims)
        self.stride = each_axis(layer.stride or window, self.dims)
        self.dilation = each_axis(getattr(layer, "dilation", 1), self.dims)
        self.frame = frame(layer.padding, self.space, self.window, self.stride, self.dilation)


def activated(torch, layer, y):
    return torch.tanh(y) if layer.activation == Tanh() else y


def convolution(torch, layer, x, p):
    """Compute a convolution, one of each channel, or the first part of a separable one."""
    at = Windows(layer, x, layer.kernel)
    mode = MODES[layer.padding_mode]
    separable = isinstance(layer, Separable)
    y = getattr(torch.nn.functional, f"conv{at.dims}d")(
        padded(torch, at.x, at.frame, mode=mode) if any(map(any, at.frame)) else at.x,
        in_order(p["depthwise/weight" if separable else "weight"]), p.get("bias"),
        stride=at.stride, dilation=at.dilation,
        groups=at.x.shape[1] if isinstance(layer, Depthwise | Separable) else layer.groups,
    )  # fmt: skip
    if separable:
        y = first(last(y) @ p["pointwise/weight"])
        y = y if (bias := p.get("pointwise/bias")) is None else first(last(y) + bias)
    return activated(torch, layer, last(y))


def transposed(torch, layer, x, p):
    at, given = Windows(layer, x, layer.kernel), {}
    if layer.padding not in ("valid", "same"):
        given = {"padding": layer.padding}
    weight = in_order(p["weight"]).transpose(0, 1).contiguous()  # with one channel it must be
    y = getattr(torch.nn.functional, f"conv_transpose{at.dims}d")(
        at.x, weight, stride=at.stride, dilation=at.dilation,
        output_padding=layer.output_padding, **given,
    )  # fmt: skip
    if layer.padding == "same":
        extra = [y.shape[2 + k] - at.space[k] * at.stride[k] for k in range(at.dims)]
        cut = [(-(max(one, 0) // 2), max(one, 0) // 2 - one) for one in extra]
        y = padded(torch, y, cut)
    y = last(y)
    return activated(torch, layer, y + p["bias"] if "bias" in p else y)


def pool(torch, layer, x, p):
    at = Windows(layer, x, layer.size)
    name = "max" if "Max" in type(layer).__name__ else "avg"

    def apply(x, value=0.0):
        function = getattr(torch.nn.functional, f"{name}_pool{at.dims}d")
        return function(padded(torch, x, at.frame, value=value), at.window, at.stride)

    if name == "max":
        return last(apply(at.x, -math.inf))
    return last(apply(at.x) / apply(torch.ones_like(at.x)))  # the values inside alone count


def adaptive(torch, layer, x, p):
    name = "max" if "Max" in type(layer).__name__ else "avg"
    function = getattr(torch.nn.functional, f"adaptive_{name}_pool{dims_of(layer)}d")
    return last(function(first(x), layer.output_size))


def windowed(name):
    """Return the function above that computes a layer of this name."""
    if name.startswith("adaptive"):
        return adaptive
    if "pool" in name:
        return pool
    return transposed if "transpose" in name else convolution


WINDOWED_NAMES = [
    name for name in WINDOWED if ("conv" in name or "pool" in name) and "global" not in name
]


@drawing
@given(data=st.data())
@pytest.mark.parametrize("name", WINDOWED_NAMES)
def test_a_layer_of_windows_is_pytorchs(torch, name, data):
    layer, shape = data.draw(WINDOWED[name])
    x = np.random.default_rng(0).normal(size=(2, *shape))
    compute = windowed(name)
    try:
        compare_layer(torch, layer, [x], lambda xs, p: compute(torch, layer, *xs, p), drawn=True)
    except ShapeError:
        reject()


RECURRENT = {
    SimpleRnn: ("RNN", {"activation": st.sampled_from([Tanh(), Relu()])}),
    Gru: ("GRU", {"reset_after": st.just(True)}),
    Lstm: ("LSTM", {"projection": st.one_of(st.none(), st.just(1))}),
}


@drawing
@given(data=st.data(), masked=st.booleans())
@pytest.mark.parametrize("cls", RECURRENT)
def test_a_recurrent_layer_is_pytorchs(torch, cls, data, masked):
    kind, strategies = RECURRENT[cls]
    layer = data.draw(configurations(cls, units=st.integers(2, 5), **strategies))
    options = {"nonlinearity": "relu"} if getattr(layer, "activation", None) == Relu() else {}
    if getattr(layer, "projection", None):
        options["proj_size"] = layer.projection
    one = recurrent.backward_alone if layer.backwards else recurrent.forward_alone
    compute, lengths = one(kind, **options), recurrent.LENGTHS if masked else None
    compare_layer(
        torch, layer, [recurrent.SEQUENCES],
        lambda xs, p: compute(torch, *xs, lengths, p, sequences=layer.sequences),
        lengths={"0": lengths} if masked else None, drawn=True,
    )  # fmt: skip


NORMS = {
    "group_norm": lambda one: norms.group_norm(one.groups, one.epsilon),
    "instance_norm": lambda one: norms.instance_norm(one.epsilon),
    "rms_norm": lambda one: norms.rms_norm(one.epsilon),
}


@drawing
@given(data=st.data())
@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_pytorchs(torch, keras, name, data):
    layer, shape = data.draw(NORMS_AND_NOISE[name])
    compute, peers = NORMS[name](layer), attention.Peers(torch, keras, None, None)
    x = np.random.default_rng(0).normal(size=(3, *shape))
    compare_layer(torch, layer, [x], lambda xs, p: compute(peers, *xs, p), drawn=True)


@drawing
@given(data=st.data(), training=st.booleans())
@pytest.mark.parametrize("cls", [normalization.BatchNorm, normalization.LayerNorm])
def test_a_norm_of_features_is_pytorchs(torch, cls, data, training):
    layer = data.draw(configurations(cls, epsilon=st.floats(1e-6, 1)))
    functional = torch.nn.functional

    def compute(xs, p):
        if cls is normalization.LayerNorm:
            return functional.layer_norm(xs[0], (5,), p["gamma"], p["beta"], layer.epsilon)
        running = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
        return functional.batch_norm(
            xs[0], *running, p["gamma"], p["beta"], training, 1 - layer.momentum, layer.epsilon
        )

    compare_layer(torch, layer, [activations.X], compute, training=training, drawn=True)


@drawing
@given(data=st.data(), masked=st.booleans())
def test_attention_with_several_heads_is_pytorchs(torch, keras, data, masked):
    fixed = dict.fromkeys(("head_size", "value_size", "units", "rotary"), st.none())
    layer = data.draw(configurations(
        MultiHeadAttention, heads=st.sampled_from([1, 2, 3, 6]), dropout=st.just(0.0), **fixed
    ))  # fmt: skip
    compute = attention.heads_of_pytorch(heads=layer.heads, causal=layer.causal)
    real = np.arange(attention.TIME) < attention.LENGTHS["0"][:, None] if masked else None
    peers = attention.Peers(torch, keras, real, real)
    x = np.random.default_rng(0).normal(size=(attention.ROWS, attention.TIME, 6))
    compare_layer(
        torch, layer, [x], lambda xs, p: compute(peers, xs, p), drawn=True,
        lengths=attention.LENGTHS if masked else None,
    )  # fmt: skip


RATES = {
    "learning_rate": st.floats(1e-3, 0.1),
    "epsilon": st.floats(1e-8, 1e-2),
    "beta1": st.floats(0.05, 0.95),
    "beta2": st.floats(0.05, 0.95),
}
BETAS = {"learning_rate": "lr", "epsilon": "eps"}
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": "lr", "momentum": "momentum", "nesterov": "nesterov"}),
    "adam": ("Adam", BETAS),
    "adamw": ("AdamW", BETAS | {"weight_decay": "weight_decay"}),
    "adamax": ("Adamax", BETAS),
    "radam": ("RAdam", BETAS),
    "rmsprop": ("RMSprop", BETAS | {"rho": "alpha"}),
    "adadelta": ("Adadelta", BETAS | {"rho": "rho"}),
    "adagrad": ("Adagrad", BETAS | {"initial_accumulator_value": "initial_accumulator_value"}),
    "lion": ("Lion", {"learning_rate": "learning_rate", "beta1": "beta_1", "beta2": "beta_2",
                      "weight_decay": "weight_decay"}),
    "ftrl": ("Ftrl", {"learning_rate": "learning_rate", "beta": "beta",
                      "learning_rate_power": "learning_rate_power",
                      "l1": "l1_regularization_strength", "l2": "l2_regularization_strength",
                      "initial_accumulator_value": "initial_accumulator_value"}),
}  # fmt: skip
"""The peer's class and its names of the options. PyTorch's nadam has a product in float32."""


@drawing
@given(data=st.data())
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_of_an_optimizer_are_those_of_another_library(torch, keras, name, data):
    peer, names = OPTIMIZERS[name]
    cls = cls_of("optimizer", name)
    fields = cls.__dataclass_fields__
    strategies = {option: one for option, one in RATES.items() if option in fields}
    optimizer = data.draw(configurations(cls, **strategies))
    options = values_of(optimizer, names)
    if name in ("lion", "ftrl"):
        expected = optimizers.of_keras(keras, peer, options)
    else:
        if "beta1" in fields:
            options["betas"] = optimizer.beta1, optimizer.beta2
        expected = optimizers.of_torch(torch, peer, options)
    compare(
        optimizer, peer, [(optimizers.own(optimizer), expected)], rtol=1e-6, atol=1e-8, drawn=True
    )
