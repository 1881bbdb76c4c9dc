"""An array type that cannot be converted to a NumPy array, like an array on another device.

NumPy's functions work on it through the dispatch protocols (NEP 13 and NEP 18), so that code which
works with it works with any array library that implements them.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnreg._types import Shape
from nnreg.interfaces.context import Workspace


class StrictArray(NDArrayOperatorsMixin):
    """A wrapper of a NumPy array, with its methods, that is not a NumPy array."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError("converted to a NumPy array")

    def __len__(self) -> int:
        return len(self.inner)

    def __float__(self) -> float:
        return float(self.inner)

    def __bool__(self) -> bool:
        return bool(self.inner)

    def __getitem__(self, key: Any) -> Any:
        return as_strict(self.inner[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inner[unwrap(key)] = unwrap(value)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute or method of the array, with wrapped results."""
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.inner, name)
        if not callable(value):
            return as_strict(value)
        return lambda *args, **kwargs: as_strict(value(*unwrap(args), **unwrap(kwargs)))

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        return self._call(getattr(ufunc, method), inputs, {**kwargs, "out": out})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._call(function, args, kwargs)

    def _call(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out", None)
        if out is not None:
            kwargs["out"] = unwrap(out)
        result = function(*unwrap(args), **unwrap(kwargs))
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        return as_strict(result)


def as_strict(value: Any) -> Any:
    """Wrap an array, or those in a tuple or list; return any other value unchanged."""
    if isinstance(value, np.ndarray | np.generic):
        return StrictArray(value)
    if isinstance(value, tuple | list):
        return type(value)(as_strict(item) for item in value)
    return value


def unwrap(value: Any) -> Any:
    """Unwrap an array, or those in a tuple, list or dict."""
    if isinstance(value, StrictArray):
        return value.inner
    if isinstance(value, tuple | list):
        return type(value)(unwrap(item) for item in value)
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    return value


class StrictWorkspace(Workspace):
    """A workspace of strict arrays."""

    def allocate(self, shape: Shape, dtype: npt.DTypeLike | None) -> Any:
        """Allocate a new array."""
        return StrictArray(super().allocate(shape, dtype))


class StrictGenerator:
    """A random generator whose numbers are strict arrays."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._rng, name)
        return lambda *args, **kwargs: as_strict(method(*args, **kwargs))
