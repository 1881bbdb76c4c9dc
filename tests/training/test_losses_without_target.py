"""Losses that take no target: the network is trained on inputs alone."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Loss, hookimpl
from nnreg.errors import PluginError
from nnreg.registry.checks import check_components
from nnreg.registry.registry import installed
from nnreg.testing import checks
from tests.helpers.specs import regressor

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 3))


@dataclass(frozen=True)
class Energy(Loss):
    """mean((y² - 1)² / 4), which draws outputs to -1 or 1."""

    takes_target = False
    predicts_target = False

    def forward(self, y, t):
        square = np.square(y) - 1
        return float(np.mean(square * square)) / 4, lambda: square * y / y.size


@pytest.fixture(autouse=True)
def plugin():
    class Plugin:
        @hookimpl
        def nnreg_losses(self):
            return {"energy": Energy}

    before = set(installed().plugins)
    nnreg.register(Plugin())
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


def spec(**sections):
    layers = [{"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 2}]
    model = {"layers": layers, "dtype": "float64"}
    return regressor(model=model, loss="energy", train={"epochs": 20}, **sections)


def test_it_passes_the_checks_of_a_plugin():
    failed = {check.name for check in checks(Energy) if not check.result().passed}
    assert failed <= {"extremes"}  # its fourth power is beyond float32


def test_it_trains_without_targets_and_with_weights(tmp_path):
    model = nnreg.build(spec(), data=(X, None))
    weights = RNG.uniform(0.5, 1.5, 40)
    history = model.fit(X, None, validation=(X[:10], None), weights=weights)
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    y = model.predict(X)
    assert y.shape == (40, 2)
    expected = np.mean((y * y - 1) ** 2) / 4
    assert model.evaluate(X, None) == {"loss": pytest.approx(expected, abs=1e-14)}
    nnreg.save(model, tmp_path / "m.h5")
    assert np.array_equal(nnreg.load(tmp_path / "m.h5").predict(X), y)


def test_a_run_without_targets_is_resumed_and_reported(tmp_path):
    model = nnreg.run(spec(), data=(X, None), out=tmp_path / "run")
    assert len(model.history) == 20
    assert (tmp_path / "run/summary.json").exists()


def test_targets_that_are_given_are_ignored():
    with_targets = nnreg.run(spec(), data=(X, 100 + RNG.normal(size=40)))
    assert np.array_equal(with_targets.predict(X), nnreg.run(spec(), data=(X, None)).predict(X))


def test_another_loss_or_a_metric_without_targets_is_refused():
    with pytest.raises(nnreg.UsageError, match="data: the loss takes a target; pass"):
        nnreg.run(regressor(), data=(X, None))
    with pytest.raises(nnreg.SpecError, match="r2 compares predictions with the target"):
        nnreg.run(spec(metrics=["r2"]), data=(X, None))


def test_a_class_that_takes_no_target_cannot_predict_it():
    @dataclass(frozen=True)
    class Wrong(Energy):
        """mean((y² - 1)² / 4)"""

        predicts_target = True

    with pytest.raises(PluginError, match="takes no target; set predicts_target = False too"):
        check_components(Loss, {"wrong": Wrong})
