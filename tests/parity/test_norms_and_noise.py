"""Norms, noise and dense layers of other forms beside PyTorch and Keras, to 1e-10 in float64."""

import types
from unittest import mock

import numpy as np
import pytest

from nnreg.builtin.layers import convolution, dense
from nnreg.builtin.layers.spectral_norm import SpectralNorm
from nnreg.network.parameters import views
from nnreg.registry.registry import installed
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.parity.comparison import compare, peer, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def of(theirs, *shapes, **options):
    return theirs, shapes, options


def first(x):
    """Move the channels to the axis where PyTorch has them."""
    return x.movedim(-1, 1)


def group_norm(groups, epsilon=1e-5):
    @peer("torch.nn.functional.group_norm")
    def compute(peers, x, p):
        functional = peers.torch.nn.functional
        return functional.group_norm(first(x), groups, p["gamma"], p["beta"], epsilon).movedim(
            1, -1
        )

    return compute


def instance_norm(epsilon=1e-5):
    @peer("torch.nn.functional.instance_norm")
    def compute(peers, x, p):
        norm = peers.torch.nn.functional.instance_norm
        return norm(first(x), weight=p["gamma"], bias=p["beta"], eps=epsilon).movedim(1, -1)

    return compute


def rms_norm(epsilon=1e-6):
    @peer("torch.nn.functional.rms_norm")
    def compute(peers, x, p):
        return peers.torch.nn.functional.rms_norm(x, x.shape[-1:], p["gamma"], epsilon)

    return compute


def keras_layer(name, *args, **options):
    """Return the output of a layer of Keras, whose weights are ours in the same order."""

    @peer(f"keras.layers.{name}")
    def compute(peers, x, p):
        layer = getattr(peers.keras.layers, name)(*args, **options)
        layer.build(x.shape)
        return layer.stateless_call(list(p.values()), [], x)[0]

    return compute


def einsum_dense(equation, output_shape, **options):
    theirs = keras_layer("EinsumDense", equation, output_shape, **options)
    axes = options.get("bias_axes")

    @peer(theirs.peer)
    def compute(peers, x, p):
        ordered = {key: p[key] for key in ("weight", "bias") if key in p}
        return theirs(peers, x, ordered)

    activation = options.get("activation", "identity")
    cls = installed().find("activation", activation).cls
    return compute, {
        "equation": equation,
        "output_shape": output_shape,
        "activation": cls(),
        "bias_axes": axes,
    }


def einsum(equation, output_shape, *shape, **options):
    theirs, own = einsum_dense(equation, output_shape, **options)
    return theirs, (shape,), own


def noise(name, distribution, draw, **options):
    """Return the output of a layer of Keras that is given the numbers which ours draws."""

    @peer(f"keras.layers.{name}")
    def compute(peers, x, p):
        random = peers.keras.src.backend.random

        def drawn(shape, mean=0.0, stddev=1.0, **_):
            numbers = draw(np.random.default_rng(5), x.shape)
            return mean + stddev * peers.torch.tensor(numbers.astype(np.float64))

        with mock.patch.object(random, distribution, drawn):
            return getattr(peers.keras.layers, name)(**options)(x, training=True)

    return compute


def uniform(rng, shape):
    return rng.random(shape, dtype=np.float32)


def normal(rng, shape):
    return rng.standard_normal(shape, dtype=np.float32)


def spatial_dropout(rate):
    """Compute it by PyTorch's tensors: neither library takes numbers drawn before."""

    def compute(peers, x, p):
        ones = [1] * (x.ndim - 2)
        drawn = uniform(np.random.default_rng(5), (len(x), *ones, x.shape[-1]))
        return x * peers.torch.tensor((drawn >= rate) / (1 - rate))

    return compute


def maxout(pieces):
    """Compute it by PyTorch's linear functions: neither library has it."""

    def compute(peers, x, p):
        linear = peers.torch.nn.functional.linear(x, p["weight"].T, p["bias"])
        return linear.unflatten(-1, (pieces, -1)).amax(dim=-2)

    return compute


@peer("torch.nn.functional.bilinear")
def bilinear(peers, x, other, p):
    weight = p["weight"].permute(2, 0, 1)
    return peers.torch.nn.functional.bilinear(x, other, weight, p["bias"])


