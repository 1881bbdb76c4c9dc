"""Layers of other families beside PyTorch and Keras: 1e-10 in float64."""

import numpy as np
import pytest

from nnreg.builtin.activations import Gelu, Identity, LeakyRelu, Relu, Softmax, Tanh
from nnreg.builtin.layers import dense, gating, joins, positions, sampling
from nnreg.builtin.layers.composition import Residual, Stack
from nnreg.builtin.layers.embedding import Embedding
from nnreg.builtin.layers.normalization import BatchNorm, LayerNorm
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.parity.comparison import compare, peer, require_all
from tests.parity.layers import compare_layer

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
ROW, ROWS, STEPS = RNG.normal(size=(6, 4)) * 3, RNG.normal(size=(6, 4)), RNG.normal(size=(3, 5, 4))
OTHERS = [RNG.normal(size=(3, 5, 4)) for _ in range(2)]
NUMBERS = RNG.integers(0, 7, (4, 3))
OPPOSITE = np.concatenate([ROW, ROW[::-1] * 50], axis=1)
EQUAL = [ROW, np.where(ROW > 0, ROW, -ROW)]  # half of the values are the same


def of(layer, theirs, *inputs):
    return layer, theirs, inputs


def function(name, *names, options=None):
    """Return a function of PyTorch of the inputs, then of our parameters of these names."""

    @peer(f"torch.nn.functional.{name}")
    def compute(torch, keras, xs, p):
        given = [p[one] for one in names]
        return getattr(torch.nn.functional, name)(*xs, *given, **(options or {}))

    return compute


def linear(activate=None):
    @peer("torch.nn.functional.linear")
    def compute(torch, keras, xs, p):
        y = torch.nn.functional.linear(*xs, p["weight"].T, p.get("bias"))
        return activate(torch)(y) if activate else y

    return compute


def activation(name, **options):
    """Return the layer of Keras that applies an activation, where PyTorch has only modules."""

    @peer("keras.layers.Activation")
    def compute(torch, keras, xs, p):
        return keras.layers.Activation(name)(*xs)

    return compute


@peer("torch.nn.functional.embedding")
def embedding(torch, keras, xs, p):
    return torch.nn.functional.embedding(*xs, p["weight"])


@peer("torch.nn.functional.layer_norm")
def layer_norm(torch, keras, xs, p):
    (x,) = xs
    return torch.nn.functional.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], 1e-5)


def dropout(rate):
    """Compute it by PyTorch's tensors: neither library takes numbers drawn before."""

    def compute(torch, keras, xs, p):
        drawn = np.random.default_rng(5).random(tuple(xs[0].shape), dtype=np.float32)
        return xs[0] * torch.tensor((drawn >= rate) / (1 - rate))

    return compute


def position(torch, keras, xs, p):
    return xs[0] + p["position"]


def waves(torch, keras, xs, p):
    _, time, features = xs[0].shape
    k = torch.arange(0, features, 2, dtype=torch.float64)
    angles = torch.arange(time)[:, None] / 10_000 ** (k / features)
    return xs[0] + torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1)


@peer("torch.distributions.kl_divergence")
def sample(torch, keras, xs, p):
    mean, logs = xs[0].chunk(2, dim=-1)
    deviation = torch.exp(logs / 2)
    drawn = np.random.default_rng(5).standard_normal(tuple(mean.shape), dtype=np.float32)
    normal = torch.distributions.Normal
    own, standard = normal(mean, deviation), normal(torch.zeros_like(mean), 1.0)
    kl = torch.distributions.kl_divergence(own, standard).sum(-1, keepdim=True)
    z = mean + deviation * torch.tensor(drawn.astype(np.float64))
    return torch.cat([z.flatten(1), kl.flatten(1)], dim=1)


def skip(torch, keras, xs, p):
    return xs[0] + torch.tanh(xs[0] @ p["layers/0/weight"] + p["layers/0/bias"])


@peer("torch.nn.Sequential")
def sequential(torch, keras, xs, p):
    modules, weights = [], {}
    for k in range(2):
        modules += [torch.nn.Linear(4, 4), torch.nn.ReLU()]
        weights[f"{2 * k}.weight"] = p[f"{k}/layers/0/weight"].T
        weights[f"{2 * k}.bias"] = p[f"{k}/layers/0/bias"]
    return torch.func.functional_call(torch.nn.Sequential(*modules).double(), weights, tuple(xs))


def join(name, **options):
    @peer(f"keras.layers.{name}")
    def compute(torch, keras, xs, p):
        return getattr(keras.layers, name)(**options)(xs)

    return compute


def distance(torch, keras, xs, p):
    return torch.sqrt(((xs[0] - xs[1]) ** 2).sum(-1) + 1e-12)


