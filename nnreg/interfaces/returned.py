"""Calls of the methods of a plugin's component, with checks on what they return.

The error names the component, the method, what was found and what was expected, so that the author
of the plugin need not search a traceback of nnreg for the cause.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.errors import NnregError, PluginError
from nnreg.interfaces.component import Component

OWN_CODE = (
    "<frozen",
    str(Path(__file__).parent.parent),
    str(Path(importlib.__file__).parent),
    str(Path(np.__file__).parent),
)
"""The start of the names of files that are not those of plugins."""

MAX_SHOWN = 60
"""The maximum number of characters shown of a value that a method returned."""


@dataclass(frozen=True)
class Caller:
    """Calls the methods of a component.

    `where` is its path in the spec and its provider, for error messages.
    """

    component: Component
    where: str = ""

    def call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Return what a method returns. Raises `PluginError` for an exception."""
        return self.run(method, lambda: getattr(self.component, method)(*arguments, **keywords))

    def run(self, method: str, function: Callable[[], Any]) -> Any:
        """Return what a function returns that runs code of a method."""
        try:
            return function()
        except PluginError as error:
            raise PluginError(f"{self.where or self.component}: {error}") from error
        except NnregError:
            raise
        except (Exception, SystemExit) as error:
            hint = ""
            if isinstance(error, TypeError) and "Python scalars" in str(error):
                hint = "; functions of math take one number: use NumPy's, such as np.exp"
            text = f"raised {type(error).__name__}: {error}{plugin_line(error)}{hint}"
            raise self.error(method, text) from error

    def error(self, method: str, found: str) -> PluginError:
        """Return the error that a method did something wrong."""
        name = type(self.component).__name__
        return PluginError(f"{self.where or self.component}: {name}.{method} {found}")

    def pair(self, method: str, returned: Any, first: str) -> tuple[Any, Callable[..., Any]]:
        """Require two values: `first`, and the backward function."""
        if isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1]):
            return returned
        found = describe(returned)
        if isinstance(returned, tuple):
            found = f"({', '.join(map(describe, returned))})"
        raise self.error(
            method, f"returned {found}; expected two values, {first} and the backward function"
        )

    def array(self, method: str, returned: Any, shape: Shape, dtype: npt.DTypeLike) -> Array:
        """Require an array of a shape and a data type."""
        dtype = np.dtype(dtype)
        if isinstance(returned, np.ndarray) and (returned.shape, returned.dtype) == (shape, dtype):
            return returned
        hint = ""
        if returned is None:
            hint = "; add a return statement"
        elif getattr(returned, "dtype", None) == np.float64 and dtype == np.float32:
            hint = (
                "; float64 numbers and arrays of NumPy, and integer arrays, turn float32 into "
                "float64: use Python numbers, or convert them to x.dtype"
            )
        raise self.error(
            method,
            f"returned {describe(returned)}; expected an array of shape {shape} and type "
            f"{dtype}{hint}",
        )

    def number(self, method: str, returned: Any) -> float:
        """Require a number, Python's or NumPy's."""
        value = as_number(returned)
        if value is None:
            hint = "; add a return statement" if returned is None else ""
            raise self.error(
                method, f"returned {describe(returned)}; expected a single number{hint}"
            )
        return value

    def shapes(self, method: str, returned: Any) -> dict[str, Shape]:
        """Require a shape, or several by name. The name of a single one is empty."""
        several = returned if isinstance(returned, dict) and returned else {"": returned}
        if not all(map(is_shape, several.values())):
            raise self.error(
                method,
                f"returned {describe(returned)}; expected the shape of one output, a tuple",
            )
        return {name: tuple(map(int, shape)) for name, shape in several.items()}


def is_shape(value: Any) -> bool:
    """Return True for a tuple of integers."""
    return isinstance(value, tuple) and all(isinstance(n, int | np.integer) for n in value)


def as_number(value: Any) -> float | None:
    """Return a real number of Python or NumPy as a float, or None for anything else."""
    if isinstance(value, int | float | np.integer | np.floating | np.bool_):
        return float(value)
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "biuf":
        return float(value)
    return None


def describe(value: Any) -> str:
    """Return a short description of a value that a method returned."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    if callable(value):
        return "a function"
    text = repr(value)
    kind = type(value).__name__
    return f"{kind} {text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + '…'}"


def plugin_line(error: BaseException) -> str:
    """Return the last line of a plugin's own code that an exception passed, in parentheses."""
    passed = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in passed if not frame.filename.startswith(OWN_CODE)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
