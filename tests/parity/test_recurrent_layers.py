"""Recurrent layers beside PyTorch and Keras, also with masks: 1e-10 in float64."""

from dataclasses import replace

import numpy as np
import pytest

from nnreg.builtin.activations import Relu, Softmax
from nnreg.builtin.layers.composition import Stack
from nnreg.builtin.layers.convolution import Conv2d
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.recurrent import Gru, SimpleRnn
from nnreg.builtin.layers.wrappers import Bidirectional, TimeDistributed
from tests.parity.comparison import peer, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

LENGTHS = np.array([6, 2, 1, 4, 6])
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(5, 6, 3))
IMAGES = RNG.normal(size=(5, 6, 4, 3, 2))
MERGES = {
    "add": lambda a, b: a + b,
    "average": lambda a, b: (a + b) / 2,
    "multiply": lambda a, b: a * b,
}


def forward_alone(kind, **options):
    """Return PyTorch's recurrent module, on packed sequences if lengths are given."""

    @peer(f"torch.nn.{kind}")
    def compute(torch, x, lengths, p, *, sequences):
        module = module_of(torch, kind, x, p["weight"], **options)
        outputs, last = run(torch, module, of_pytorch(torch, module, p), x, lengths)
        return outputs if sequences else last[0]

    return compute


def backward_alone(kind, **options):
    """Return the backward direction of PyTorch's bidirectional module."""

    @peer(f"torch.nn.{kind}")
    def compute(torch, x, lengths, p, *, sequences):
        module = module_of(torch, kind, x, p["weight"], bidirectional=True, **options)
        weights = of_pytorch(torch, module, p) | of_pytorch(torch, module, p, "_reverse")
        outputs, last = run(torch, module, weights, x, lengths)
        return outputs.chunk(2, -1)[1] if sequences else last[1]

    return compute


def both(kind, merge="concat", prefix="", **options):
    """Return PyTorch's bidirectional module, whose two outputs it puts side by side."""

    @peer(f"torch.nn.{kind}")
    def compute(torch, x, lengths, p, *, sequences):
        one, two = (
            {k.removeprefix(start): v for k, v in p.items() if k.startswith(start)}
            for start in (f"{prefix}forward/", f"{prefix}backward/")
        )
        module = module_of(torch, kind, x, one["weight"], bidirectional=True, **options)
        weights = of_pytorch(torch, module, one) | of_pytorch(torch, module, two, "_reverse")
        outputs, last = run(torch, module, weights, x, lengths)
        if merge != "concat":
            return MERGES[merge](*(outputs.chunk(2, -1) if sequences else last))
        return outputs if sequences else torch.cat(tuple(last), -1)

    return compute


def module_of(torch, kind, x, weight, **options):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    units = weight.shape[1] // gates
    return getattr(torch.nn, kind)(x.shape[-1], units, batch_first=True, **options).double()


def of_pytorch(torch, module, p, suffix=""):
    """Return our parameters under PyTorch's names; it has two biases, which it adds."""
    zeros = torch.zeros_like(p["bias"])
    if "recurrent_bias" in p:
        zeros = torch.cat([zeros[: -len(p["recurrent_bias"])], p["recurrent_bias"]])
    found = {
        "weight_ih_l0": p["weight"].T,
        "weight_hh_l0": p["recurrent"].T,
        "bias_ih_l0": p["bias"],
        "bias_hh_l0": zeros,
    }
    if "projection_weight" in p:
        found["weight_hr_l0"] = p["projection_weight"].T
    return {name + suffix: values for name, values in found.items()}


def run(torch, module, weights, x, lengths):
    """Return the h of every step and the last, of packed sequences if lengths are given."""
    call = torch.func.functional_call
    if lengths is None:
        outputs, last = call(module, weights, (x,))
    else:
        rnn = torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = call(module, weights, (packed,))
        outputs, _ = rnn.pad_packed_sequence(outputs, True, total_length=x.shape[1])
    return outputs, last[0] if isinstance(last, tuple) else last


@peer("torch.nn.GRU")
def two_layers(torch, x, lengths, p, *, sequences):
    """Return two bidirectional layers of PyTorch, of which the second reads the first."""
    first = both("GRU", prefix="0/layers/0/")(torch, x, lengths, p, sequences=True)
    return both("GRU", prefix="1/layers/0/")(torch, first, lengths, p, sequences=sequences)


def of(layer, theirs, x=SEQUENCES):
    return layer, theirs, x


TORCH_CASES = {
    "simple_rnn": [
        of(SimpleRnn(4), forward_alone("RNN")),
        of(SimpleRnn(4, activation=Relu()), forward_alone("RNN", nonlinearity="relu")),
        of(SimpleRnn(4, backwards=True), backward_alone("RNN")),
    ],
    "gru": [of(Gru(4), forward_alone("GRU")), of(Gru(4, backwards=True), backward_alone("GRU"))],
    "lstm": [
        of(Lstm(4), forward_alone("LSTM")),
        of(Lstm(4, projection=2), forward_alone("LSTM", proj_size=2)),
        of(Lstm(4, projection=2, backwards=True), backward_alone("LSTM", proj_size=2)),
    ],
    "bidirectional": [
        of(Bidirectional(SimpleRnn(4)), both("RNN")),
        of(Bidirectional(Gru(4)), both("GRU")),
        of(Bidirectional(Lstm(4, projection=2)), both("LSTM", proj_size=2)),
        *(of(Bidirectional(Lstm(4), merge), both("LSTM", merge)) for merge in MERGES),
    ],
}


