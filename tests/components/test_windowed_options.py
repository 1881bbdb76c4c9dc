"""The options of convolutions, pooling and shapes as a spec gives them, and what is refused."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.layers.convolution import Conv2d
from nnreg.registry.registry import installed
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.components.windowed_layers import WINDOWED

X = np.random.default_rng(0).normal(size=(6, 8, 6, 2))
TARGET = np.arange(6.0)


def build(layer):
    spec = {
        "model": {"layers": [layer, {"type": "flatten"}, {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 1},
    }
    return nnreg.build(spec, data=(X, TARGET))


ACCEPTED = [
    ({"type": "conv2d", "filters": 4, "padding": [1, 2], "dilation": [1, 2]}, (8, 6, 4)),
    ({"type": "conv2d", "filters": 4, "groups": 2, "padding": 1}, (8, 6, 4)),
    ({"type": "conv2d_transpose", "filters": 3, "stride": 2, "output_padding": [1, 0]},
     (18, 13, 3)),
    ({"type": "separable_conv2d", "filters": 3, "activation": "relu"}, (6, 4, 3)),
    ({"type": "average_pool2d", "size": [2, 3], "padding": "same"}, (4, 2, 2)),
    ({"type": "adaptive_max_pool2d", "output_size": [3, 2]}, (3, 2, 2)),
    ({"type": "zero_padding2d", "padding": [1, [0, 2]]}, (10, 8, 2)),
    ({"type": "cropping2d", "crop": [[3, 1], 0]}, (4, 6, 2)),
    ({"type": "reshape", "shape": [-1, 4]}, (24, 4)),
    ({"type": "permute", "axes": [3, 1, 2]}, (2, 8, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "output"), ACCEPTED)
def test_a_spec_gives_numbers_for_all_axes_or_for_each(layer, output):
    model = build(layer)
    assert model.network.plan.children["layers/0"][1].output == output
    model.fit(X, TARGET)
    assert model.predict(X).shape == (6,)


REFUSED = [
    ({"type": "conv2d", "filters": 3, "groups": 2}, "must be a multiple of groups (2)"),
    ({"type": "conv2d", "filters": 3, "groups": 3}, "a multiple of 3"),
    ({"type": "conv2d", "filters": 3, "kernel": [3, 7]}, "images of at least 3 x 7"),
    ({"type": "conv2d", "filters": 3, "dilation": 4}, "images of at least 9 x 9"),
    ({"type": "conv2d", "filters": 3, "padding": "causal"}, "padding"),
    ({"type": "conv2d", "filters": 3, "padding": -1}, "padding"),
    ({"type": "conv2d", "filters": 3, "padding": 6, "padding_mode": "reflect"}, "at least 7 x 7"),
    ({"type": "conv2d", "filters": 3, "padding": 7, "padding_mode": "circular"}, "at least 7 x 7"),
    ({"type": "conv1d", "filters": 3}, "(batch, time, channels) or (batch, time)"),
    ({"type": "conv2d_transpose", "filters": 3, "output_padding": 1}, "must be below stride (1)"),
    ({"type": "conv2d_transpose", "filters": 3, "padding": 5}, "leaves some"),
    (
        {"type": "conv2d_transpose", "filters": 3, "stride": 2, "output_padding": 1,
         "padding": "same"},
        "output_padding must be 0",
    ),
    ({"type": "max_pool2d", "size": 7}, "images of at least 7 x 7"),
    ({"type": "average_pool2d", "padding": 2}, "padding 2 must be below size 2"),
    ({"type": "global_max_pool1d"}, "(batch, time, channels)"),
    ({"type": "cropping2d", "crop": [4, 1]}, "longer than what is cropped"),
    ({"type": "reshape", "shape": [-1, -1]}, "at most one -1"),
    ({"type": "reshape", "shape": [5, -1]}, "fill the shape (5, -1)"),
    ({"type": "permute", "axes": [1, 1, 2]}, "the numbers from 1 to 3"),
    ({"type": "permute", "axes": [2, 1]}, "examples with 2 axes"),
    ({"type": "repeat_vector", "times": 2}, "(batch, features)"),
    ({"type": "MaxPool2D"}, "did you mean 'max_pool2d'?"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "problem"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(layer, problem):
    with pytest.raises(SpecError) as error:
        build(layer)
    assert problem in str(error.value)


MODES = {"zeros": "constant", "reflect": "reflect", "edge": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", MODES)
def test_a_padding_mode_gives_the_values_of_numpys_pad(mode):
    around = np.pad(X, [(0, 0), (2, 2), (1, 1), (0, 0)], mode=MODES[mode])
    y, _ = Pass(LayerCase(Conv2d(3, padding=(2, 1), padding_mode=mode), X)).run()
    expected, _ = Pass(LayerCase(Conv2d(3), around)).run()
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_the_names_of_all_layers_follow_one_pattern():
    names = {e.name for e in installed() if e.kind == "layer" and e.plugin == "nnreg"}
    assert names >= WINDOWED.keys()
    for name in WINDOWED:
        if name.endswith("2d") and not name.startswith(("depthwise", "separable")):
            assert {name.replace("2d", "1d"), name.replace("2d", "3d")} <= names
