"""The range test of learning rates, on a quadratic function and on specs."""

import numpy as np
import pytest

from nnreg import UsageError
from nnreg.runs.lr_find import RateCurve, rate_curve, rate_option
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import blobs, classifier, regressor

X = np.array([[-2.0], [2.0]])
Y = np.array([-2.0, 2.0])


def prepared(spec, data, steps=100, **train):
    overrides = [f"train.epochs={steps}", *(f"train.{k}={v}" for k, v in train.items())]
    return prepare_from_spec(read_spec(spec, overrides), data)


def quadratic(optimizer="sgd", **options):
    """Prepare a loss of 4 (w - 1)² / 2, whose second derivative is 4, in one batch."""
    layers = [{"type": "dense", "units": 1, "bias": False, "initializer": "zeros"}]
    spec = regressor(
        model={"layers": layers, "dtype": "float64"},
        loss={"type": "mean_squared_error"},
        optimizer={"type": optimizer, **options},
        train={"epochs": 1, "batch_size": 2},
    )
    return prepared(spec, (X, Y))


def test_the_losses_are_those_of_descent_with_growing_rates():
    model = quadratic()
    found = rate_curve(model, 1e-3, 1.0, 100)
    np.testing.assert_allclose(found.rates[:3], 1e-3 * 1000 ** (np.arange(3) / 99), rtol=1e-12)
    (scale,) = {round(float(x), 9) for x in np.abs(model.train.x.ravel())}
    slope = 2 * scale**2
    w, losses = 0.0, []
    for rate in found.rates:
        error = w * model.train.x.ravel() - model.train.targets.ravel()
        losses.append(np.mean(error**2))
        w -= rate * 2 * np.mean(error * model.train.x.ravel())
    np.testing.assert_allclose(found.losses, losses, rtol=1e-9)
    assert 1e-3 < found.suggested < 2 / slope  # beyond it, descent diverges


def test_the_suggestion_is_where_the_averaged_loss_falls_most_steeply():
    rates = np.logspace(-4, 0, 81)
    decades = np.log10(rates)
    losses = 1 / (1 + np.exp(6 * (decades + 2))) + np.where(decades > -1, 5 * (decades + 1), 0)
    assert RateCurve(rates, losses).suggested == pytest.approx(1e-2, rel=0.15)
    noise = 0.02 * np.random.default_rng(0).normal(size=81)
    assert RateCurve(rates, losses + noise).suggested == pytest.approx(1e-2, rel=1.0)


def test_without_a_descent_there_is_no_suggestion():
    rates = np.logspace(-4, 0, 41)
    assert RateCurve(rates, np.linspace(1, 2, 41)).suggested is None
    noise = np.random.default_rng(0).normal(size=41)
    assert RateCurve(rates, 1 + 0.1 * noise).suggested is None
    assert RateCurve(rates[:5], np.linspace(2, 1, 5)).suggested is None


def test_it_ends_when_the_loss_rises_or_diverges():
    found = rate_curve(quadratic(), 1e-3, 1e6, 100)
    assert 20 < len(found.rates) < 80
    assert np.all(np.isfinite(found.losses))
    assert 1e-3 < found.suggested < 1


def test_the_rates_are_those_of_the_inner_optimizer_and_the_schedule_is_ignored():
    base = {"type": "sgd", "learning_rate": 0.3}
    spec = classifier(optimizer={"type": "sam", "base": base}, schedule="cosine")
    run = prepared(spec, blobs(), 12)
    found = rate_curve(run, 1e-4, 1e-1, 12)
    np.testing.assert_allclose(found.rates, np.logspace(-4, -1, 12), rtol=1e-9)
    assert rate_option(run.model.spec.optimizer) == "optimizer.base.learning_rate"
    assert rate_option(quadratic().model.spec.optimizer) == "optimizer.learning_rate"


@pytest.mark.parametrize("optimizer", ["lbfgs", {"type": "sam", "base": "lbfgs"}])
def test_an_optimizer_that_searches_for_its_steps_is_refused(optimizer):
    run = prepared(classifier(optimizer=optimizer, train={"batch_size": 64}), blobs(), 12)
    with pytest.raises(UsageError, match="compare runs with other rates"):
        rate_curve(run, 1e-6, 10.0, 100)


@pytest.mark.parametrize(
    ("lowest", "highest", "steps"), [(0.0, 1.0, 50), (1.0, 0.1, 50), (0.1, np.inf, 50), (0.1, 1, 5)]
)
def test_rates_and_steps_that_cannot_be_are_refused(lowest, highest, steps):
    with pytest.raises(UsageError, match="found"):
        rate_curve(quadratic(), lowest, highest, steps)
