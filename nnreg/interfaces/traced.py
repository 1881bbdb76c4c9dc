"""The derivative of a formula by autograd, which records the calls of NumPy's functions.

A formula is called with `Traced` arrays. NumPy passes each call of a function on one of them to it
(NEP 13 and 18), so a formula is written with `numpy` itself; autograd has the derivatives. What
cannot be recorded is an error that names the call and the line: a result computed without it would
have a wrong derivative.
"""

from __future__ import annotations

import functools
import importlib.util
import linecache
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnreg._types import Array
from nnreg.errors import PluginError
from nnreg.interfaces.returned import OWN_CODE

TAKE_LISTS = ("concatenate", "stack", "vstack", "hstack", "column_stack")
"""Functions of which autograd takes a list of arrays."""

MAX_SOURCE = 100
"""The maximum number of characters shown of a line of a formula."""

PROPERTIES = ("shape", "ndim", "size", "dtype", "T")


def installed() -> bool:
    """Return True if autograd is installed; it is imported when a derivative is computed."""
    return importlib.util.find_spec("autograd") is not None


def require_autograd(component: object) -> None:
    """Raise `PluginError` if autograd, which a component's formula needs, is not installed."""
    if not installed():
        raise PluginError(
            f"{type(component).__name__} has only a formula, and autograd, which "
            "differentiates it, is not installed; run: pip install 'nnreg[autograd]', or define a "
            "method 'forward'"
        )


def trace(
    function: Callable[..., Any], arrays: Sequence[Array]
) -> tuple[Any, Callable[[Any], list[Array]]]:
    """Return the result of a function of arrays, and its backward function.

    That takes ∂loss/∂result and returns the gradients of the arrays, each of the array's type.
    Autograd's own entry point is not used: it counts the traces of all threads in one variable.
    """
    from autograd.core import VJPNode, add_outgrads
    from autograd.tracer import new_box
    from autograd.util import toposort

    roots = [VJPNode.new_root() for _ in arrays]
    boxes = [new_box(array, 0, root) for array, root in zip(arrays, roots, strict=True)]
    try:
        result = function(*map(Traced, boxes))
    except ValueError as error:  # NumPy's, in place of that of a conversion
        if isinstance(error.__cause__, PluginError):
            raise error.__cause__ from None
        raise
    last = result.box._node if isinstance(result, Traced) else None
    dtype = arrays[0].dtype if arrays else None

    @np.errstate(all="ignore")  # what overflows there is infinite or NaN in the results
    def backward(dy: Any) -> list[Array]:
        found: dict[Any, tuple[Any, bool]] = {} if last is None else {last: (dy, False)}
        for node in () if last is None else toposort(last):
            if not node.parents:
                continue
            gradient, _ = found.pop(node)
            for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                if getattr(part, "dtype", dtype) != dtype:  # some turn float32 into float64
                    part = part.astype(dtype)
                found[parent] = add_outgrads(found.get(parent), part)
        return [
            np.asarray(found[root][0]) if root in found else np.zeros_like(array)
            for array, root in zip(arrays, roots, strict=True)
        ]

    return (result.box._value if isinstance(result, Traced) else result), backward


