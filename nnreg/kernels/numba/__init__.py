"""Loops compiled by Numba, by subject."""

import importlib
from functools import cache
from types import ModuleType


@cache
def loops(subject: str) -> ModuleType:
    """Return the module with the loops of a subject; the first of them imports Numba."""
    return importlib.import_module(f"nnreg.kernels.numba.{subject}")
