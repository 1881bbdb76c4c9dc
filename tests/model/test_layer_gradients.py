"""The gradients of the loss with respect to the output of each layer."""

import numpy as np
import pytest

import nnreg
from nnreg import DataError, UsageError
from tests.helpers.specs import blobs, classifier
from tests.model import graph_specs, output_specs, test_members, test_sequences

ROWS, STEP = 7, 1e-5


def graph(name):
    return graph_specs.build(graph_specs.GRAPHS[name]), graph_specs.X, graph_specs.Y


def outputs(name):
    x, y = output_specs.data_of(name)
    y = {key: value[:ROWS] for key, value in y.items()} if isinstance(y, dict) else y[:ROWS]
    return output_specs.build(name), x[:ROWS], y


def sequences(name):
    spec, y = test_sequences.CASES[name]
    return nnreg.build(spec, data=(test_sequences.X, y)), test_sequences.X, y


def ensemble(task):
    return test_members.build(task, 3), test_members.X, test_members.TASKS[task][0]


def images():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 5, 5, 1)), np.array(list("abcabc"))
    layers = [
        {"type": "conv2d", "filters": 3, "kernel": 3, "activation": "gelu"},
        {"type": "batch_norm"},
        {"type": "max_pool2d", "size": 2},
        {"type": "flatten"},
        {"type": "dropout", "rate": 0.5},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    spec = classifier(model={"layers": layers, "dtype": "float64"})
    return nnreg.build(spec, data=(x, y)), x, y


CASES = {
    "images": images,
    **{name: lambda name=name: graph(name) for name in graph_specs.GRAPHS},
    **{name: lambda name=name: outputs(name) for name in output_specs.CASES},
    **{name: lambda name=name: sequences(name) for name in test_sequences.CASES},
    **{name: lambda name=name: ensemble(name) for name in test_members.TASKS},
}


class Shifted:
    """A layer to whose output something is added."""

    def __init__(self, layer, change):
        self._layer, self._change = layer, change

    def __getattr__(self, name):
        return getattr(self._layer, name)

    def forward(self, x, context):
        y, backward_fn = self._layer.forward(x, context)
        if isinstance(y, dict):
            return {name: one + self._change[name] for name, one in y.items()}, backward_fn
        return y + self._change, backward_fn


def loss_with(model, monkeypatch, name, change, x, y):
    """Return the loss if `change` is added to the output of a layer."""
    plan = model.network.plan
    with monkeypatch.context() as patch:
        layer, own = plan.children[name]
        shifted = Shifted(layer, change)
        patch.setitem(plan.children, name, (shifted, own))
        patch.setitem(model.network.layers, name, shifted)
        patch.setattr(model.network, "_stackable", False, raising=False)
        return model.gradients(x, y, activations=True)[0]


def times(direction, factor):
    if isinstance(direction, dict):
        return {name: factor * one for name, one in direction.items()}
    return factor * direction


def dot(one, other):
    if isinstance(one, dict):
        return sum(dot(one[name], other[name]) for name in one)
    return float(np.sum(one * other))


@pytest.mark.parametrize("case", CASES)
def test_they_equal_central_differences(case, monkeypatch):
    model, x, y = CASES[case]()
    members, rng = model.network.members, np.random.default_rng(0)
    found = model.gradients(x, y, activations=True)[1]
    for name in model.network.layers:
        own = (
            [found[f"members/{i}/{name}"] for i in range(members)] if members > 1 else [found[name]]
        )
        if isinstance(own[0], dict):
            direction = {key: rng.normal(size=one.shape) for key, one in own[0].items()}
        else:
            direction = rng.normal(size=own[0].shape)
        more, less = (
            loss_with(model, monkeypatch, name, times(direction, step), x, y)
            for step in (STEP, -STEP)
        )
        expected = sum(dot(one, direction) for one in own) / members  # the loss is a mean
        assert (more - less) / (2 * STEP) == pytest.approx(expected, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("case", CASES)
def test_those_of_parameters_and_the_loss_are_the_same_as_alone(case):
    model, x, y = CASES[case]()
    loss, alone = model.gradients(x, y)
    same, found = model.gradients(x, y, activations=True)
    assert same == pytest.approx(loss, rel=1e-12)
    for name, gradient in alone.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12)
    activations = model.activations(x)
    assert [*found] == [*alone, *list(activations)[:-1]]
    for name in found.keys() - alone.keys():
        outputs = activations[name], found[name]
        shapes = [
            {k: v.shape for k, v in one.items()} if isinstance(one, dict) else one.shape
            for one in outputs
        ]
        assert shapes[0] == shapes[1]


def test_the_steps_of_padding_have_none():
    model, x, y = sequences("per step")
    found = model.gradients(x, y, activations=True)[1]["layers/0"]
    for row, length in zip(found, test_sequences.LENGTHS, strict=True):
        assert row[:length].any()
        assert not row[length:].any()


def test_frozen_layers_have_them_although_their_parameters_have_none():
    spec = classifier()
    spec["train"] = {"freeze": ["layers/0"]}
    x, y = blobs()
    found = nnreg.build(spec, data=(x, y)).gradients(x, y, activations=True)[1]
    assert not found["layers/0/weight"].any()
    assert found["layers/0"].any()


def test_what_no_loss_depends_on_has_a_gradient_of_0():
    model, x, y = outputs("listed")
    found = model.gradients(x, y, activations=True)[1]
    assert found["layers/code"].keys() == {"z", "kl"}
    assert found["layers/code"]["kl"].any()
    dense = {"type": "dense", "units": 2, "inputs": "input"}
    spec = graph_specs.spec([{**dense, "name": "shown"}, {**dense, "name": "price", "units": 1}])
    spec["model"]["outputs"], spec["loss"] = ["shown"], {"price": "huber"}
    x, y = graph_specs.X, {"price": graph_specs.Y}
    found = nnreg.build(spec, data=(x, y)).gradients(x, y, activations=True)[1]
    assert found["layers/shown"].tolist() == [[0, 0]] * len(x)
    assert found["layers/price"].any()


def test_rows_without_targets_are_refused():
    x, y = blobs()
    model = nnreg.build(classifier(), data=(x, y))
    with pytest.raises(UsageError, match="the model takes a target; pass it as y"):
        model.gradients(x, activations=True)
    with pytest.raises(DataError, match="unknown class 'z'"):
        model.gradients(x, ["z"] * len(x), activations=True)
