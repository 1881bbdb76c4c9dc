"""The checks of nnreg.testing: every built-in passes, and each finds what it is there to find."""

import pytest
from broken import BROKEN, RIGHT

from nnreg.registry import installed
from nnreg.testing import checks
from nnreg.testing.suite import KINDS

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


def test_every_check_has_a_component_that_fails_it():
    for kind, module in KINDS.items():
        names = {check.__name__.replace("_", " ") for check in module.CHECKS}
        assert names <= BROKEN[kind].keys(), kind


def test_every_check_says_what_it_promises():
    for entry in installed():
        for check in checks(entry.cls):
            assert check.promise.endswith("."), check
