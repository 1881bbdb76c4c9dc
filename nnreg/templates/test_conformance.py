"""my_component passes the conformance checks of its kind, and is found by its name."""

import pytest
from nnreg.registry.registry import installed
from nnreg.testing import Check, checks

from nnreg_my_plugin import MyComponent


@pytest.mark.parametrize("check", checks(MyComponent), ids=str)
def test_it_conforms(check: Check) -> None:
    check()


def test_it_is_found_by_its_name() -> None:
    entry = installed().find(MyComponent.kind, "nnreg-my-plugin:my_component")
    assert entry is not None
    assert entry.cls is MyComponent
