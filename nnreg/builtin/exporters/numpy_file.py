"""Models as a Python file that needs NumPy only."""

from __future__ import annotations

import base64
import importlib.util
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._version import __version__
from nnreg.builtin.exporters.numpy_texts import CALLS as TEXT_CALLS
from nnreg.builtin.exporters.numpy_texts import FUNCTIONS as TEXT_FUNCTIONS
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.operation import Body, Operand, Operation
from nnreg.operations.program import Program

MAX_SHOWN = 16
"""The most values of a constant that is written as numbers; longer ones are compressed."""

MODULES = ("base64", "calendar", "datetime", "json", "math", "re", "zlib")
"""The modules of Python's library that a file imports if it uses them."""

LINE = 96
"""The length of a line of compressed values."""


@dataclass(frozen=True)
class NumpyFile(Exporter):
    """A Python file that needs NumPy only.

    `predict(columns)` in it takes lists or arrays by column name, numbers NaN or None where
    missing, and returns arrays by the name of the output. Rows with a value that the model does not
    know, such as another category, become NaN.
    """

    suffix = ".py"

    def unsupported(self, operation: Operation) -> str:
        return (
            ""
            if operation.name in {*EXPRESSIONS, *INFIX, *CALLS, *TEXT_CALLS, "input", "scan"}
            else "unknown"
        )

    def contents(self, program: Program) -> Mapping[str, bytes]:
        return {"": _Writer(program).text().encode()}

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array]:
        location = importlib.util.spec_from_file_location("exported", path)
        assert location is not None
        assert location.loader is not None
        module = importlib.util.module_from_spec(location)
        location.loader.exec_module(module)
        found: Mapping[str, Array] = module.predict(columns)
        return found


INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<",
    "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
    "and": "&", "or": "|", "matmul": "@",
}  # fmt: skip

CALLS = {
    "abs": "np.abs", "exp": "np.exp", "expm1": "np.expm1", "log": "np.log", "log1p": "np.log1p",
    "sqrt": "np.sqrt", "sin": "np.sin", "cos": "np.cos", "tanh": "np.tanh", "sign": "np.sign",
    "floor": "np.floor", "ceil": "np.ceil", "round": "np.rint", "is_nan": "np.isnan",
    "maximum": "np.maximum", "minimum": "np.minimum", "where": "np.where", "erf": "_erf",
}  # fmt: skip

EXPRESSIONS: Mapping[str, Callable[..., str]] = {
    "negative": lambda one, x: f"-{x}",
    "not": lambda one, x: f"~{x}",
    "as_type": lambda one, x: f"{x}.astype(np.{one.dtype})",
    "reshape": lambda one, x: f"{x}.reshape({_rows(one.shape)})",
    "broadcast": lambda one, x: f"np.broadcast_to({x}, (len({x}), {_list(one.shape)}))",
    "transpose": lambda one, x: f"{x}.transpose(0, {_list(_axes(one))})",
    "concatenate": lambda one, *x: f"_join([{', '.join(x)}], {_axis(one)})",
    "take": lambda one, x: f"{x}[{':, ' * _axis(one)}{_indices(one.attributes['indices'])}]",
    "gather": lambda one, table, x: f"{table}[{x}]",
    "lookup": lambda one, x: f"_lookup({x}, {one.attributes['known']!r})",
    "sum": lambda one, x: _reduced("sum", one, x),
    "max": lambda one, x: _reduced("max", one, x),
    "min": lambda one, x: _reduced("min", one, x),
    "argmax": lambda one, x: f"{x}.argmax({_axis(one)})",
    "cumulative_sum": lambda one, x: f"{x}.cumsum({_axis(one)})",
    "sort": lambda one, x: f"np.sort({x}, {_axis(one)})",
    "convolve": lambda one, x, w: f"_convolve({x}, {w}, {_settings(one)})",
    "max_pool": lambda one, x: f"_windows({x}, {_settings(one)}).max({_last(one)})",
    "mean_pool": lambda one, x: f"_windows({x}, {_settings(one)}).mean({_last(one)})",
    "einsum": lambda one, *x: f"np.einsum({_subscripts(one)!r}, {', '.join(x)})",
    "part": lambda one, x: f"{x}[{one.attributes['index']}]",
}
"""The expression of an operation, for those that it reads, by its name."""


def _subscripts(one: Operation) -> str:
    reads, _, result = one.attributes["subscripts"].partition("->")
    pairs = zip(reads.split(","), one.inputs, strict=True)
    letters = [f"...{own}" if isinstance(x, Operation) else own for own, x in pairs]
    return f"{','.join(letters)}->...{result}"


def _list(numbers: Sequence[int]) -> str:
    return "".join(f"{n}, " for n in numbers).rstrip()


