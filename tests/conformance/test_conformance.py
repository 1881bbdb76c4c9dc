"""The checks of nnreg.testing: every built-in passes, and each finds what it is there to find."""

import itertools
from dataclasses import dataclass

import pytest

from nnreg import Activation, Layer, ShapeError
from nnreg.registry.registry import installed
from nnreg.testing import checks
from nnreg.testing.suite import KINDS
from tests.conformance.broken import BROKEN, RIGHT
from tests.conformance.broken.activations import FormulaOverAnAxis

CASES = [(cls, name) for found in BROKEN.values() for name in found for cls in found[name]]


def failed(cls):
    return {check.name: found for check in checks(cls) if (found := check.result().found)}


@pytest.mark.parametrize("entry", list(installed()), ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_component_that_is_installed_passes_every_check(entry):
    for check in checks(entry.cls):
        check()


@pytest.mark.parametrize("cls", RIGHT)
def test_a_right_component_passes_every_check(cls):
    assert failed(cls) == {}


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_a_broken_component_is_found_by_the_check_that_is_there_for_it_alone(cls, name):
    found = failed(cls)
    assert list(found) == [name], found
    assert cls.__name__ in found[name]


def test_where_a_derivative_from_the_formula_would_be_wrong_the_checks_say_so():
    found = failed(FormulaOverAnAxis)
    assert found.keys() >= {"gradient", "kinks", "shapes"}
    assert "a value of the formula depends on more than its own x" in found["gradient"]


@dataclass(frozen=True)
class Named(Activation):
    """y = x, by `name`"""

    name: str


@dataclass(frozen=True)
class Volume(Layer):
    """y = x of five dimensions"""

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
    """y = x, were it built"""

    def build(self, shape, builder):
        raise ZeroDivisionError("oh")


def test_an_option_or_an_input_that_cannot_be_found_is_asked_for():
    assert "as one of the instances that a class method 'examples'" in failed(Named)["gradient"]
    assert "takes none of the inputs tried" in failed(Volume)["gradient"]
    assert "failed on input shape (6,): ZeroDiv" in failed(FailsToBuild)["gradient"]
    assert failed(VolumeWithExample).keys() == {"documented"}


CALLS = itertools.count()
DRAWN = []


@dataclass(frozen=True)
class ByTurns(Activation):
    """y = x, its gradient wrong in one of seven calls"""

    def forward(self, x):
        wrong = next(CALLS) % 7 == 3
        return 1 * x, lambda dy: dy * (2 if wrong else 1)


@dataclass(frozen=True)
class Recorded(Activation):
    """y = x, keeping what `gain` was drawn"""

    gain: float = 1.0

    def forward(self, x):
        DRAWN.append(self.gain)
        return 1 * x, lambda dy: 1 * dy


@dataclass(frozen=True)
class Leaves(Activation):
    """y = x, printing it and ending the program"""

    def forward(self, x):
        print(x)
        raise SystemExit(3)


def test_what_fails_by_turns_is_told_as_such():
    beginning = "by turns it passes, and fails: ByTurns(): the "
    assert any(text.startswith(beginning) for text in failed(ByTurns).values())


def test_the_seed_decides_what_is_drawn():
    def drawn(seed):
        DRAWN.clear()
        for check in checks(Recorded, seed=seed):
            check()
        return list(DRAWN)

    assert drawn(1) == drawn(1) != drawn(2)


def test_what_a_component_does_is_a_failure_of_its_check_and_no_output(capsys):
    assert failed(Leaves)["gradient"] == "Leaves(): SystemExit: 3"
    assert capsys.readouterr().out == ""


def test_every_check_has_a_component_that_fails_it():
    for kind, module in KINDS.items():
        names = {check.__name__.replace("_", " ") for check in module.CHECKS}
        assert names <= BROKEN[kind].keys(), kind


def test_every_check_says_what_it_promises():
    for entry in installed():
        for check in checks(entry.cls):
            assert check.promise.endswith("."), check