class Traced(NDArrayOperatorsMixin):
    """An array whose functions autograd records; `box` is autograd's own record of it.

    `mean_of` is the array of which it is the mean, if it is the result of `np.mean` over all axes.
    """

    mean_of: Traced | None = None

    def __init__(self, box: Any) -> None:
        self.box = box

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = f"np.{ufunc.__name__}"
        if kwargs.pop("out", None) is not None:
            _refuse(f"{name} into an array that exists", "write x = x + 1 and not x += 1")
        if method != "__call__":
            _refuse(f"{name}.{method}")
        return _call(ufunc, name, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _call(function, f"np.{function.__name__}", args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        if _has_traced(key):
            _refuse("an index that was computed", "compute it from a comparison, or np.argsort")
        return _wrap(self.box[key])

    def __len__(self) -> int:
        return len(self.box)

    def __bool__(self) -> bool:
        return bool(self.box._value)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute, or a method that NumPy has as a function too."""
        if name in PROPERTIES:
            return _wrap(getattr(self.box, name))
        function = getattr(np, "ravel" if name == "flatten" else name, None)
        if name.startswith("__"):
            raise AttributeError(name)
        if function is None and name != "astype":
            _refuse(f"the attribute {name!r} of an array")
        return functools.partial(self._method, name, function or np.astype)

    def _method(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        if name in ("reshape", "transpose") and len(args) > 1:
            args = (args,)
        return _call(function, f"{name} of an array", (self, *args), kwargs)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        _refuse("an assignment to a part of an array", ASSIGN)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        _refuse(
            "a conversion to a plain array, as by np.array or an assignment to a part of one",
            ASSIGN,
        )

    def __float__(self) -> float:
        _refuse("a conversion to a number")


ASSIGN = "put the parts together by np.stack or np.concatenate, or use np.where"
NumPyFunction = Callable[..., Any]


@functools.cache
def _counterparts() -> dict[NumPyFunction, NumPyFunction]:
    """Return autograd's functions by NumPy's."""
    import autograd.numpy as recorded

    pairs = [(np, recorded), (np.linalg, recorded.linalg), (np.fft, recorded.fft)]
    found = {
        function: getattr(theirs, name)
        for ours, theirs in pairs
        for name, function in vars(ours).items()
        if callable(function) and not isinstance(function, type) and hasattr(theirs, name)
    }
    del found[np.select]  # autograd's takes boxes only
    return found | _faster()


def _faster() -> dict[NumPyFunction, NumPyFunction]:
    """Return functions whose derivative is computed from their result.

    In float32, a training step of tanh takes 1.3 times as long by that of autograd, whose cosh
    overflows from 89 on and then makes it 11 times, and one of sqrt 2.9 times.
    """
    from autograd.extend import defvjp, primitive

    tanh, sqrt = primitive(lambda x: np.tanh(x)), primitive(lambda x: np.sqrt(x))
    defvjp(tanh, lambda y, x: lambda dy: dy * (1 - y * y))
    defvjp(sqrt, lambda y, x: lambda dy: dy * (0.5 / y))
    return {np.tanh: tanh, np.sqrt: sqrt}


def _call(function: NumPyFunction, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return the result of autograd's counterpart of a function."""
    counterpart = _counterparts().get(function)
    if counterpart is None:
        _refuse(name)
    if any(_has_traced(value) for value in kwargs.values()):
        _refuse(f"{name} with an array given by name", "give it by position")
    if function.__name__ not in TAKE_LISTS and any(
        isinstance(arg, tuple | list) and _has_traced(arg) for arg in args
    ):
        _refuse(f"{name} of a list", "make it an array by np.stack")
    try:
        found = _wrap(counterpart(*map(_unwrap, args), **kwargs))
        if function is np.mean and len(args) == 1 and not kwargs:
            found.mean_of = args[0]
        return found
    except (NotImplementedError, AttributeError, TypeError, AssertionError) as error:
        _refuse(name, cause=error)


def _has_traced(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_has_traced, value))
    return isinstance(value, Traced)


def _unwrap(value: Any) -> Any:
    """Return autograd's box of a traced array, or those of a list, and anything else unchanged."""
    if isinstance(value, tuple | list) and _has_traced(value):
        return [_unwrap(item) for item in value]
    return value.box if isinstance(value, Traced) else value


def _wrap(value: Any) -> Any:
    """Return autograd's boxes as traced arrays, and anything else unchanged."""
    from autograd.builtins import SequenceBox
    from autograd.tracer import isbox

    if isinstance(value, SequenceBox):
        return [_wrap(value[index]) for index in range(len(value))]
    return Traced(value) if isbox(value) else value


def _refuse(what: str, hint: str = "", *, cause: Exception | None = None) -> NoReturn:
    """Raise `PluginError`: autograd cannot record this in the line of the formula."""
    hint = hint or "write it with other functions of NumPy"
    raise PluginError(
        f"autograd cannot differentiate {what}{_line()}; {hint}, or define a method 'forward'"
    ) from cause


def _line() -> str:
    """Return the innermost line of code that is not of nnreg, NumPy or autograd."""
    import autograd

    skipped = (*OWN_CODE, str(Path(autograd.__file__).parent))
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(skipped):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(file, number, frame.f_globals).strip()[:MAX_SOURCE]
    return f" ({Path(file).name}, line {number}{': ' if source else ''}{source})"
