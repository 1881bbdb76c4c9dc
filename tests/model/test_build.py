"""Building a network from a spec: shapes, units, the output activation, and located errors."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from tests.helpers.specs import blobs, classifier, csv_data, line, regressor

IMAGES = np.zeros((6, 8, 8)), np.array(list("aabbcc"))


def problem(spec, data):
    with pytest.raises(SpecError) as caught:
        nnreg.build(spec, data=data)
    (found,) = caught.value.problems
    return found.path, found.message


def with_layers(*layers, **changes):
    return classifier(model={"layers": list(layers)}, **changes)


OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}


def test_shapes_are_inferred_from_the_data():
    conv = {"type": "conv2d", "filters": 4, "kernel": 3}
    model = nnreg.build(with_layers(conv, {"type": "max_pool2d"}, {"type": "flatten"}, OUTPUT),
                        data=IMAGES)  # fmt: skip
    shapes = {name: array.shape for name, array in model.parameters.items()}
    assert shapes == {
        "layers/0/weight": (3, 3, 1, 4),
        "layers/0/bias": (4,),
        "layers/3/weight": (36, 3),
        "layers/3/bias": (3,),
    }


@pytest.mark.parametrize(
    ("layers", "path", "message"),
    [
        ([{"type": "lstm", "units": 2}], "$.model.layers[0]",
         "the input has shape (batch, 4), but this layer takes (batch, time, features)"),
        ([{"type": "dense", "units": 3}, {"type": "conv2d", "filters": 2}], "$.model.layers[1]",
         "the input has shape (batch, 3), but this layer takes (batch, height, width, channels) "
         "or (batch, height, width)"),
        ([{"type": "residual", "layers": [{"type": "max_pool2d"}]}],
         "$.model.layers[0].layers[0]",
         "the input has shape (batch, 4), but this layer takes (batch, height, width, channels)"),
        ([{"type": "residual", "layers": [{"type": "dense", "units": 3}]}], "$.model.layers[0]",
         "the input has shape (batch, 4), but this layer takes inputs whose shape its "
         "layers keep; these return (3,)"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_support_its_input_is_an_error_at_its_path(layers, path, message):
    assert problem(with_layers(*layers, OUTPUT), blobs()) == (path, message)


def test_outputs_that_do_not_fit_the_classes_are_an_error():
    path, message = problem(with_layers({**OUTPUT, "units": 4}), blobs())
    assert path == "$.model.layers[0]"
    assert message == (
        "the network gives shape (4,) for one example, but the target has 3 classes, so that "
        '"units": "classes" would give (3,)'
    )


def test_outputs_that_do_not_fit_a_numeric_target_are_an_error():
    layers = {"layers": [{"type": "dense", "units": 2}]}
    path, message = problem(regressor(model=layers), line())
    assert path == "$.model.layers[0]"
    assert "gives shape (2,) for one example, but the target has (1,)" in message
    assert message.endswith("; give this layer 1 outputs")


def test_outputs_with_other_axes_than_the_target_say_what_to_do_with_axes():
    x, y = blobs()
    _, message = problem(with_layers(OUTPUT), (np.stack([x, x], axis=1), y))
    assert message.endswith("; remove axes before this layer, as by flatten or global_average_pool")
    _, message = problem(regressor(), (x, x[:, :, None]))
    assert message.endswith("; keep the axes of the input in all layers")


def test_outputs_with_the_values_of_the_target_in_another_shape_are_told_to_be_flattened():
    layers = {"layers": [{"type": "dense", "units": 1}, {"type": "reshape", "shape": [1, 1]}]}
    _, message = problem(regressor(model=layers), line())
    assert message.endswith("but the target has (1,); add the layer flatten")


def test_units_of_classes_need_a_categorical_target():
    x, _ = line()
    layers = {"layers": [{"type": "dense", "units": "classes"}]}
    spec = regressor(model=layers, loss="mean_squared_error")
    assert nnreg.build(spec, data=(x, np.array(["a", "b"] * 20))).classes == ("a", "b")
    model = nnreg.build(spec, data=(x, np.arange(40) % 2))
    assert model.classes == ("0", "1")


def test_a_loss_of_probabilities_refuses_other_outputs():
    path, message = problem(with_layers({"type": "dense", "units": 3}), blobs())
    assert path == "$.model.layers[0].activation"
    assert "the loss takes outputs within 0 and 1" in message
    assert "such as softmax" in message


def test_metrics_must_fit_the_target():
    assert problem(classifier(metrics=["r2"]), blobs()) == (
        "$.metrics[0]", "r2 compares numbers, but the target is categorical; remove it"
    )  # fmt: skip
    data = csv_data(target=["a", "b"])
    two = regressor(metrics=["accuracy"], data=data)
    two["model"]["layers"][0]["units"] = 2
    rows = {"c": [1.0, 2.0]}, {"a": [1.0, 2.0], "b": [2.0, 1.0]}
    assert problem(two, rows) == (
        "$.metrics[0]", "accuracy compares classes, but the target is numeric; remove it"
    )  # fmt: skip


def test_a_monitor_must_be_a_known_metric():
    stopping = {"epochs": 3, "early_stopping": {"monitor": "val_acuracy"}}
    path, message = problem(classifier(train=stopping), blobs())
    assert path == "$.train.early_stopping.monitor"
    assert "did you mean 'val_accuracy'" in message


def test_a_network_too_large_for_memory_is_refused_before_it_is_allocated():
    path, message = problem(with_layers({"type": "dense", "units": 10**13}, OUTPUT), blobs())
    assert path == "$.model"
    assert "the memory limit of this process" in message


def test_softmax_with_cross_entropy_is_computed_from_logits_and_predicts_probabilities():
    x, y = blobs()
    model = nnreg.build(classifier(), data=(x, y))
    assert model.network.output_activation is not None
    assert model.evaluation.logits
    np.testing.assert_allclose(model.predict(x).sum(axis=1), 1, rtol=1e-6)


def test_the_fused_loss_is_the_loss_of_the_probabilities():
    x, y = blobs()
    model = nnreg.build(classifier(), data=(x, y))
    loss, _ = model.gradients(x, y)
    p = model.predict(x)[np.arange(len(y)), [model.classes.index(name) for name in y]]
    assert loss == pytest.approx(-np.log(p).mean(), rel=1e-6)


def test_the_class_is_the_most_probable_or_that_above_one_half():
    scores = nnreg.Loss().class_scores
    assert np.argmax(scores(np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0]])), axis=-1).tolist() == [1, 0]
    assert np.argmax(scores(np.array([[0.49], [0.51], [0.6]])), axis=-1).tolist() == [0, 1, 1]


def test_two_classes_may_have_a_single_output():
    x, y = line()
    y = np.where(y > 1, "yes", "no")
    layer = {"type": "dense", "units": 1, "activation": "sigmoid"}
    spec = with_layers(layer, loss="binary_cross_entropy")
    model = nnreg.build(spec, data=(x, y))
    assert model.probabilities(x).shape == (40, 2)
    assert set(model.classify(x)) <= {"yes", "no"}


def test_the_seed_determines_the_initial_weights_and_each_parameter_has_its_own_stream():
    first, again = (nnreg.build(classifier(), data=blobs()).parameters for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    other = nnreg.build(classifier(seed=1), data=blobs()).parameters
    assert (other["layers/0/weight"] != first["layers/0/weight"]).all()
    wider = classifier()
    wider["model"]["layers"].append(wider["model"]["layers"].pop())
    wider["model"]["layers"].insert(2, {"type": "dense", "units": 8})
    np.testing.assert_array_equal(
        nnreg.build(wider, data=blobs()).parameters["layers/0/weight"], first["layers/0/weight"]
    )


@pytest.mark.parametrize(("dtype", "itemsize"), [("float32", 4), ("float64", 8)])
def test_four_times_the_parameters_must_fit_into_memory(monkeypatch, dtype, itemsize):
    spec = regressor(model={"layers": [{"type": "dense", "units": 1}], "dtype": dtype})
    needed = 4 * 3 * itemsize  # weights, gradients, and two vectors of the optimizer
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: needed)
    data = (np.zeros((5, 2)), np.zeros(5))
    nnreg.build(spec, data=data)
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: needed - 1)
    with pytest.raises(SpecError, match="training 3 parameters needs about"):
        nnreg.build(spec, data=data)
