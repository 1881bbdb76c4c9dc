"""Activations with parameters, wherever an activation may stand in a network."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, Layer, PluginError, SpecError, TrainableActivation
from nnreg.builtin.activations import Softmax, Tanh
from nnreg.builtin.initializers import Ones
from nnreg.builtin.losses import CrossEntropy
from nnreg.reports.network_diagram import boxes_of
from nnreg.testing.finite_differences import central_difference
from tests.helpers.trainable import PRelu, TrainableSwish
from tests.model.graph_specs import spec

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = X[:, 0] * X[:, 1]
SERIES = RNG.normal(size=(4, 5, 2))
IMAGES = RNG.normal(size=(4, 5, 5, 2))
OUTPUT = {"type": "dense", "units": 1}
PRELU = {"type": "dense", "units": 3, "activation": "own_prelu"}
SWISH = {"type": "activation", "activation": "trainable_swish"}
SHARED = [
    {**PRELU, "name": "tower"},
    {"use": "tower", "name": "again"},
    {"use": "tower", "inputs": "input", "name": "first"},
    {"type": "multiply", "inputs": ["again", "first", "tower"]},
    {**SWISH, "name": "swish"},
    {"use": "swish"},
    OUTPUT,
]
STACK = [{"type": "stack", "times": 3, "layers": [PRELU, SWISH]}, OUTPUT]
PLACES = {
    "dense": ([PRELU, OUTPUT], X),
    "output": ([{**PRELU, "units": 1}], X),
    "first layer": ([{"type": "activation", "activation": "own_prelu"}, OUTPUT], X),
    "activation layer": ([PRELU, SWISH, OUTPUT], X),
    "sequence": ([PRELU, SWISH, "flatten", OUTPUT], SERIES),
    "behind a recurrence": ([{"type": "lstm", "units": 3}, SWISH, OUTPUT], SERIES),
    "image": (
        [
            {"type": "conv2d", "filters": 2, "kernel": 2, "activation": "own_prelu"},
            {"type": "conv2d", "filters": 3, "kernel": 2, "activation": "trainable_swish"},
            "flatten",
            OUTPUT,
        ],
        IMAGES,
    ),
    "residual": ([{"type": "residual", "layers": [PRELU, SWISH]}, OUTPUT], X),
    "stack": (STACK, X),
    "nested lists": (
        [
            {"type": "stack", "times": 2, "layers": [{"type": "residual", "layers": [PRELU]}]},
            OUTPUT,
        ],
        X,
    ),
    "several uses": (SHARED, X),
    "transposed": (
        [
            {"type": "dense", "units": 2, "activation": "own_prelu", "name": "code"},
            {"use": "code", "transposed": True},
            OUTPUT,
        ],
        X,
    ),
}


@pytest.fixture(autouse=True)
def _plugin(registering):
    nnreg.register("own_prelu", PRelu)
    nnreg.register("trainable_swish", TrainableSwish)


def build(layers, x=X, y=None, **changes):
    return nnreg.build(spec(layers, **changes), data=(x, x.sum(axis=-1)[:12].ravel()[: len(x)]
                                                      if y is None else y))  # fmt: skip


def shapes(model):
    return {name: array.shape for name, array in model.parameters.items() if "activation" in name}


@pytest.mark.parametrize("place", PLACES)
def test_gradients_are_those_of_central_differences(place):
    layers, x = PLACES[place]
    network = build(layers, x).network
    assert any("activation" in name for name in network.params)
    network.vector += 0.1 * np.random.default_rng(1).normal(size=network.vector.shape)
    gradient = np.full_like(network.vector, np.nan)
    context = network.context(
        network.workspace(reuse=True), gradient, training=True, input_gradient=True
    )
    y, backward = network.forward(x, context)
    dy, x = np.random.default_rng(2).normal(size=y.shape), x.copy()
    dx = backward(dy).copy()

    def total():
        context.workspace.rewind()
        return float(np.sum(network.forward(x, context)[0] * dy))

    np.testing.assert_allclose(gradient, central_difference(total, network.vector), 1e-7, 1e-7)
    np.testing.assert_allclose(dx, central_difference(total, x), 1e-7, 1e-7)


def test_parameters_are_named_by_their_layer():
    assert list(build(STACK).parameters)[:4] == [
        "layers/0/0/layers/0/weight",
        "layers/0/0/layers/0/bias",
        "layers/0/0/layers/0/activation/slope",
        "layers/0/0/layers/1/activation/beta",
    ]
    assert shapes(build(SHARED)) == {
        "layers/tower/activation/slope": (3,),
        "layers/swish/activation/beta": (),
    }
    assert shapes(build(*PLACES["transposed"])) == {"layers/code/activation/slope": (2,)}


def test_dense_and_convolution_give_their_features_and_the_layer_the_whole_shape():
    @dataclass(frozen=True)
    class Everywhere(PRelu):
        """A slope for each value."""

        def build(self, shape, builder):
            builder.param("slope", shape, Ones())
            return shape

    nnreg.register("own_prelu", Everywhere)
    assert shapes(build(*PLACES["image"])) == {
        "layers/0/activation/slope": (2,),
        "layers/1/activation/beta": (),
    }
    layers = [PRELU, {"type": "activation", "activation": "own_prelu"}, "flatten", OUTPUT]
    assert shapes(build(layers, SERIES)) == {
        "layers/0/activation/slope": (3,),
        "layers/1/activation/slope": (5, 3),
    }


@pytest.mark.parametrize("layers", [STACK, SHARED])
def test_a_saved_model_is_the_same_and_continues_bit_identically(layers, tmp_path):
    whole = nnreg.run(spec(layers, train={"epochs": 5}), data=(X, Y))
    half = nnreg.run(spec(layers), data=(X, Y))
    assert all((array != 0.25).all() for array in half.parameters.values())
    nnreg.save(half, tmp_path / "half.h5")
    loaded = nnreg.load(tmp_path / "half.h5")
    np.testing.assert_array_equal(loaded.predict(X), half.predict(X))
    for model in (half, loaded):
        model.fit(X, Y, epochs=2)
    np.testing.assert_array_equal(loaded.network.vector, half.network.vector)
    np.testing.assert_allclose(half.network.vector, whole.network.vector)


@pytest.mark.parametrize("layers", [STACK, SHARED])
def test_divided_batches_have_the_same_gradient(layers):
    rng = np.random.default_rng(2)
    x, found = rng.normal(size=(8192, 3)), {}
    for shards, threads in ((1, 1), (4, 1), (4, 2), (4, 4)):
        train = {"epochs": 2, "batch_size": 8192, "threads": threads, "shards": shards}
        model = build(layers, x, x[:, 0], train=train)
        trainer = model.trainer(model.examples(x, x[:, 0]))
        assert (trainer.shards, trainer.threads) == (shards, threads)
        list(trainer.epochs())
        vector = model.network.vector.copy()
        np.testing.assert_allclose(vector, found.setdefault(1, vector), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(vector, found.setdefault(shards, vector))


def test_a_frozen_activation_is_not_trained():
    for frozen in ("layers/0/activation", "layers/0"):
        train = {"epochs": 2, "freeze": [frozen]}
        model = nnreg.run(spec([PRELU, SWISH, OUTPUT], train=train), data=(X, Y))
        assert (model.parameters["layers/0/activation/slope"] == 0.25).all()
        assert model.parameters["layers/1/activation/beta"] != 1
        start = build([PRELU, SWISH, OUTPUT]).parameters["layers/0/weight"]
        trained = (model.parameters["layers/0/weight"] != start).any()
        assert trained == (frozen == "layers/0/activation")


def test_its_values_can_start_from_those_of_another_run(tmp_path):
    first = nnreg.run(spec([PRELU, OUTPUT]), data=(X, Y))
    nnreg.save(first, tmp_path / "first.h5")
    start = {"checkpoint": str(tmp_path / "first.h5"), "layers": ["layers/0/activation"]}
    train = {"epochs": 1, "start_from": start, "freeze": ["layers/0/activation"]}
    second = nnreg.run(spec([PRELU, OUTPUT], train=train, seed=5), data=(X, Y))
    name = "layers/0/activation/slope"
    np.testing.assert_array_equal(second.parameters[name], first.parameters[name])
    assert (second.parameters["layers/0/weight"] != first.parameters["layers/0/weight"]).any()


def test_patterns_of_parameters_find_those_of_activations():
    pattern, layers = "layers/*/activation/*", [PRELU, SWISH, OUTPUT]
    slow = {"epochs": 2, "learning_rates": {pattern: 1e-9}}
    model = nnreg.run(spec(layers, train=slow), data=(X, Y))
    np.testing.assert_allclose(model.parameters["layers/0/activation/slope"], 0.25, rtol=1e-7)
    bounded = {"epochs": 2, "constrain": {"layers/0/activation/slope": "non_negative"}}
    optimizer = {"type": "sgd", "learning_rate": 1.0}
    model = nnreg.run(spec(layers, train=bounded, optimizer=optimizer), data=(X, Y))
    assert (model.parameters["layers/0/activation/slope"] >= 0).all()
    loss = {}
    for penalty in ({"regularize": {pattern: {"type": "l2", "factor": 10}}}, {}):
        model = build(layers, train={"epochs": 1, **penalty})
        list(model.trainer(model.examples(X, Y)).epochs())
        loss[bool(penalty)] = abs(model.parameters["layers/0/activation/slope"]).sum()
    assert loss[True] < loss[False]


def test_weight_decay_changes_only_what_is_declared_as_regularized():
    steps = []
    for decay in (0, 0.5):
        train = {"epochs": 1, "weight_decay": decay}  # one step
        model = build([PRELU, SWISH, OUTPUT], train=train)
        list(model.trainer(model.examples(X, Y)).epochs())
        steps.append(model.parameters)
    changed = {name for name in steps[0] if (steps[0][name] != steps[1][name]).any()}
    weights = {f"layers/{name}" for name in ("0/weight", "0/activation/slope", "2/weight")}
    assert changed == weights


def test_each_of_several_outputs_may_have_one():
    layers = [
        {**PRELU, "name": "hidden"},
        {"type": "dense", "units": 1, "activation": "own_prelu", "name": "price"},
        {
            "type": "dense",
            "units": 1,
            "activation": "own_prelu",
            "inputs": "hidden",
            "name": "size",
        },
    ]
    losses = {"price": "mean_squared_error", "size": "mean_absolute_error"}
    model = nnreg.run(spec(layers, loss=losses), data=(X, {"price": Y, "size": Y}))
    assert all((array != 0.25).all() for array in model.parameters.values())
    assert set(shapes(model)) == {
        f"layers/{name}/activation/slope" for name in ("hidden", "price", "size")
    }


def test_the_summary_and_the_diagram_count_them_in_their_layer():
    model = build([PRELU, OUTPUT])
    assert [row[-1] for row in model.layer_table()] == [3 * 3 + 3 + 3, 4]
    box = boxes_of(model)[0]
    assert (box.children, box.size, box.options) == ((), 15, "3 units, own_prelu")


@dataclass(frozen=True)
class Ignoring(Layer):
    """A layer that does not build its activation."""

    activation: Activation = Tanh()

    def forward(self, x, context):
        return self.activation.forward(x)


@dataclass(frozen=True)
class Doubled(Activation):
    """An activation of another one, without parameters itself."""

    inner: Activation = Tanh()

    def forward(self, x):
        y, backward = self.inner.forward(x)
        return 2 * y, lambda dy: backward(2 * dy)


@dataclass(frozen=True)
class TrainableDoubled(TrainableActivation):
    """An activation of another one, which may have parameters."""

    inner: Activation = Tanh()

    def build(self, shape, builder):
        builder.activation("inner", self.inner, shape)
        return shape

    def forward(self, x, context):
        own = context.children.get("inner", context)
        y, backward = self.inner.forward_inplace(x.copy(), own)
        return 2 * y, lambda dy: backward(2 * dy)


@pytest.mark.parametrize(
    ("cls", "name", "layer", "path"),
    [
        (Ignoring, "ignoring", {"type": "ignoring", "activation": "own_prelu"}, ""),
        (Doubled, "doubled", {**PRELU, "activation": {"type": "doubled", "inner": "own_prelu"}},
         ".inner"),
    ],
)  # fmt: skip
def test_what_does_not_build_an_activation_with_parameters_is_refused(cls, name, layer, path):
    nnreg.register(name, cls)
    with pytest.raises(SpecError) as raised:
        build([{"type": "residual", "layers": [layer]}, OUTPUT])
    (problem,) = raised.value.problems
    assert problem.path == f"$.model.layers[0].layers[0].activation{path}"
    assert problem.message.startswith("PRelu has parameters, which ")


def test_an_activation_may_contain_one_with_parameters():
    nnreg.register("doubled", TrainableDoubled)
    layers = [{**PRELU, "activation": {"type": "doubled", "inner": "own_prelu"}}, OUTPUT]
    model = nnreg.run(spec(layers), data=(X, Y))
    assert shapes(model) == {"layers/0/activation/inner/slope": (3,)}
    layers = [{**PRELU, "activation": {"type": "doubled"}}, OUTPUT]
    assert shapes(nnreg.run(spec(layers), data=(X, Y))) == {}


def test_a_build_that_changes_the_shape_is_refused():
    @dataclass(frozen=True)
    class Shorter(PRelu):
        """Not an activation."""

        def build(self, shape, builder):
            super().build(shape, builder)
            return (*shape[:-1], 1)

    nnreg.register("own_prelu", Shorter)
    expected = r"activation: Shorter.build returned \(1,\); expected \(3,\), the shape"
    with pytest.raises(PluginError, match=expected):
        build([PRELU, OUTPUT])


@dataclass(frozen=True)
class Temperature(TrainableActivation):
    """Softmax with a trainable temperature."""

    range = (0.0, 1.0)
    sums_to_one = True

    def build(self, shape, builder):
        builder.param("scale", (), Ones())
        return shape

    def forward(self, x, context):
        scale = context.params["scale"]
        y, backward = Softmax().forward(scale * x)

        def own(dy):
            dz = backward(dy)
            np.sum(dz * x, out=context.gradients["scale"])
            return scale * dz

        return y, own


def test_an_output_activation_with_parameters_is_trained_and_not_fused_with_the_loss(monkeypatch):
    nnreg.register("temperature", Temperature)
    monkeypatch.setattr(CrossEntropy, "fused_activation", Temperature)
    last = {"type": "dense", "units": "classes", "activation": "temperature"}
    labels = (Y > 0).astype(int)
    model = nnreg.run(spec([last], loss="cross_entropy"), data=(X, labels))
    assert model.network.output_activation is None
    assert model.parameters["layers/0/activation/scale"] != 1
    np.testing.assert_allclose(model.predict(X).sum(axis=-1), 1)


def test_a_loss_refuses_the_outputs_of_an_activation_with_parameters_by_name():
    with pytest.raises(SpecError, match=r"layers\[0\].activation: the loss takes outputs within"):
        build([{**PRELU, "units": 1}], y=(Y > 0).astype(int), loss="binary_cross_entropy")
    nnreg.register("temperature", Temperature)
    with pytest.raises(SpecError, match="temperature of a single output is 1 whatever the input"):
        build([{**PRELU, "units": 1, "activation": "temperature"}])


def test_activations_without_parameters_add_nothing_to_their_layers():
    layers = [{**PRELU, "activation": "tanh"}, {"type": "activation", "activation": "relu"}, OUTPUT]
    network = build(layers).network
    assert [child.children for _, child in network.plan.children.values()] == [{}, {}, {}]
