"""Components that cannot be right together are refused when the network is built."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, Layer, SpecError
from nnreg.builtin.activations import Sigmoid
from tests.helpers.specs import blobs, classifier

BINARY = np.arange(60) % 2


def dense(units, activation="identity"):
    return {"type": "dense", "units": units, "activation": activation}


def problem(layers, data, **changes):
    with pytest.raises(SpecError) as caught:
        nnreg.build(classifier(model={"layers": layers}, **changes), data=data)
    (found,) = caught.value.problems
    return found.path, found.message


@dataclass(frozen=True)
class Cell(Layer):
    """h = activation(x_t + h), from left to right"""

    activation: Activation = Sigmoid()

    def build(self, shape, builder):
        return (shape[1],)

    def forward(self, x, context):
        h = np.zeros_like(x[:, 0])
        for t in range(x.shape[1]):
            h = self.activation.forward(x[:, t] + h)[0]
        return h, lambda dy: np.zeros_like(x)


@dataclass(frozen=True)
class Step(Activation):
    """y = 1 if x > 0 else 0"""

    range = (0.0, 1.0)

    def formula(self, x):
        return (x > 0).astype(x.dtype)


@dataclass(frozen=True)
class Largest(Activation):
    """y = 1 for the largest x, otherwise 0; whether it sums to 1 is not declared"""

    range = (0.0, 1.0)

    def forward(self, x):
        return (x == x.max(axis=-1, keepdims=True)).astype(x.dtype), np.zeros_like


def test_only_an_activation_that_the_layer_splits_off_is_fused_with_the_loss(registering):
    nnreg.register("cell", Cell)
    x = np.array([[[1.0], [2.0]], [[0.5], [-1.0]]])
    expected = [0.938835, 0.406720]  # sigmoid(x_1 + sigmoid(x_0))
    for loss, y in (("mean_squared_error", [0.5, 0.7]), ("binary_cross_entropy", [0, 1])):
        spec = classifier(model={"layers": ["cell"]}, loss=loss, metrics=[])
        model = nnreg.build(spec, data=(x, np.array(y)))
        np.testing.assert_allclose(model.predict(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        [dense(3), "flatten"],
        [dense(3), "layer_norm"],
        [dense(3), "batch_norm"],
        [dense(3), {"type": "dropout", "rate": 0.1}],
        [{"type": "residual", "layers": [dense(4)]}],
    ],
    ids=str,
)
def test_a_last_layer_without_an_activation_of_probabilities_is_refused(layers):
    path, message = problem(layers, blobs())
    assert path == f"$.model.layers[{len(layers) - 1}]"
    assert message == (
        "the loss takes outputs within 0 and 1, but those of this layer are within -inf and inf; "
        "add an activation, such as softmax"
    )


@pytest.mark.parametrize(
    ("layers", "at"),
    [
        ([dense(1), "layer_norm", dense("classes", "softmax")], "[1]"),
        ([{"type": "residual", "layers": [dense(1), "layer_norm"]}, dense("classes", "softmax")],
         "[0].layers[1]"),
    ],
)  # fmt: skip
def test_a_normalization_over_one_feature_is_refused_but_loads(layers, at, tmp_path, monkeypatch):
    file = tmp_path / "old.h5"
    x, y = blobs()
    path, message = problem(layers, (x[:, :1], y))
    assert path == f"$.model.layers{at}"
    assert message == (
        "the output of this layer is the same for every input of shape (batch, 1), so that "
        "nothing can be learned; use more units before it, or leave it out"
    )
    monkeypatch.setattr("nnreg.model.compatibility._constant_layers", lambda network: [])
    nnreg.save(nnreg.build(classifier(model={"layers": layers}), data=(x[:, :1], y)), file)
    monkeypatch.undo()
    nnreg.load(file)


def test_probabilities_of_classes_must_sum_to_one():
    for last in (dense("classes", "sigmoid"), {"type": "activation", "activation": "sigmoid"}):
        path, message = problem([dense(3), last], blobs())
        assert path == "$.model.layers[1].activation"
        assert message == (
            "the loss takes probabilities that sum to 1, but those of sigmoid do not; give this "
            "layer another activation, such as softmax, or use binary_cross_entropy for labels "
            "that are independent"
        )


def test_what_a_plugin_does_not_declare_is_accepted(registering):
    nnreg.register("largest", Largest)
    nnreg.register("cell", Cell)
    x, y = blobs()
    nnreg.build(classifier(model={"layers": [dense(3, "largest")]}), data=(x, y))
    nnreg.build(classifier(model={"layers": ["cell"]}), data=(x[:, None, :3], y))


def test_an_activation_with_a_formula_alone_does_not_sum_to_one(registering):
    nnreg.register("step", Step)
    path, message = problem([dense(3, "step")], blobs())
    assert path == "$.model.layers[0].activation"
    assert message.startswith("the loss takes probabilities that sum to 1, but those of step do")


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        ([dense(1, "softmax")], "$.model.layers[0].activation"),
        ([dense(1), {"type": "activation", "activation": "softmax"}],
         "$.model.layers[1].activation"),
        ([dense(1, "softmax"), dense(1, "sigmoid")], "$.model.layers[0].activation"),
        ([dense(1), {"type": "residual", "layers": [dense(1, "softmax")]}, dense(1, "sigmoid")],
         "$.model.layers[1].layers[0].activation"),
    ],
)  # fmt: skip
def test_a_softmax_of_a_single_output_is_refused_wherever_it_is(layers, path):
    data = blobs()[0], BINARY
    assert problem(layers, data, loss="binary_cross_entropy") == (
        path,
        "softmax of a single output is 1 whatever the input, so that nothing can be learned; use "
        "more units, or another activation such as sigmoid",
    )


def test_all_problems_are_reported_at_once():
    layers = [dense(1, "softmax"), dense("classes", "sigmoid")]
    with pytest.raises(SpecError) as caught:
        nnreg.build(classifier(model={"layers": layers}), data=blobs())
    assert [found.path for found in caught.value.problems] == [
        "$.model.layers[0].activation", "$.model.layers[1].activation"
    ]  # fmt: skip


def test_a_checkpoint_with_such_components_still_loads(tmp_path, monkeypatch):
    x, y = blobs()
    monkeypatch.setattr("nnreg.model.parts.refuse_incompatible", lambda *_: None)
    model = nnreg.build(classifier(model={"layers": [dense("classes", "sigmoid")]}), data=(x, y))
    nnreg.save(model, tmp_path / "old.h5")
    monkeypatch.undo()
    assert np.array_equal(nnreg.load(tmp_path / "old.h5").predict(x), model.predict(x))


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_a_binary_metric_of_three_classes_is_refused(name):
    layers = [dense("classes", "softmax")]
    for option in ({}, {"positive": "ash"}):
        metric = {"type": name, "average": "binary", **option}
        assert problem(layers, blobs(), metrics=["accuracy", metric]) == (
            "$.metrics[1]",
            '"average": "binary" is for two classes, but the target has 3; use "macro", "weighted" '
            'or "micro"',
        )


def test_the_positive_class_of_a_metric_is_named(tmp_path):
    x, y = blobs()
    y = np.where(y == "ash", "ash", "other")
    metric = {"type": "recall", "average": "binary", "positive": "ash"}
    layers = {"layers": [dense("classes", "softmax")]}
    model = nnreg.build(classifier(model=layers, metrics=[metric]), data=(x, y))
    model.fit(x, y)
    expected = np.mean(model.classify(x)[y == "ash"] == "ash")
    nnreg.save(model, tmp_path / "model.h5")
    for one in (model, nnreg.load(tmp_path / "model.h5")):
        assert one.evaluate(x, y)["recall"] == pytest.approx(expected)
    unknown = {**metric, "positive": "asch"}
    assert problem(layers["layers"], (x, y), metrics=[unknown]) == (
        "$.metrics[0]", "no class 'asch'; did you mean 'ash'?"
    )  # fmt: skip
