"""Components of plugins that get masks are checked before training, under masks."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Layer, Loss, Metric, Padded
from nnreg.errors import DivergedError, PluginError
from tests.helpers.masked import MeanOfSteps, PerStep, Sum, sequences
from tests.training.test_returned_values import document

X = sequences(20)[np.arange(1, 20)]
PER_STEP = X.with_points(X.points.sum(axis=-1))
PER_ROW = np.arange(19.0)


@dataclass(frozen=True)
class MeanOfAll(MeanOfSteps):
    """The mean over all steps, also masked ones."""

    def forward(self, x, context):
        steps = x.shape[1]
        return x.mean(axis=1), lambda dy: np.repeat(dy[:, None] / steps, steps, axis=1)


@dataclass(frozen=True)
class LeakingGradient(MeanOfSteps):
    """A mean over real steps whose gradient is that of all."""

    def forward(self, x, context):
        y, _ = super().forward(x, context)
        count = context.mask.sum(1) if context.mask is not None else x.shape[1]
        share = np.ones(x.shape[:2], x.dtype) / np.maximum(count, 1)[..., None].astype(x.dtype)
        return y, lambda dy: dy[:, None] * share[..., None]


@dataclass(frozen=True)
class SumOfAll(Sum):
    """A join of steps: each gets the sums of all steps of the second input."""

    def forward(self, xs, context):
        y = xs[0] + xs[1].sum(axis=1, keepdims=True)
        return y, lambda dy: [dy, np.zeros_like(dy) + dy.sum(axis=1, keepdims=True)]


@dataclass(frozen=True)
class Fourth(Loss):
    """mean((y - t)⁴)"""

    def forward(self, y, t):
        d = y - t
        return np.mean(d**4), lambda: 4 * d**3 / d.size


@dataclass(frozen=True)
class WrongFourth(Fourth):
    """Fourth with twice the gradient."""

    def forward(self, y, t):
        loss, backward = super().forward(y, t)
        return loss, lambda: 2 * backward()


@dataclass(frozen=True)
class CountOfPoints(Metric):
    """The number of predictions that are compared."""

    def compute(self, y, t):
        assert y.shape == t.shape
        return float(len(y))


@dataclass(frozen=True)
class Unaware(Layer):
    """The identity of an author who does not know of masks."""

    def forward(self, x, context):
        return x, lambda dy: dy


def wide(name="steps"):
    return {"type": name, "units": 3, "name": "wide"}


JOINED = [wide(), {"type": "own", "inputs": ["wide", "wide"]}]


@pytest.mark.parametrize(
    ("components", "layers", "t", "sections"),
    [
        ({"steps": PerStep, "own": MeanOfSteps}, [wide(), "own"], PER_ROW, {}),
        ({"steps": PerStep, "own": Sum}, JOINED, PER_STEP, {}),
        ({"steps": PerStep}, [{"type": "residual", "layers": [{"type": "steps", "units": 2}]}],
         PER_STEP, {}),
        ({"fourth": Fourth, "count": CountOfPoints}, [], PER_STEP,
         {"loss": "fourth", "metrics": ["count"]}),
    ],
)  # fmt: skip
def test_right_components_are_accepted_and_their_points_counted(components, layers, t, sections):
    model = nnreg.run(document(components, layers, **sections), data=(X, t))
    if "metrics" in sections:
        assert model.history[-1]["count"] == X.lengths.sum()


@pytest.mark.parametrize(
    ("components", "layers", "t", "sections", "text"),
    [
        ({"own": MeanOfAll}, ["own"], PER_ROW, {},
         r"layers\[0\]: .* MeanOfAll\.forward changed its output at real steps with the values at"),
        ({"own": LeakingGradient}, ["own"], PER_ROW, {},
         r"layers\[0\]: .*: LeakingGradient: the gradient of its input is not that"),
        ({"steps": PerStep, "own": SumOfAll}, JOINED, PER_STEP, {},
         r"layers\[1\]: .* SumOfAll\.forward changed its output at real steps"),
        ({"own": WrongFourth}, [], PER_STEP, {"loss": "own"},
         r"\$\.loss: .*: WrongFourth: the gradient is not that of its output"),
    ],
)  # fmt: skip
def test_a_component_that_is_wrong_under_masks_is_refused(components, layers, t, sections, text):
    with pytest.raises(PluginError, match=text):
        nnreg.run(document(components, layers, **sections), data=(X, t))


def test_a_plugin_that_does_not_know_of_masks_is_refused_when_the_network_is_built():
    spec = document({"own": Unaware}, ["own"])
    text = r"\$\.model\.layers\[0\]: Unaware does not support masks, but its input is sequences"
    with pytest.raises(nnreg.SpecError, match=text):
        nnreg.build(spec, data=(X, PER_ROW))
    nnreg.build(spec, data=(X.values[:, 0], PER_ROW))


def test_a_loss_that_is_not_finite_is_explained_under_masks():
    spec = document({"steps": PerStep, "own": MeanOfSteps}, [wide(), "own"])
    model = nnreg.build(spec, data=(X, PER_ROW))
    model.parameters["layers/wide/weight"][...] = np.nan
    with pytest.raises(DivergedError, match="first non-finite value in the weights of layers/wide"):
        model.fit(X, PER_ROW, check=False)


def test_two_inputs_have_masks_of_their_own():
    layers = [
        {"type": "steps", "units": 3, "inputs": "left", "name": "l"},
        {"type": "mean", "name": "ml"},
        {"type": "steps", "units": 3, "inputs": "right", "name": "r"},
        {"type": "mean", "name": "mr"},
        {"type": "concat", "inputs": ["ml", "mr"]},
    ]
    spec = document({"steps": PerStep, "mean": MeanOfSteps}, layers)
    other = sequences(19, steps=4, seed=3)
    other = Padded(other.values, np.maximum(other.lengths, 1))
    model = nnreg.run(spec, data=({"left": X, "right": other}, PER_ROW))
    assert model.network.masked == {"left", "right"}
    alone = [
        model.predict({"left": [a], "right": [b]})[0]
        for a, b in zip(X.sequences(), other.sequences(), strict=True)
    ]
    found = model.predict({"left": X.resized(9), "right": other})
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-5)
