"""Settings for all tests."""

import importlib.util
import os

import pytest
from hypothesis import settings

settings.register_profile("nnreg", max_examples=20, deadline=None, derandomize=True)
settings.load_profile("nnreg")


@pytest.fixture
def peer():
    """Import a library to compare with. Where .ci/run installed it, it must be there."""

    def find(name, *, imported=True):
        there = importlib.util.find_spec(name) is not None
        if not there and not os.environ.get("NNREG_VERIFY"):
            pytest.skip(f"{name} is not installed; it comes with the extra 'verify'")
        assert there, f"{name} is missing"
        return importlib.import_module(name) if imported else None

    return find
