"""The checks of nnreg.testing: every built-in passes, and each check detects its violation."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from nnreg import Activation, Layer, ShapeError
from nnreg.interfaces import traced
from nnreg.registry.registry import installed
from nnreg.testing import check_activation, checks
from nnreg.testing.suite import EXAMPLES, KINDS, results
from tests.conformance.broken import BROKEN, CORRECT
from tests.conformance.broken.activations import FormulaOverAnAxis
from tests.helpers.libraries import require_library

FEW = 4
"""The configurations per check in every run of the tests; `tests/components` draws others."""

CASES = [(cls, name) for found in BROKEN.values() for name in found for cls in found[name]]


def failed(cls):
    return {result.check: result.found for result in results(checks(cls)) if not result.passed}


@pytest.mark.parametrize("entry", list(installed()), ids=lambda entry: f"{entry.kind} {entry.name}")
@pytest.mark.parametrize("examples", [FEW, pytest.param(EXAMPLES, marks=pytest.mark.slow)])
def test_every_installed_component_passes_every_check(entry, examples):
    require_library(entry.cls)
    for check in checks(entry.cls, examples=examples):
        check()


@pytest.mark.parametrize("cls", CORRECT)
def test_a_correct_component_passes_every_check(cls):
    assert failed(cls) == {}


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_broken_component_fails_exactly_the_check_for_its_mistake(cls, name):
    found = failed(cls)
    assert list(found) == [name], found
    assert cls.__name__ in found[name]


def test_a_formula_that_is_not_elementwise_fails_the_checks_without_autograd(monkeypatch):
    monkeypatch.setattr(traced, "installed", lambda: False)
    found = failed(FormulaOverAnAxis)
    assert list(found) == ["returns"]
    assert "a value of the formula depends on more than its own x" in found["returns"]


@dataclass(frozen=True)
class Named(Activation):
    """y = x, by `name`"""

    name: str


@dataclass(frozen=True)
class Volume(Layer):
    """y = x for five dimensions"""

    def build(self, shape, builder):
        if len(shape) != 5:
            raise ShapeError(shape, "five dimensions")
        return shape

    def forward(self, x, context):
        return x, lambda dy: dy


class VolumeWithExample(Volume):
    @classmethod
    def examples(cls):
        return [(cls(), (1, 2, 1, 2, 1))]


class FailsToBuild(Volume):
    """y = x, but `build` fails"""

    def build(self, shape, builder):
        raise ZeroDivisionError("oh")


def test_an_option_or_input_that_cannot_be_drawn_needs_examples():
    assert "as one of the instances that a class method 'examples'" in failed(Named)["round trip"]
    assert "supports none of the inputs" in failed(Volume)["returns"]
    assert "failed on input shape (6,): ZeroDiv" in failed(FailsToBuild)["returns"]
    assert failed(VolumeWithExample).keys() == {"documented"}


CALLS = itertools.count()
DRAWN = []


@dataclass(frozen=True)
class FlakyActivation(Activation):
    """y = x, but the gradient is wrong in one of seven calls"""

    def forward(self, x):
        wrong = next(CALLS) % 7 == 3
        return 1 * x, lambda dy: dy * (2 if wrong else 1)


@dataclass(frozen=True)
class Recorded(Activation):
    """y = x, recording each `gain`"""

    gain: float = 1.0

    def forward(self, x):
        DRAWN.append(self.gain)
        return 1 * x, lambda dy: 1 * dy


@dataclass(frozen=True)
class ExitingActivation(Activation):
    """y = x, but it prints and exits"""

    def forward(self, x):
        print(x)
        raise SystemExit(3)


def test_a_flaky_check_is_reported_as_flaky():
    prefix = "flaky: FlakyActivation(): the "
    assert any(text.startswith(prefix) for text in failed(FlakyActivation).values())


def test_the_seed_determines_what_is_drawn():
    def drawn(seed):
        DRAWN.clear()
        for check in checks(Recorded, seed=seed):
            check()
        return list(DRAWN)

    assert drawn(1) == drawn(1) != drawn(2)


def test_an_exit_of_a_component_fails_the_check_and_prints_nothing(capsys):
    (found,) = failed(ExitingActivation).values()
    assert "ExitingActivation.forward raised SystemExit: 3 (test_conformance.py, line" in found
    assert capsys.readouterr().out == ""


def test_every_check_has_a_component_that_fails_it():
    for kind, module in KINDS.items():
        names = {check.__name__.replace("_", " ") for check in module.CHECKS}
        assert names <= BROKEN[kind].keys(), kind


def test_every_check_states_what_it_verifies():
    for entry in installed():
        for check in checks(entry.cls):
            assert check.promise.endswith("."), check


@dataclass(frozen=True)
class Undeclared(Activation):
    """y = tanh(x); it declares neither its range nor that outputs do not sum to 1."""

    def forward(self, x):
        y = np.tanh(x)
        return y, lambda dy: dy * (1 - y * y)


@dataclass(frozen=True)
class StraightThrough(Undeclared):
    """y = tanh(x), with the gradient of y = x."""

    exact_gradient = False

    def forward(self, x):
        return np.tanh(x), lambda dy: dy.copy()


@pytest.mark.parametrize("cls", [Undeclared, StraightThrough])
def test_only_checks_of_what_a_class_declares_are_run_on_an_instance(cls):
    check_activation(cls())
