"""What the methods of a plugin's component return is a number or an array, or a named error."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Initializer, Layer, Loss, Metric, Schedule, builtin, hookimpl
from nnreg.errors import PluginError
from nnreg.registry.kinds import KINDS
from nnreg.registry.registry import Registry
from nnreg.spec.document import read_spec

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X.sum(axis=1)


def fit(components, layers=None, data=(X, Y), **sections):
    """Train with components by their names, and return the model."""
    return nnreg.run(document(components, layers, **sections), data=data)


def document(components, layers=None, **sections):
    """Return a spec of two layers with components of a plugin, by their names."""

    class Plugin:
        pass

    plugin = Plugin()
    for cls in components.values():
        own = {name: other for name, other in components.items() if other.kind == cls.kind}
        setattr(plugin, KINDS[cls.kind][0], hookimpl(lambda own=own: own))
    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    assert not registry.add_plugin("own", plugin, "nnreg-own", "1.0").why
    spec = {
        "model": {"layers": [*(layers or []), {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 2, "batch_size": 8},
    }
    return read_spec({**spec, **sections}, registry=registry)


def hidden(activation):
    return [{"type": "dense", "units": 4, "activation": activation}]


@dataclass(frozen=True)
class Largest(Metric):
    """The largest error, as a number of NumPy"""

    def compute(self, y, t):
        return np.max(np.abs(y - t)).astype(np.float32)


@dataclass(frozen=True)
class Fourth(Loss):
    """mean((y - t)⁴), as a number of NumPy"""

    def forward(self, y, t):
        d = y - t
        return np.mean(d**4), lambda: 4 * d**3 / d.size


@dataclass(frozen=True)
class Slower(Schedule):
    """0.5, as a number of NumPy"""

    def factor(self, context):
        return np.float32(0.5)


def test_numbers_of_numpy_are_numbers(tmp_path):
    spec = document(
        {"largest": Largest, "fourth": Fourth, "slower": Slower},
        loss="fourth", metrics=["largest"], schedule="slower",
    )  # fmt: skip
    model = nnreg.run(spec, data=(X, Y), out=tmp_path / "run")
    (first, _) = model.history
    assert {name: type(value) for name, value in first.items()} == {
        "epoch": int, "loss": float, "largest": float, "learning_rate": float
    }  # fmt: skip
    json.loads((tmp_path / "run" / "summary.json").read_text())


@dataclass(frozen=True)
class PerExample(Metric):
    """The error of each example, which is no number"""

    def compute(self, y, t):
        return np.abs(y - t)


def test_a_metric_that_is_no_number_is_named():
    text = r"PerExample\.compute returned an array of shape \(20, 1\) and type float64; expected a"
    with pytest.raises(PluginError, match=text):
        fit({"each": PerExample}, metrics=["each"])


@dataclass(frozen=True)
class Column(Initializer):
    """Values for one column, which NumPy would repeat for all"""

    def draw(self, shape, rng):
        return rng.normal(size=(shape[0], 1))


def test_initial_values_of_another_shape_are_not_repeated():
    layers = [{"type": "dense", "units": 4, "initializer": "column"}]
    text = r"'layers/0/weight': Column.draw returned .* \(3, 1\) .*; expected an .* \(3, 4\)"
    with pytest.raises(PluginError, match=text):
        fit({"column": Column}, layers)


@dataclass(frozen=True)
class Shapeless(Layer):
    """y = x, without the shape"""

    def build(self, shape, builder):
        builder.param("weight", shape, Column())


def test_a_layer_that_returns_no_shape_is_named():
    text = r"layers\[0\]: Shapeless.build returned None; expected the shape"
    with pytest.raises(PluginError, match=text):
        fit({"shapeless": Shapeless}, [{"type": "shapeless"}])