def _rows(shape: Sequence[int]) -> str:
    return ", ".join(["-1", *map(str, shape)])


def _axis(one: Operation) -> int:
    return int(one.attributes["axis"]) + 1


def _axes(one: Operation) -> list[int]:
    return [axis + 1 for axis in one.attributes["axes"]]


def _reduced(name: str, one: Operation, x: str) -> str:
    keep = ", keepdims=True" if one.attributes["keepdims"] else ""
    return f"{x}.{name}(({_list(_axes(one))}){keep})"


def _settings(one: Operation) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in one.attributes.items())


def _last(one: Operation) -> str:
    return f"({_list(range(-len(one.attributes['size']), 0))})"


def _indices(indices: Array) -> str:
    """Return positions as a slice if they are evenly spaced."""
    steps = set(np.diff(indices).tolist())
    if len(indices) > 1 and len(steps) == 1 and (step := steps.pop()):
        stop = int(indices[-1]) + step
        return f"{indices[0]}:{stop if stop >= 0 else ''}:{step}".removesuffix(":1")
    return str(indices.tolist())


HELPERS = {
    "_erf": """
    def _erf(x):
        return np.vectorize(math.erf, [x.dtype])(x)
    """,
    "_join": """
    def _join(parts, axis):
        rows = max(len(part) for part in parts)
        return np.concatenate([np.broadcast_to(p, (rows, *p.shape[1:])) for p in parts], axis)
    """,
    "_lookup": """
    def _lookup(texts, known):
        places = {text: place for place, text in enumerate(known)}
        return np.array([places.get(text, -1) for text in texts], np.int64)
    """,
    "_padded": """
    def _padded(sequences, shape, kind):
        found = np.full((len(sequences), *shape), None if kind is object else 0, kind)
        for row, one in zip(found, sequences):
            count = min(len(one), len(row))
            row[:count] = one[:count]
        return found
    """,
    "_where_met": """
    def _where_met(met, values):
        return np.where(met.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
    """,
    "_windows": """
    def _windows(x, size, strides, dilation=()):
        dilation = dilation or (1,) * len(size)
        spans = tuple((n - 1) * d + 1 for n, d in zip(size, dilation))
        views = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(1, len(size) + 1)))
        every = (slice(None), *(slice(None, None, s) for s in strides), slice(None))
        return views[(*every, *(slice(None, None, d) for d in dilation))]
    """,
    "_convolve": """
    def _convolve(x, weight, strides, dilation, groups):
        views = _windows(x, weight.shape[:-2], strides, dilation)
        axes, (channels, filters) = len(strides), weight.shape[-2:]
        parts = []
        for group in range(groups):
            own = slice(group * channels, (group + 1) * channels)
            kernel = weight[..., group * (filters // groups) : (group + 1) * (filters // groups)]
            kernel = np.moveaxis(kernel, -2, 0)
            columns = views[(..., own, *(slice(None),) * axes)]
            inner = list(range(-axes - 1, 0)), list(range(axes + 1))
            parts.append(np.tensordot(columns, kernel, inner))
        return np.concatenate(parts, -1)
    """,
    "_scan": """
    def _scan(step, carried, sequences, backwards):
        order = range(sequences[0].shape[1])
        found = []
        for index in reversed(order) if backwards else order:
            carried, results = step(carried, [one[:, index] for one in sequences])
            found.append(results)
        ordered = found[::-1] if backwards else found
        return [*carried, *(np.stack(one, 1) for one in zip(*ordered))]
    """,
}
"""The functions that a file has if it calls them; later ones may call those before."""


