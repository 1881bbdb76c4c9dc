"""Skip tests of components whose library is not installed."""

import pytest

from nnreg import Kernels


def require_library(cls):
    """Skip the test if these kernels need a library that is not installed."""
    if issubclass(cls, Kernels) and cls.missing():
        pytest.skip(f"needs {cls.missing()}")
