"""Activations with a formula alone: they train, and their derivative is correct."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, PluginError
from nnreg.builtin.activations import Silu, Tanh
from nnreg.cli.app import main
from nnreg.interfaces import traced
from nnreg.interfaces.numeric_derivative import LONG, derivative
from tests.helpers.specs import CSV, classifier, csv_data

X = np.array([[-1e4, -100, -3.3, -1.7, -0.6, -0.1, 0.2, 0.7, 1.9, 4.1, 100, 1e4]])


def of(formula):
    """Return a new activation with this formula."""
    methods = {"formula": lambda self, x: formula(x)}
    return dataclass(frozen=True)(type("Formula", (Activation,), methods))()


def slope(activation, x):
    """Return the derivative at x."""
    return activation.forward(x)[1](np.ones_like(x))


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


SMOOTH = {
    "square": (np.square, lambda x: 2 * x),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "where": (lambda x: np.where(x > 0, x, np.sinh(np.tanh(x))), lambda x: np.where(
        x > 0, 1, np.cosh(np.tanh(x)) * (1 - np.tanh(x) ** 2))),
    "maximum": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "sine": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
}  # fmt: skip
"""Formulas that take complex numbers. NumPy orders them by their real parts first."""

OTHERS = {
    "abs": (np.abs, np.sign),  # of complex numbers it is real
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "sign": (lambda x: x * np.sign(x), np.sign),  # of complex numbers it is x / |x|
    "logaddexp": (lambda x: np.logaddexp(0, x), sigmoid),  # it refuses complex numbers
    "real": (lambda x: np.real(x) * 3, lambda x: np.full(x.shape, 3.0)),
    "cast": (lambda x: x.astype(np.float64) ** 2, lambda x: 2 * x),  # drops the step, and warns
}  # fmt: skip


@pytest.fixture
def no_autograd(monkeypatch):
    """Compute derivatives as if autograd were not installed."""
    monkeypatch.setattr(traced, "installed", lambda: False)


@pytest.mark.usefixtures("no_autograd")
@pytest.mark.parametrize("name", SMOOTH)
def test_a_formula_that_takes_complex_numbers_has_an_exact_derivative(name):
    formula, expected = SMOOTH[name]
    np.testing.assert_allclose(slope(of(formula), X), expected(X), rtol=1e-14, atol=1e-14)


@pytest.mark.usefixtures("no_autograd")
@pytest.mark.parametrize("name", OTHERS)
def test_a_formula_that_complex_numbers_would_get_wrong_has_a_central_difference(name):
    formula, expected = OTHERS[name]
    np.testing.assert_allclose(slope(of(formula), X), expected(X), rtol=1e-7, atol=1e-8)


@pytest.mark.skipif(not traced.installed(), reason="needs autograd")
@pytest.mark.parametrize(
    ("formula", "sizes"),
    [
        (SMOOTH["silu"][0], {1: False, LONG - 1: False, LONG: True}),
        (OTHERS["softsign"][0], {1: True, LONG: True}),
        (lambda x: np.sin(30 * np.abs(x)), {1: True, LONG: True}),
        (lambda x: np.interp(x, [-1, 1], [-1, 1]), {1: False, LONG: False}),
        (lambda x: x - np.max(x, axis=-1, keepdims=True), {1: True, LONG: True}),
    ],
    ids=["complex steps", "central differences", "fast", "not by autograd", "over an axis"],
)
def test_autograd_is_used_for_long_arrays_and_where_complex_steps_are_wrong(formula, sizes):
    how = derivative(of(formula))
    assert {size: how.by_autograd(np.ones(size)) for size in sizes} == sizes


@pytest.mark.parametrize("name", [*SMOOTH, *OTHERS])
def test_long_arrays_have_the_derivative_of_short_ones(name):
    activation = of({**SMOOTH, **OTHERS}[name][0])
    long = np.resize(X, (LONG // 12 + 1, 12))
    found = slope(activation, long)
    np.testing.assert_allclose(found, np.resize(slope(activation, X), long.shape), 1e-7, 1e-8)


def test_the_derivative_is_computed_in_double_precision_and_returned_in_the_networks():
    found = slope(of(lambda x: np.abs(x) ** 3), X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 3 * np.sign(X) * X**2, rtol=1e-6)


def test_the_derivative_is_chosen_once_per_configuration():
    calls = []

    @dataclass(frozen=True)
    class Power(Activation):
        p: float = 2.0

        def formula(self, x):
            calls.append(self.p)
            return x**self.p

    slope(Power(), X)
    calls.clear()
    np.testing.assert_allclose(slope(Power(), X), 2 * X)
    assert calls == [2.0, 2.0]  # the output, and one complex step
    np.testing.assert_allclose(slope(Power(3.0), X), 3 * X**2)


def test_prediction_needs_no_derivative():
    y, _ = of(np.abs).forward(X)
    np.testing.assert_array_equal(y, np.abs(X))


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x - np.max(x, axis=0, keepdims=True),
        lambda x: x / np.sum(np.abs(x)),
        lambda x: x + next(NOISE),
    ],
)
def test_a_formula_that_is_not_elementwise_is_refused_instead_of_training_wrongly(formula):
    _, backward = of(formula).forward(X)
    with pytest.raises(PluginError, match="Formula: a value of the formula depends on more than"):
        backward(X)


NOISE = iter(range(1000))


def test_a_network_trains_with_it_as_with_the_derivative_written_out(monkeypatch):
    x = np.random.default_rng(0).normal(size=(40, 2))
    layers = [{"type": "dense", "units": 5, "activation": "silu"}, {"type": "dense", "units": 1}]
    spec = {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 3},
    }
    written = nnreg.run(spec, data=(x, x[:, 0] * x[:, 1])).history["loss"]
    monkeypatch.setattr(Silu, "forward", Activation.forward)
    monkeypatch.setattr(Silu, "formula", lambda self, x: x * sigmoid(x))
    found = nnreg.run(spec, data=(x, x[:, 0] * x[:, 1])).history["loss"]
    np.testing.assert_allclose(found, written, rtol=1e-12)


def test_an_activation_with_neither_formula_nor_forward_is_refused():
    @dataclass(frozen=True)
    class Nothing(Activation):
        pass

    with pytest.raises(PluginError, match="'nothing', which needs a method 'formula' or 'forward'"):
        nnreg.register("nothing", Nothing)


def test_the_command_line_prints_nothing_about_it(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(Tanh, "forward_inplace", Activation.forward_inplace)
    monkeypatch.setattr(Tanh, "forward", Activation.forward)
    monkeypatch.setattr(Tanh, "formula", lambda self, x: np.tanh(x), raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=csv_data())))
    with pytest.raises(SystemExit) as caught:
        main(["run", "spec.json", "--quiet"])
    assert caught.value.code == 0
    assert capfd.readouterr().err == ""
