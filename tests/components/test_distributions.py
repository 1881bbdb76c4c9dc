"""The losses with several outputs for each target: their formulas, and the models that use them."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin.losses import GaussianNll, Quantile
from nnreg.errors import CheckpointError

RNG = np.random.default_rng(4)
Y, T = RNG.normal(size=(5, 6)), RNG.normal(size=(5, 2))


def test_quantile_is_the_mean_pinball_loss_of_each_quantile_and_target():
    quantiles = (0.1, 0.5, 0.8)
    expected = [
        max(q * (T[i, j] - Y[i, 2 * k + j]), (q - 1) * (T[i, j] - Y[i, 2 * k + j]))
        for i in range(5)
        for k, q in enumerate(quantiles)
        for j in range(2)
    ]
    assert Quantile(quantiles).forward(Y, T)[0] == pytest.approx(np.mean(expected), abs=1e-15)


def test_the_best_constant_by_quantile_is_the_quantile_of_the_targets():
    t = RNG.normal(size=(1000, 1))
    losses = [Quantile((0.9,)).forward(np.full((1000, 1), c), t)[0] for c in np.sort(t[:, 0])]
    assert np.sort(t[:, 0])[np.argmin(losses)] == pytest.approx(np.quantile(t, 0.9), abs=0.05)


def test_gaussian_nll_is_the_likelihood_without_its_constant():
    m, z = Y[:, :2], Y[:, 2:4]
    v = np.log(1 + np.exp(z)) + 1e-6
    density = np.exp(-((T - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
    expected = np.mean(-np.log(density)) - np.log(2 * np.pi) / 2
    assert GaussianNll().forward(Y[:, :4], T)[0] == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("loss", [Quantile((0.1, 0.5, 0.8)), GaussianNll()])
def test_each_example_has_the_loss_that_it_has_alone(loss):
    y = Y if isinstance(loss, Quantile) else Y[:, :4]
    alone = [loss.forward(y[i : i + 1], T[i : i + 1])[0] for i in range(5)]
    assert loss.per_example(y, T, logits=False) == pytest.approx(alone, abs=1e-14)


@pytest.mark.parametrize("quantiles", [(0.5, 0.1), (0.5, 0.5), (), (1.0,)])
def test_quantiles_are_ascending_fractions(quantiles):
    with pytest.raises(nnreg.SpecError, match=r"\$.loss"):
        nnreg.build(spec({"type": "quantile", "quantiles": quantiles}, 2), data=(X, X))


def spec(loss, units, **sections):
    model = {"layers": [{"type": "dense", "units": units}], "dtype": "float64"}
    optimizer = {"type": "adam", "learning_rate": 0.05}
    tree = {"model": model, "loss": loss, "optimizer": optimizer, "train": {"epochs": 200}}
    data = {"source": "csv", "path": "unused.csv", "target": "target", "target_scaling": "standard"}
    return {**tree, "data": data, "metrics": ["mean_absolute_error"], **sections}


X = RNG.uniform(-1, 1, (400, 1))
TARGET = 100 + 50 * X[:, 0] + 20 * RNG.normal(size=400)


def test_a_model_of_quantiles_predicts_them_in_the_units_of_the_target(tmp_path):
    tree = spec({"type": "quantile", "quantiles": [0.1, 0.5, 0.9]}, 3)
    model = nnreg.build(tree, data=(X, TARGET))
    model.fit(X, TARGET, validation=(X, TARGET), weights=np.ones(400))
    y = model.predict(X)
    assert y.shape == (400, 3)
    below = np.mean(TARGET[:, None] < y, axis=0)
    assert below == pytest.approx([0.1, 0.5, 0.9], abs=0.06)
    error = model.evaluate(X, TARGET)["mean_absolute_error"]
    assert error == pytest.approx(np.mean(np.abs(y[:, 1] - TARGET)))
    nnreg.save(model, tmp_path / "m.h5")
    assert np.array_equal(nnreg.load(tmp_path / "m.h5").predict(X), y)


def test_a_model_of_a_distribution_predicts_mean_and_variance_in_the_targets_units():
    model = nnreg.build(spec("gaussian_nll", 2, train={"epochs": 150}), data=(X, TARGET))
    model.fit(X, TARGET)
    mean, variance = model.predict(X).T
    assert np.mean(mean) == pytest.approx(100, abs=5)
    assert np.sqrt(np.mean(variance)) == pytest.approx(20, rel=0.15)


def test_a_run_of_several_targets_has_a_baseline_and_a_report(tmp_path):
    from nnreg.reports.report import report

    y = np.stack([TARGET, -3 * TARGET], axis=1)
    tree = {**spec("gaussian_nll", 4, train={"epochs": 2}), "data": None}
    model = nnreg.run(tree, data=(X, y), out=tmp_path / "run")
    assert model.predict(X).shape == (400, 4)
    assert "mean_absolute_error" in report(tmp_path / "run", data=(X, y)).read_text()


@pytest.mark.parametrize(
    ("loss", "units", "problem"),
    [
        (
            "quantile",
            1,
            r"layers\[0\]: the loss takes 3 outputs for each target, one for each quant",
        ),
        (
            "gaussian_nll",
            3,
            r"2 outputs for each target, its mean and its variance: \(2,\), but",
        ),
    ],
)
def test_a_network_with_other_outputs_is_refused_with_their_number(loss, units, problem):
    with pytest.raises(nnreg.SpecError, match=problem):
        nnreg.run(spec(loss, units, data=None), data=(X, TARGET))


def test_classes_are_refused():
    with pytest.raises(nnreg.SpecError, match="takes a numeric target, not classes"):
        nnreg.run(spec("gaussian_nll", 2, data=None, metrics=[]), data=(X, ["a", "b"] * 200))


def test_a_checkpoint_with_other_outputs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Quantile, "fits", lambda *parts: True)
    tree = spec("quantile", 4, data=None, metrics=[], train={"epochs": 1})
    nnreg.save(nnreg.build(tree, data=(X, TARGET)), tmp_path / "m.h5")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"the outputs \(4,\) do not match the target"):
        nnreg.load(tmp_path / "m.h5")