CASES = {
    "dense": [
        of(dense.Dense(3), linear(), ROW),
        of(dense.Dense(3, bias=False), linear(), STEPS),
        of(dense.Dense(3, Softmax()), linear(lambda torch: torch.nn.Softmax(-1)), STEPS),
        of(dense.Dense(3, LeakyRelu(0.2)), linear(lambda torch: torch.nn.LeakyReLU(0.2)), ROW),
    ],
    "dropout": [of(dense.Dropout(rate), dropout(rate), STEPS) for rate in (0.1, 0.6)],
    "flatten": [
        of(dense.Flatten(), peer("torch.flatten")(
            lambda torch, keras, xs, p: torch.flatten(*xs, start_dim=1)), STEPS),
    ],
    "activation": [
        of(dense.ActivationLayer(Tanh()), activation("tanh"), STEPS),
        of(dense.ActivationLayer(Softmax()), activation("softmax"), ROW),
        of(dense.ActivationLayer(Gelu(exact=True)), activation("gelu"), ROW),
        of(dense.ActivationLayer(Identity()), activation("linear"), ROW),
    ],
    "glu": [of(gating.Glu(), function("glu"), OPPOSITE)],
    "layer_norm": [of(LayerNorm(), layer_norm, ROW), of(LayerNorm(), layer_norm, STEPS)],
    "embedding": [of(Embedding(7, 5), embedding, NUMBERS)],
    "add_position": [
        of(positions.AddPosition(), position, STEPS),
        of(positions.AddPosition(learned=False), waves, STEPS),
    ],
    "gaussian_sample": [of(sampling.GaussianSample(), sample, ROW / 3)],
    "residual": [of(Residual((dense.Dense(4, Tanh()),)), skip, ROW)],
    "stack": [of(Stack((dense.Dense(4, Relu()),), times=2), sequential, ROW)],
    "add": [of(joins.Add(), join("Add"), STEPS, *OTHERS)],
    "subtract": [of(joins.Subtract(), join("Subtract"), STEPS, OTHERS[0])],
    "multiply": [of(joins.Multiply(), join("Multiply"), STEPS, *OTHERS)],
    "average": [of(joins.Average(), join("Average"), STEPS, *OTHERS)],
    "maximum": [of(joins.Maximum(), join("Maximum"), STEPS, *OTHERS)],
    "minimum": [of(joins.Minimum(), join("Minimum"), STEPS, *OTHERS)],
    "concat": [
        of(joins.Concat(), join("Concatenate"), STEPS, OTHERS[0][..., :2]),
        of(joins.Concat(0), join("Concatenate", axis=1), STEPS, *OTHERS),
    ],
    "dot": [
        of(joins.Dot(), join("Dot", axes=1), ROW, ROWS),
        of(joins.Dot(), peer("torch.linalg.vecdot")(
            lambda torch, keras, xs, p: torch.linalg.vecdot(*xs)), STEPS, OTHERS[0]),
    ],
    "distance": [of(joins.Distance(), distance, STEPS, OTHERS[0])],
}  # fmt: skip

FAMILIES = (
    "composition", "dense", "embedding", "gating", "joins", "normalization", "positions",
    "lstm", "periodic_embedding", "sampling",
)  # fmt: skip
ELSEWHERE = {
    "rrelu", "batch_norm", "lstm", "rotary_positions", "column_embedding", "periodic_embedding",
}  # fmt: skip
"""Those that have a test of their own below or are compared with other families."""


def test_every_layer_of_these_families_is_compared():
    require_all("layer", CASES.keys() | ELSEWHERE, FAMILIES)


@pytest.mark.parametrize(
    ("name", "number"), [(name, k) for name, cases in CASES.items() for k in range(len(cases))]
)
def test_a_layer_has_the_outputs_and_the_gradients_of_its_peer(torch, keras, name, number):
    layer, compute, inputs = CASES[name][number]
    compare_layer(torch, layer, inputs, lambda xs, p: compute(torch, keras, xs, p), peer=compute)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("x", [ROW, STEPS], ids=["rows", "steps"])
def test_batch_norm_is_pytorchs(torch, training, x):
    running = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)

    def compute(xs, p):
        given = xs[0].movedim(-1, 1), *running, p["gamma"], p["beta"], training
        return torch.nn.functional.batch_norm(*given, momentum=0.1).movedim(1, -1)

    name = "torch.nn.functional.batch_norm"
    ours = compare_layer(torch, BatchNorm(), [x], compute, peer=name, training=training)
    state = [ours.network.state[f"layers/0/running_{one}"] for one in ("mean", "variance")]
    compare(BatchNorm, name, list(zip(state, running, strict=True)))


@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.2, 0.9)])
def test_rrelu_is_pytorchs_with_slopes_within_the_same_bounds(torch, bounds):
    layer, name = gating.RRelu(*bounds), "torch.nn.functional.rrelu"
    compare_layer(
        torch, layer, [ROW], lambda xs, p: torch.nn.functional.rrelu(*xs, *bounds), peer=name,
        training=False,
    )  # fmt: skip
    negative = -np.ones((500, 4))
    slopes = -Pass(LayerCase(layer, negative)).run()[0]
    theirs = -torch.nn.functional.rrelu(torch.tensor(negative), *bounds, training=True).numpy()
    for one in (slopes, theirs):
        assert bounds[0] <= one.min() <= one.max() <= bounds[1]
    assert slopes.mean() == pytest.approx(theirs.mean(), abs=0.02)
    assert slopes.std() == pytest.approx(theirs.std(), abs=0.02)
