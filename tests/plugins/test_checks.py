"""Classes that define an attribute renamed before 0.1.0 are refused."""

from dataclasses import dataclass

import pytest

from nnreg import PluginError
from nnreg.registry.checks import RENAMED, check_components

OLD_NAMES = [(base, old, new) for base, names in RENAMED.items() for old, new in names.items()]


def component(base, members):
    """Return a component class with these members and those that its kind requires."""
    own = {"formula": lambda self, x: x} if base.kind == "activation" else {}
    return dataclass(frozen=True)(type("Old", (base,), own | members))


@pytest.mark.parametrize(
    ("base", "old", "new"), OLD_NAMES, ids=[f"{base.kind}-{old}" for base, old, _ in OLD_NAMES]
)
def test_an_old_name_is_refused_with_the_new_one(base, old, new):
    expected = f"registers 'old', which defines {old!r}; rename it to {new!r}"
    for members in ({old: True}, {old: lambda self: None}):
        parent = component(base, members)
        child = dataclass(frozen=True)(type("Child", (parent,), {}))
        for cls in (parent, child):
            with pytest.raises(PluginError) as raised:
                check_components(base, {"old": cls})
            assert str(raised.value) == expected


@pytest.mark.parametrize(("base", "old", "new"), OLD_NAMES)
def test_the_new_name_exists_and_the_old_one_does_not(base, old, new):
    assert hasattr(base, new)
    assert not hasattr(base, old)


def test_an_option_may_have_an_old_name():
    for base, names in RENAMED.items():
        for old in names:
            cls = component(base, {"__annotations__": {old: int}, old: 3})
            assert check_components(base, {"new": cls}) == {"new": cls}
