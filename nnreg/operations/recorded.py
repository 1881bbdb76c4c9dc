"""Arrays whose computation is recorded, by calling NumPy's functions on them.

NumPy passes a call of a function on one of them to it (NEP 13 and 18), so what computes with arrays
is recorded as it stands. Each holds the values of a few rows too, so that shapes and types are
those that NumPy finds. The first axis has the rows, and no operation may mix them: what is recorded
is the computation of one row.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnreg._types import Array, Shape
from nnreg.errors import ExportError
from nnreg.operations.operation import Operation

Handler: TypeAlias = Callable[..., Any]

ELEMENTWISE: Mapping[Any, str] = {
    np.negative: "negative",
    np.abs: "abs",
    np.exp: "exp",
    np.expm1: "expm1",
    np.log: "log",
    np.log1p: "log1p",
    np.sqrt: "sqrt",
    np.sin: "sin",
    np.cos: "cos",
    np.tanh: "tanh",
    np.sign: "sign",
    np.floor: "floor",
    np.ceil: "ceil",
    np.rint: "round",
    np.isnan: "is_nan",
    np.logical_not: "not",
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.power: "power",
    np.maximum: "maximum",
    np.minimum: "minimum",
    np.less: "less",
    np.less_equal: "less_equal",
    np.greater: "greater",
    np.greater_equal: "greater_equal",
    np.equal: "equal",
    np.not_equal: "not_equal",
    np.logical_and: "and",
    np.logical_or: "or",
    np.bitwise_and: "and",
    np.bitwise_or: "or",
    np.invert: "not",
}
"""The operations on each value, by the function of NumPy."""


class Recorded(NDArrayOperatorsMixin):
    """An array `(rows, *shape)` that an operation computes; `value` has it for a few rows."""

    def __init__(self, operation: Operation, value: Array) -> None:
        self.operation, self.value = operation, value

    @property
    def shape(self) -> Shape:
        """The shape, with the rows."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes, with that of the rows."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """The number of values of all rows."""
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.value.dtype

    @property
    def T(self) -> NoReturn:  # noqa: N802 (NumPy's name)
        """Refuse: the rows would not be first."""
        refuse("a transposed array, whose first axis are not the rows", "use np.swapaxes")

    def __len__(self) -> int:
        return len(self.value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = f"np.{ufunc.__name__}"
        if kwargs.pop("out", None) is not None:
            refuse(f"{name} into an array that exists")
        if method == "reduce":
            return call(getattr(np, REDUCTIONS.get(ufunc, ""), None), name, inputs, kwargs)
        if method != "__call__" or kwargs:
            refuse(f"{name}.{method}" if method != "__call__" else f"{name} with {[*kwargs]}")
        if ufunc in ELEMENTWISE:
            return elementwise(ELEMENTWISE[ufunc], ufunc, *inputs)
        return call(ufunc, name, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call(function, f"np.{function.__name__}", args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return call(Recorded.__getitem__, "an index", (self, key), {})

    def __bool__(self) -> NoReturn:
        refuse("a decision by a value", "use np.where")

    __float__ = __int__ = __index__ = __bool__

    # an assignment x += 1 gives the name x another value; others that share it keep theirs
    __iadd__, __isub__ = NDArrayOperatorsMixin.__add__, NDArrayOperatorsMixin.__sub__
    __imul__, __itruediv__ = NDArrayOperatorsMixin.__mul__, NDArrayOperatorsMixin.__truediv__

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        refuse("an assignment to a part of an array", "use np.where or np.concatenate")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        refuse("a conversion to a plain array")

    def __getattr__(self, name: str) -> Any:
        """Return a method that NumPy has as a function too."""
        function = getattr(np, "ravel" if name == "flatten" else name, None)
        if name.startswith("_") or function is None:
            raise AttributeError(name)
        return functools.partial(self._method, name, function)

    def _method(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        if name in ("reshape", "transpose") and len(args) > 1:
            args = (args,)
        return call(function, f"{name} of an array", (self, *args), kwargs)


_location: ContextVar[str] = ContextVar("location", default="")


@contextmanager
def located(text: str) -> Iterator[None]:
    """Say which component computes what is recorded, in its operations and in an error."""
    token = _location.set(text)
    try:
        yield
    except (NotImplementedError, TypeError, AttributeError, ValueError, LookupError) as error:
        what = str(error) or "it has neither a formula nor a method 'infer'"
        raise ExportError(f"{text}: cannot record its computation: {what}") from error
    finally:
        _location.reset(token)


_conditions: ContextVar[list[tuple[Recorded, str]] | None] = ContextVar("conditions", default=None)


@contextmanager
def collecting(found: list[tuple[Recorded, str]] | None) -> Iterator[None]:
    """Let `require` add to these conditions; with None, to none."""
    token = _conditions.set(found)
    try:
        yield
    finally:
        _conditions.reset(token)


def require(valid: Any, expected: str) -> None:
    """Record that a program has no answer for rows `(rows,)` that are not valid."""
    found = _conditions.get()
    if found is not None and isinstance(valid, Recorded):
        found.append((valid, f"{_location.get()}: expected {expected}"))


REDUCTIONS = {np.add: "sum", np.maximum: "max", np.minimum: "min", np.logical_or: "any"}

HANDLERS: dict[Any, Handler] = {}
"""What records a call of a function, by the function."""


def records(*functions: Any) -> Callable[[Handler], Handler]:
    """Let the decorated function record the calls of these."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(functions, handler))
        return handler

    return register


@functools.cache
def _load_handlers() -> None:
    """Import what records NumPy's functions: a training, which records nothing, does not."""
    importlib.import_module("nnreg.operations.numpy_functions")


def call(function: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record a call of a function on recorded arrays."""
    _load_handlers()
    handler = HANDLERS.get(function)
    if handler is None:
        refuse(name)
    return handler(*args, **kwargs)


def refuse(what: str, hint: str = "write it with other functions of NumPy") -> NoReturn:
    """Raise `ExportError`: this cannot be recorded."""
    where = f"{location}: " if (location := _location.get()) else ""
    raise ExportError(f"{where}cannot record {what}; {hint}")


def recorded(name: str, inputs: Sequence[Any], value: Array, **attributes: Any) -> Recorded:
    """Return the result of an operation, of which `value` has a few rows."""
    operands = tuple(one.operation if isinstance(one, Recorded) else one for one in inputs)
    operation = Operation(name, operands, value.shape[1:], value.dtype, attributes, _location.get())
    return Recorded(operation, value)


def value_of(operand: Any) -> Any:
    """Return the values of a recorded array, or anything else unchanged."""
    return operand.value if isinstance(operand, Recorded) else operand


def is_recorded(value: Any) -> bool:
    """Return whether a value or a part of it is recorded."""
    if isinstance(value, list | tuple):
        return any(map(is_recorded, value))
    return isinstance(value, Recorded)


def elementwise(name: str, function: Any, *operands: Any) -> Recorded:
    """Return a function of each value of recorded arrays and constants."""
    operands = tuple(np.array(one) if isinstance(one, tuple | list) else one for one in operands)
    with np.errstate(all="ignore"):
        value = function(*map(value_of, operands))
    dtype = np.dtype(bool) if name in ("and", "or", "not") else common_dtype(operands)
    if value.dtype.kind == "f" and dtype.kind != "f":  # a quotient of integers, say
        dtype = value.dtype
    return recorded(name, [operand_of_row(one, value, dtype) for one in operands], value)


def common_dtype(operands: Sequence[Any]) -> np.dtype[Any]:
    """Return the type in which NumPy computes with operands; Python's numbers have none."""
    plain = [one if isinstance(one, int | float) else value_of(one) for one in operands]
    return np.result_type(*plain)


def operand_of_row(operand: Any, result: Array, dtype: np.dtype[Any]) -> Recorded | Array:
    """Return an operand of this type as it is for one row: a constant must be that of all rows."""
    if isinstance(operand, Recorded):
        if operand.ndim != result.ndim:
            refuse(
                f"an operation on shapes {operand.shape} and {result.shape}",
                "give both as many axes, as by x[:, None]",
            )
        return operand if operand.dtype == dtype else as_type(operand, dtype)
    constant = np.asarray(operand, dtype)
    if constant.ndim < result.ndim:
        return constant
    if constant.ndim > result.ndim or constant.shape[0] != 1:
        refuse(f"an operation with a constant of shape {constant.shape}, of several rows")
    found: Array = constant[0]
    return found


def as_type(x: Recorded, dtype: Any) -> Recorded:
    """Return the values as another type."""
    return recorded("as_type", [x], x.value.astype(dtype))


def row_axis(axis: int, ndim: int) -> int:
    """Return an axis of an array of `ndim` axes as one of a row."""
    found = axis + ndim if axis < 0 else axis
    if not 0 < found < ndim:
        refuse(f"an operation along axis {axis}, which has the rows")
    return found - 1
