"""Activations of plugins that declare parameters, and those that only look so."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, Layer, PluginError, TrainableActivation
from nnreg.builtin.initializers import Ones
from nnreg.plotting.components import chart
from nnreg.registry.checks import check_components
from nnreg.testing import checks
from tests.helpers.trainable import PRelu, TrainableSwish
from tests.training.test_returned_values import X, Y, document, fit, hidden


@pytest.mark.parametrize("cls", [PRelu, TrainableSwish])
def test_it_passes_the_conformance_checks(cls):
    for check in checks(cls):
        check()


@dataclass(frozen=True)
class Forgetful(Activation):
    """An activation that declares parameters, but not its base class."""

    def build(self, shape, builder):
        return shape

    def forward(self, x):
        return x, lambda dy: dy


@dataclass(frozen=True)
class Empty(TrainableActivation):
    """An activation with a formula, which cannot have parameters."""

    def formula(self, x):
        return x


@pytest.mark.parametrize(
    ("base", "cls", "problem"),
    [
        (Activation, Forgetful, "which defines 'build'; for an activation with parameters, use"),
        (Activation, Empty, "which needs a method 'forward'"),
        (Layer, PRelu, "expected a subclass of Layer"),
    ],
)
def test_what_would_be_ignored_is_refused(base, cls, problem):
    with pytest.raises(PluginError, match=problem):
        check_components(base, {"own": cls})


@dataclass(frozen=True)
class BuildAsOption(Activation):
    """An activation with an option of this name."""

    build: int = 1

    def formula(self, x):
        return self.build * x


def test_an_option_may_be_called_build():
    assert check_components(Activation, {"own": BuildAsOption}) == {"own": BuildAsOption}


@dataclass(frozen=True)
class Gain(TrainableActivation):
    """gain · x"""

    half: bool = False

    def build(self, shape, builder):
        builder.param("gain", shape[-1:], Ones())
        return shape

    def forward(self, x, context):
        gain = context.params["gain"]

        def backward(dy):
            self.write(np.sum(dy * x, axis=0), context)
            return dy * gain

        return gain * x, backward

    def write(self, gradient, context):
        context.gradients["gain"][...] = gradient


@dataclass(frozen=True)
class HalfGradient(Gain):
    """gain · x, with half of the gradient of the gain"""

    def write(self, gradient, context):
        context.gradients["gain"][...] = 0.5 * gradient


@dataclass(frozen=True)
class Unwritten(Gain):
    """gain · x, without the gradient of the gain"""

    def write(self, gradient, context):
        pass


@dataclass(frozen=True)
class HalfInplace(Gain):
    """gain · x, with half of the gradient where x may be overwritten"""

    def forward_inplace(self, x, context):
        y, backward = self.forward(x, context)
        return y, lambda dy: backward(0.5 * dy)


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (HalfGradient, "HalfGradient: the gradient of 'gain' is not that of its output"),
        (Unwritten, "did not write the gradient of 'gain'"),
        (HalfInplace, "the gradient of .* is not that of its output"),
    ],
)
def test_a_wrong_gradient_is_found_before_training(tmp_path, cls, text):
    spec = document({"own": cls}, hidden("own"))
    where = r"^\$\.model\.layers\[0\]\.activation: nnreg-own 1\.0: .*"
    with pytest.raises(PluginError, match=where + text):
        nnreg.run(spec, data=(X, Y), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_correct_one_trains():
    model = fit({"own": Gain}, hidden("own"))
    assert (model.parameters["layers/0/activation/gain"] != 1).all()


@dataclass(frozen=True)
class StraightThrough(HalfGradient):
    """gain · x, with an approximate gradient on purpose"""

    exact_gradient = False


def test_an_approximation_is_not_compared():
    fit({"own": StraightThrough}, hidden("own"))


def test_a_checkpoint_finds_that_its_formula_changed(tmp_path):
    nnreg.save(fit({"own": Gain}, hidden("own")), tmp_path / "m.h5")

    @dataclass(frozen=True)
    class Changed(Gain):
        """2 · gain · x"""

        def forward(self, x, context):
            y, backward = super().forward(x, context)
            return 2 * y, lambda dy: backward(2 * dy)

    for cls in (Gain, Changed):
        registry = document({"own": cls}, hidden("own")).registry
        if cls is Gain:
            nnreg.load(tmp_path / "m.h5", registry=registry)
            continue
        with pytest.raises(nnreg.CheckpointError) as raised:
            nnreg.load(tmp_path / "m.h5", registry=registry)
        assert "activation 'own' of nnreg-own 1.0, changed under the same" in str(raised.value)
        assert "(at $.model.layers[0].activation)" in str(raised.value)


def test_it_is_drawn_with_its_initial_values():
    y, slope = chart(PRelu(0.5)).curves
    np.testing.assert_allclose(y.y, np.where(y.x > 0, y.x, 0.5 * y.x))
    assert set(slope.y) == {0.5, 1}
