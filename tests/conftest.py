"""Settings for all tests."""

import os

import pytest
from hypothesis import settings

settings.register_profile("nnreg", max_examples=20, deadline=None, derandomize=True)
settings.load_profile("nnreg")


@pytest.fixture
def peer():
    """Import a library to compare with: one that .ci/run installs, so there it must be."""

    def find(name):
        if os.environ.get("NNREG_VERIFY"):
            return __import__(name)
        return pytest.importorskip(name, reason=f"{name} comes with the extra 'verify'")

    return find