@peer("torch.nn.functional.normalize")
def normalize(peers, x, p):
    return peers.torch.nn.functional.normalize(x, dim=-1)


CASES = {
    "group_norm": [
        of(group_norm(2), (4,), groups=2),
        of(group_norm(2), (5, 4), groups=2),
        of(group_norm(1, 1e-3), (5, 4, 6), groups=1, epsilon=1e-3),
        of(group_norm(3), (3, 4, 2, 6), groups=3),
        of(group_norm(4), (7, 4), groups=4),
    ],
    "instance_norm": [
        of(instance_norm(), (5, 4)),
        of(instance_norm(1e-3), (5, 4, 3), epsilon=1e-3),
        of(instance_norm(), (2, 5, 4, 3)),
    ],
    "rms_norm": [of(rms_norm(), (5,)), of(rms_norm(1e-2), (3, 4, 2), epsilon=1e-2)],
    "unit_norm": [
        of(keras_layer("UnitNormalization"), (5,)),
        of(normalize, (3, 4, 2)),
    ],
    "rescaling": [of(keras_layer("Rescaling", 1 / 127.5, -1), (3, 4), scale=1 / 127.5, offset=-1)],
    "alpha_dropout": [
        of(noise("AlphaDropout", "uniform", uniform, rate=rate), (50, 4), rate=rate)
        for rate in (0.1, 0.6)
    ],
    "gaussian_dropout": [
        of(noise("GaussianDropout", "normal", normal, rate=0.3), (5, 4), rate=0.3)
    ],
    "gaussian_noise": [of(noise("GaussianNoise", "normal", normal, stddev=0.3), (5, 4), std=0.3)],
    "spatial_dropout1d": [of(spatial_dropout(0.4), (5, 20), rate=0.4)],
    "spatial_dropout2d": [of(spatial_dropout(0.4), (3, 4, 20), rate=0.4)],
    "spatial_dropout3d": [of(spatial_dropout(0.4), (3, 4, 2, 20), rate=0.4)],
    "einsum_dense": [
        einsum("ab,bc->ac", 3, 4),
        einsum("ab,bc->ac", 3, 4, bias_axes="c", activation="softmax"),
        einsum("abc,cd->abd", (None, 3), 5, 4, bias_axes="d", activation="tanh"),
        einsum("abc,cd->abd", (5, 3), 5, 4, bias_axes="bd"),
        einsum("abc,cd->abd", (5, 3), 5, 4, bias_axes="b"),
        einsum("abc,bd->adc", (3, None), 5, 4, bias_axes="d"),
        einsum("abc,bcd->abd", (5, 3), 5, 4, bias_axes="d"),
        einsum("abcd,cde->abe", (None, 3), 5, 4, 2, bias_axes="e"),
        einsum("abc,cde->abde", (None, 2, 3), 5, 4, bias_axes="de"),
        einsum("abc,cde->aebd", (3, None, 2), 5, 4, bias_axes="ed"),
        einsum("abc,bd->ad", 3, 5, 4),
        einsum("abc,d->abcd", (None, None, 3), 5, 4),
        einsum("...x,xy->...y", 3, 4, bias_axes="y"),
        einsum("...x,xy->...y", 3, 5, 2, 4, bias_axes="y", activation="softmax"),
        einsum("...tx,xy->...ty", (2, 3), 5, 2, 4, bias_axes="ty"),
        einsum("ab...,bc->ac...", 3, 5, 2, 4, bias_axes="c"),
        einsum("abc...,bcd->abd...", (5, 3), 5, 2, 4, bias_axes="bd"),
    ],
    "maxout": [
        of(maxout(2), (4,), units=3), of(maxout(4), (5, 4), units=2, pieces=4),
    ],
    "bilinear": [of(bilinear, (4,), (3,), units=2), of(bilinear, (5, 4), (5, 3), units=2)],
}  # fmt: skip

FAMILIES = (
    "bilinear",
    "einsum_dense",
    "group_normalization",
    "maxout",
    "noise",
    "rescaling",
    "row_normalization",
)


def test_every_layer_of_these_families_is_compared():
    require_all("layer", CASES, FAMILIES)