class _Writer:
    """The text of a file."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names: dict[Operation, str] = {}
        self.constants: dict[int, tuple[str, Array]] = {}

    def text(self) -> str:
        """Return the text."""
        program = self.program
        body = [self._statement(one) for one in program.operations]
        required = [self._operand(one.operand) for one in program.requirements]
        body += [f"met = {' & '.join(required)}"] if required else []
        given = "_where_met(met, {})" if required else "{}"
        found = [
            f"    {one.name or 'prediction'!r}: {given.format(self._operand(one.operand))},"
            for one in program.outputs
        ]
        function = [
            '@np.errstate(all="ignore")',
            "def predict(columns):",
            *_indented(body),
            "    found = {",
        ]
        function += [*_indented(found), "    }", "    return found"]
        code = "\n".join(function)
        tables = "\n".join(self._constant(name, array) for name, array in self.constants.values())
        used = [name for name in HELPERS if f"{name}(" in code]
        if "_convolve" in used:
            used.insert(0, "_windows")
        texts = [HELPERS[name] for name in dict.fromkeys(used)]
        texts += [text for name, text in TEXT_FUNCTIONS.items() if f"_{name}(" in code]
        helpers = "\n\n\n".join(textwrap.dedent(text).strip() for text in texts)
        written = "\n\n\n".join(filter(None, [tables, helpers, code])) + "\n"
        imports = [f"import {name}" for name in MODULES if f"{name}." in written]
        head = "\n".join([self._head(), *imports, *([""] if imports else []), "import numpy as np"])
        return f"{head}\n\n\n{written}"

    def _head(self) -> str:
        given = [one.name for one in self.program.inputs if not one.of]
        names = ", ".join(map(_in_docstring, given))
        return (
            f'"""Predictions of {_in_docstring(self.program.name)}, exported from nnreg '
            f"{__version__}.\n\npredict(columns) takes a list of values for each of: {names}.\n"
            f"{self._example()}"
            "Rows with a value that the model does not know, such as another category, are NaN.\n"
            '"""\n'
        )

    def _example(self) -> str:
        """Return a call for one row, if each column has an example."""
        columns = {one.name: [one.example] for one in self.program.inputs}
        if any(one.example is None for one in self.program.inputs):
            return ""
        name = self.program.outputs[0].name or "prediction"
        code = f"predict({columns!r})[{name!r}]".replace("\\", "\\\\").replace('"', '\\"')
        return f"\n    {code}\n\n"

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, Operation):
            return self.names[operand]
        if operand.ndim == 0:
            return _scalar(operand)
        name = f"C{len(self.constants)}"
        return self.constants.setdefault(id(operand), (name, operand))[0]

    def _statement(self, one: Operation) -> str:
        name = self.names[one] = f"x{len(self.names)}"
        if one.name == "input":
            column = one.attributes.get("of", one.attributes["name"])
            kind = "object" if one.dtype == object else "np.float64"
            if "of" in one.attributes:
                return f"{name} = np.array([len(one) for one in columns[{column!r}]])"
            if one.attributes.get("sequence"):
                return f"{name} = _padded(columns[{column!r}], {one.shape}, {kind})"
            return f"{name} = np.array(columns[{column!r}], {kind})"
        if one.name == "scan":
            return self._scan(one, name)
        values = [self._operand(x) for x in one.inputs]
        if one.name == "concatenate":  # constants have no rows
            pairs = zip(values, one.inputs, strict=True)
            values = [x if isinstance(read, Operation) else f"{x}[None]" for x, read in pairs]
        if one.name in INFIX:
            return f"{name} = {values[0]} {INFIX[one.name]} {values[1]}"
        if one.name in TEXT_CALLS:
            return f"{name} = _{one.name}({values[0]}, {TEXT_CALLS[one.name](one)})"
        if one.name in CALLS:
            return f"{name} = {CALLS[one.name]}({', '.join(values)})"
        return f"{name} = {EXPRESSIONS[one.name](one, *values)}"

    def _scan(self, one: Operation, name: str) -> str:
        body: Body = one.attributes["body"]
        count = one.attributes["carried"]
        for argument in body.arguments:
            self.names[argument] = f"x{len(self.names)}"
        given = [self.names[argument] for argument in body.arguments]
        inside = [self._statement(inner) for inner in body.operations]
        results = [self._operand(x) for x in body.results]
        values = [self._operand(x) for x in one.inputs]
        step = [
            f"def {name}_step(carried, items):",
            f"    [{', '.join(given[:count])}], [{', '.join(given[count:])}] = carried, items",
            *_indented(inside),
            f"    return [{', '.join(results[:count])}], [{', '.join(results[count:])}]",
        ]
        call = (
            f"{name} = _scan({name}_step, [{', '.join(values[:count])}], "
            f"[{', '.join(values[count:])}], {one.attributes['backwards']})"
        )
        return "\n".join([*step, call])

    def _constant(self, name: str, array: Array) -> str:
        kind = f"np.{array.dtype}" if array.dtype != bool else "bool"
        if array.size <= MAX_SHOWN and np.isfinite(array).all():
            return f"{name} = np.array({array.tolist()!r}, {kind})"
        text = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
        lines = "\n".join(f'    b"{text[at : at + LINE]}"' for at in range(0, len(text), LINE))
        shape = f".reshape({_list(array.shape)})" if array.ndim != 1 else ""
        return (
            f"{name} = np.frombuffer(zlib.decompress(base64.b85decode(\n{lines}\n)), {kind}){shape}"
        )


def _in_docstring(text: str) -> str:
    """Return a text as it is written in a docstring, on one line."""
    return repr(text).replace('"', '\\"')


def _indented(lines: Sequence[str]) -> list[str]:
    return [textwrap.indent(line, "    ") for line in lines]


def _scalar(value: Array) -> str:
    """Return a number as text, which does not change the type of what it is computed with."""
    if value.dtype == object or np.isfinite(value):
        return repr(value.item())
    return f'np.{value.dtype}("{value}")'
