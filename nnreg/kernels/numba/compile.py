"""How loops are compiled: on first use, and cached on disk.

They are serial: Numba's threads and those of the matrix products would compete for the cores.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

from nnreg.kernels.compiling import announce

ORDERED = {"contract", "arcp", "nsz"}
"""The liberties of the compiler. Without "nnan" and "ninf": NaN and infinity must be propagated, or
a run would not detect them. Without "reassoc": the order of operations is as written."""


class _Cache(FunctionCache):  # type: ignore[misc]  # Numba has no types
    """Loops on disk; without space or with damaged files, they are compiled in each process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        # Numba looks at the file of a function alone, and not at those of the functions it calls
        self._cache_file._source_stamp = _digest()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes may raise any
            found = None
            with suppress(OSError):
                self.flush()
        if found is None:
            announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def _compiler(fastmath: bool | set[str], **options: bool) -> Callable[[Callable[..., Any]], Any]:
    def compile_function(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(
            fastmath=fastmath, error_model="numpy", nogil=True, no_cfunc_wrapper=True, **options
        )(function)
        with suppress(RuntimeError):  # no folder can be written
            dispatcher._cache = _Cache(function)
        return dispatcher

    return compile_function


@functools.cache
def _digest() -> str:
    """Return the SHA-256 of the sources of all loops."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


compiled_exactly = _compiler(False)
"""Without liberties, so that every copy of the function has the same bits, see `inlined`. For
numbers that must be rounded as in Python, and for long functions that compiled ones call."""

compiled_in_order = _compiler(ORDERED)
compiled = _compiler(ORDERED | {"reassoc"})
compiled_without_nan = _compiler(True)
"""For values that are finite, or whose result does not matter otherwise."""

inlined_exactly = _compiler(False, forceinline=True)
"""For short functions of a loop that the compiler should change to one with vectors."""

inlined_in_order = _compiler(ORDERED, forceinline=True)
inlined = _compiler(ORDERED | {"reassoc"}, forceinline=True)
inlined_without_nan = _compiler(True, forceinline=True)
"""For functions that compiled ones call. Such a call is always replaced by the function's code.

Otherwise there are two of them: the function itself, and a copy that is compiled with its caller
and may be optimized further, to other last bits. The process that compiles both calls the first,
but one that loads the caller from the disk calls the copy. Functions that are compiled exactly do
not need this, but they may call only others of their kind.
"""