@pytest.fixture
def peers(torch, keras):
    return types.SimpleNamespace(torch=torch, keras=keras)


@pytest.mark.parametrize(
    ("name", "number"), [(name, k) for name, cases in CASES.items() for k in range(len(cases))]
)
def test_a_layer_has_the_outputs_and_the_gradients_of_its_peer(peers, name, number):
    compute, shapes, options = CASES[name][number]
    layer = installed().find("layer", name).cls(**options)
    rng = np.random.default_rng(number)
    inputs = [rng.normal(size=(3, *shape)) for shape in shapes]
    compare_layer(peers.torch, layer, inputs, lambda xs, p: compute(peers, *xs, p), peer=compute)


PARAMETRIZATION = "torch.nn.utils.parametrizations.spectral_norm"
SPECTRAL = {
    "dense": (dense.Dense(3), (4,), lambda torch: torch.nn.Linear(4, 3), (1, 0)),
    "conv2d": (
        convolution.Conv2d(4, (3, 2)),
        (5, 6, 2),
        lambda torch: torch.nn.Conv2d(2, 4, (3, 2)),
        (3, 2, 0, 1),
    ),
}
"""For each layer the shape of its input, that of PyTorch, and the order of its weight's axes."""


def spectral_modules(torch, name, iterations):
    """Return our layer and PyTorch's, with the same weight, bias and singular vector."""
    layer, shape, module, order = SPECTRAL[name]
    x = np.random.default_rng(0).normal(size=(3, *shape))
    ours = Pass(LayerCase(SpectralNorm(layer, iterations), x))
    normalized = torch.nn.utils.parametrizations.spectral_norm
    theirs = normalized(module(torch).double(), n_power_iterations=iterations)
    values = ours.network.parameters
    with torch.no_grad():
        weight = torch.tensor(values["layers/0/layer/weight"].copy())
        theirs.parametrizations.weight.original.copy_(weight.permute(order))
        theirs.bias.copy_(torch.tensor(values["layers/0/layer/bias"].copy()))
        v = singular_vector(torch, ours, order)
        theirs.parametrizations.weight[0]._v.copy_(v / v.norm())
    return ours, theirs, order


def singular_vector(torch, ours, order):
    """Return our singular vector, in the order of PyTorch's inputs."""
    axes = ours.network.parameters["layers/0/layer/weight"].shape[:-1]
    v = torch.tensor(ours.network.state["layers/0/v"].copy()).reshape(axes)
    return v.permute(order[1:]).flatten()


def run_theirs(torch, theirs, ours):
    """Return the output, and the gradient of the input, of PyTorch's module."""
    leaf = torch.tensor(ours.x, requires_grad=True)
    y = theirs(first(leaf) if leaf.ndim > 2 else leaf)
    y = y.movedim(1, -1) if leaf.ndim > 2 else y
    theirs.zero_grad()
    y.backward(torch.tensor(ours.dy))
    return y.detach().numpy(), leaf.grad.numpy()


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_has_the_steps_of_pytorchs(torch, name, iterations):
    ours, theirs, order = spectral_modules(torch, name, iterations)
    original = theirs.parametrizations.weight.original
    for _ in range(3):
        (y, dx), (expected, dx_expected) = ours.run(), run_theirs(torch, theirs, ours)
        gradients = views(ours.gradient, ours.network.params)
        weight = gradients["layers/0/layer/weight"].transpose(order)
        bias = gradients["layers/0/layer/bias"]
        pairs = [(dx, dx_expected), (weight, original.grad), (bias, theirs.bias.grad)]
        compare(SpectralNorm, PARAMETRIZATION, [(y, expected)], pairs)
        found = theirs.parametrizations.weight[0]._v
        np.testing.assert_allclose(singular_vector(torch, ours, order), found, **CLOSE)


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_has_the_evaluation_of_pytorchs_once_converged(torch, name):
    ours, theirs, _ = spectral_modules(torch, name, 300)
    ours.run()
    run_theirs(torch, theirs, ours)
    theirs.eval()
    evaluated = ours.network.predict(ours.x)
    np.testing.assert_allclose(evaluated, run_theirs(torch, theirs, ours)[0], **CLOSE)
