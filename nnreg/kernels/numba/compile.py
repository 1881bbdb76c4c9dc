"""How loops are compiled: on first use, and cached on disk.

They are serial: Numba's threads and those of the matrix products would compete for the cores.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

ORDERED = {"contract", "arcp", "nsz"}
"""The liberties of the compiler. Without "nnan" and "ninf": NaN and infinity must be propagated, or
a run would not detect them. Without "reassoc": the order of operations is as written."""


def _compiler(fastmath: bool | set[str]) -> Callable[[Callable[..., Any]], Any]:
    def compile_function(function: Callable[..., Any]) -> Any:
        options = {"fastmath": fastmath, "error_model": "numpy", "nogil": True}
        dispatcher = numba.njit(cache=True, **options)(function)
        file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if not hasattr(file, "_source_stamp"):
            return numba.njit(**options)(function)
        # Numba looks at the file of a function alone, and not at those of the functions it calls
        file._source_stamp = _digest()
        return dispatcher

    return compile_function


@functools.cache
def _digest() -> str:
    """Return the SHA-256 of the sources of all loops."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


compiled_in_order = _compiler(ORDERED)
compiled = _compiler(ORDERED | {"reassoc"})
compiled_without_nan = _compiler(True)
"""For values that are finite, or whose result does not matter otherwise."""