@peer("keras.layers.GRU")
def keras_gru(keras, torch, x, mask, p, *, sequences):
    """Return Keras's GRU, which has the columns of z before those of r."""
    layer = keras.layers.GRU(4, reset_after=False, return_sequences=sequences)
    layer.build(x.shape)
    parameters = [
        torch.cat([part[1], part[0], part[2]], -1)
        for part in (p[name].chunk(3, -1) for name in ("weight", "recurrent", "bias"))
    ]
    return stateless(layer, parameters, x, mask=mask)


@peer("keras.layers.Bidirectional")
def keras_bidirectional(keras, torch, x, mask, p, *, sequences):
    """Return Keras's layers in both directions, multiplied, of simple recurrent ones."""
    inner = keras.layers.SimpleRNN(4, return_sequences=sequences)
    layer = keras.layers.Bidirectional(inner, merge_mode="mul")
    layer.build(x.shape)
    return stateless(layer, list(p.values()), x, mask=mask)


def keras_time_distributed(inner, **options):
    @peer("keras.layers.TimeDistributed")
    def compute(keras, torch, x, mask, p, *, sequences):
        layer = keras.layers.TimeDistributed(getattr(keras.layers, inner)(**options))
        layer.build(x.shape)
        return stateless(layer, list(p.values()), x, mask=mask)

    return compute


def stateless(layer, parameters, x, mask):
    """Call a Keras layer with other values for its parameters."""
    others = [variable.value for variable in layer.non_trainable_variables]
    return layer.stateless_call(parameters, others, x, mask=mask)[0]


KERAS_CASES = {
    "gru": [
        of(Gru(4, reset_after=False), keras_gru),
    ],
    "bidirectional": [of(Bidirectional(SimpleRnn(4), "multiply"), keras_bidirectional)],
    "time_distributed": [
        of(TimeDistributed(Dense(3, Softmax())),
           keras_time_distributed("Dense", units=3, activation="softmax")),
        of(TimeDistributed(Conv2d(3, (2, 3))),
           keras_time_distributed("Conv2D", filters=3, kernel_size=(2, 3)), IMAGES),
    ],
}  # fmt: skip
FAMILIES = ("recurrent", "wrappers")


def test_every_layer_of_these_families_is_compared():
    require_all("layer", (TORCH_CASES.keys() | KERAS_CASES.keys()) - {"lstm"}, FAMILIES)


def both_forms(layer):
    """Return the layer that gives the last h, and the one that gives that of every step."""
    if isinstance(layer, TimeDistributed):
        return [(layer, True)]
    if isinstance(layer, Bidirectional):
        return [(replace(layer, layer=inner), steps) for inner, steps in both_forms(layer.layer)]
    return [(replace(layer, sequences=steps), steps) for steps in (False, True)]


def tried_cases(cases):
    return [
        pytest.param(layer, steps, theirs, x, masked, id=f"{layer} {masked=}")
        for found in cases.values()
        for one, theirs, x in found
        for layer, steps in both_forms(one)
        for masked in (False, True)
    ]


@pytest.mark.parametrize(("layer", "sequences", "theirs", "x", "masked"), tried_cases(TORCH_CASES))
def test_a_layer_is_that_of_pytorch(torch, layer, sequences, theirs, x, masked):
    lengths = LENGTHS if masked else None
    compare_layer(
        torch, layer, [x],
        lambda xs, p: theirs(torch, *xs, lengths, p, sequences=sequences),
        peer=theirs, lengths={"0": LENGTHS} if masked else None,
    )  # fmt: skip


@pytest.mark.parametrize(("layer", "sequences", "theirs", "x", "masked"), tried_cases(KERAS_CASES))
def test_a_layer_is_that_of_keras(torch, keras, layer, sequences, theirs, x, masked):
    real = torch.arange(x.shape[1]) < torch.tensor(LENGTHS)[:, None]
    mask = real if masked else None
    compare_layer(
        torch, layer, [x],
        lambda xs, p: theirs(keras, torch, *xs, mask, p, sequences=sequences),
        peer=theirs, lengths={"0": LENGTHS} if masked else None,
    )  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
def test_a_stack_of_bidirectional_layers_is_two_layers_of_pytorch(torch, masked):
    layer = Stack((Bidirectional(Gru(3, sequences=True)),), times=2)
    x, lengths = np.random.default_rng(1).normal(size=(5, 6, 6)), LENGTHS if masked else None
    compare_layer(
        torch, layer, [x], lambda xs, p: two_layers(torch, *xs, lengths, p, sequences=True),
        peer=two_layers, lengths={"0": LENGTHS} if masked else None,
    )  # fmt: skip
