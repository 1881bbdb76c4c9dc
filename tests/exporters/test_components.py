"""Each built-in layer, activation and loss has the same answers in every format."""

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from nnreg.interfaces.join import one_output
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.operations.recorded import Recorded
from nnreg.registry.registry import installed
from nnreg.testing import layers
from nnreg.testing.layer_pass import LayerCase, Pass
from nnreg.testing.strategies import configurations
from tests.exporters.formats import EXPORTERS, answers, require

FORMATS = [one for one in EXPORTERS if one != "c double"]
CONFIGURATIONS = 3
BUILT_IN = [one for one in installed() if one.plugin == "nnreg"]
LAYERS = {one.name: one.cls for one in BUILT_IN if one.kind == "layer"}
LOSSES = {one.name: one.cls for one in BUILT_IN if one.kind == "loss"}
ACTIVATIONS = {one.name: one.cls for one in BUILT_IN if one.kind == "activation"}
VALUES = np.array([1, 5, 30, 0.01, 200], np.float32)

pytestmark = pytest.mark.slow


def drawn(cls):
    """Return some configurations of a component."""
    if found := list(cls.examples()):
        return found
    found = []

    @settings(max_examples=12, database=None, deadline=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(configurations(cls))
    def draw(one):
        found.append(one)

    draw()
    return found


def compare(function, x, expected, form, directory):
    """Compare a recorded function in a format with what is expected."""
    operation = Operation("input", (), x.shape[1:], np.dtype(float), {"name": "x"})
    y = function(Recorded(operation, x[:2].astype(float)).astype(x.dtype))
    inputs = (ProgramInput("x", "array", operation),)
    program = Program("component", inputs, (ProgramOutput("", y.operation),))
    found = answers(EXPORTERS[form], program, {"x": list(x)}, directory)["prediction"]
    found = np.asarray(found, float).reshape(expected.shape)
    scale = np.maximum(1, np.abs(expected).max())
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5)


def layer_cases(cls):
    cases = [case for one in drawn(cls) for case in layers.cases(one)]
    random.Random(0).shuffle(cases)
    return cases[:CONFIGURATIONS]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_that_of_nnreg(name, form, tmp_path):
    require(form)
    for case in layer_cases(LAYERS[name]):
        compare_layer(case, form, tmp_path)


def compare_layer(case, form, directory):
    tried = Pass(LayerCase(case.layer, case.x), training=False, dtype=np.float32)
    expected, _ = tried.run()
    layer = tried.network.layers["layers/0"]
    compare(
        lambda x: one_output((layer.infer(x, tried.inner), None))[0],
        tried.x, expected, form, directory,
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_that_of_nnreg(name, form, tmp_path):
    require(form)
    cls = ACTIVATIONS[name]
    if issubclass(cls, TrainableActivation):
        for case in layer_cases(cls):
            compare_layer(case, form, tmp_path)
        return
    x = (np.random.default_rng(0).normal(size=(7, 5)) * VALUES).astype(np.float32)
    for one in drawn(cls)[:CONFIGURATIONS]:
        compare(one.infer, x, one.forward(x.copy())[0], form, tmp_path)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_makes_of_outputs_is_that_of_nnreg(name, form, tmp_path):
    require(form)
    for loss in map(loss_of, drawn(LOSSES[name])[:CONFIGURATIONS]):
        blocks = {"quantile": len(getattr(loss, "quantiles", ())), "gaussian_nll": 2}.get(name, 1)
        y = np.random.default_rng(0).uniform(0.01, 0.99, (100, 2 * blocks))
        functions = [
            lambda y, loss=loss: loss.in_units(y, (0.5, -1.0), (2.0, 3.0)),
            lambda y, loss=loss: loss.average(np.stack([y, y * 0.5], axis=1)),
        ]
        for function in functions + [loss.class_scores] * loss.classification:
            compare(function, y, np.asarray(function(y.copy())), form, tmp_path)


def loss_of(drawn_loss):
    """Return a loss that was drawn alone, or with outputs and targets."""
    return drawn_loss[0] if isinstance(drawn_loss, tuple) else drawn_loss
