"""Models as an ES module of JavaScript without dependencies."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.json_text import dumps
from nnreg._version import __version__
from nnreg.builtin.exporters import js_texts
from nnreg.builtin.exporters.js_functions import FUNCTIONS
from nnreg.builtin.exporters.loop_operations import OPERATIONS, OperationWriter
from nnreg.builtin.exporters.loop_writer import flat, functions_of, in_comment
from nnreg.errors import ExportError
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.operation import Operand, Operation
from nnreg.operations.program import Program

MAX_SHOWN = 16
"""The most values of a constant that is written as numbers; longer ones are in base 64."""

RUN = """
import { readFileSync } from "node:fs";
const { predict } = await import(process.argv[1]);
const answers = JSON.parse(readFileSync(0, "utf8")).map((row) => {
  try {
    return Object.fromEntries(Object.entries(predict(row)).map(([k, v]) => [k, Array.from(v)]));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
});
console.log(JSON.stringify(answers));
"""
"""What node runs to check a module: from rows to answers, null for a row without one."""

REQUIRE_COLUMNS = """
  for (const name of inputs)
    if (!(name in row)) throw new RangeError(`no column '${name}'; give null if it is missing`);
""".strip("\n")

EXPRESSIONS = {
    "negative": "(-{0})", "not": "({0} == 0)", "is_nan": "Number.isNaN({0})",
    "abs": "Math.abs({0})",
    "exp": "Math.exp({0})", "expm1": "Math.expm1({0})", "log": "Math.log({0})",
    "log1p": "Math.log1p({0})", "sqrt": "Math.sqrt({0})", "sin": "Math.sin({0})",
    "cos": "Math.cos({0})", "tanh": "Math.tanh({0})", "erf": "erf({0})",
    "floor": "Math.floor({0})", "ceil": "Math.ceil({0})", "round": "round({0})",
    "sign": "Math.sign({0})", "add": "({0} + {1})", "subtract": "({0} - {1})",
    "multiply": "({0} * {1})", "divide": "({0} / {1})", "power": "({0}) ** ({1})",
    "less": "({0} < {1})", "less_equal": "({0} <= {1})", "greater": "({0} > {1})",
    "greater_equal": "({0} >= {1})", "equal": "({0} == {1})", "not_equal": "({0} != {1})",
    "and": "({0} != 0 && {1} != 0)", "or": "({0} != 0 || {1} != 0)",
    "maximum": "Math.max({0}, {1})", "minimum": "Math.min({0}, {1})", "where": "({0} ? {1} : {2})",
}  # fmt: skip

CONVERSIONS = {
    "float32": "Math.fround({0})",
    "float64": "Number({0})",
    "int64": "Math.trunc({0})",
    "bool": "({0} != 0)",
}

ARRAYS = {
    "float32": "Float32Array", "float64": "Float64Array", "int64": "Float64Array",
    "bool": "Uint8Array", "object": "Array",
}  # fmt: skip
"""The typed arrays; integers are float64, which has those up to 2^53 exactly."""


@dataclass(frozen=True)
class JsFile(Exporter):
    """An ES module of JavaScript without dependencies, for browsers and Node.

    `predict(row)` in it takes an object with the columns, null where missing, and returns the
    values by the name of the output, those of classes in the order of `classes`. It throws a
    RangeError for a row with a value that the model does not know, such as another category.
    """

    suffix = ".mjs"

    def unsupported(self, operation: Operation) -> str:
        if operation.name in OPERATIONS or operation.name in js_texts.SETTINGS:
            return ""
        return f"JavaScript has no operation {operation.name!r}"

    def contents(self, program: Program) -> Mapping[str, bytes]:
        return {"": _Writer(program).text().encode()}

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array] | None:
        node = shutil.which("node")
        if node is None:
            return None
        rows = [
            {name: _plain(value) for name, value in zip(columns, values, strict=True)}
            for values in zip(*columns.values(), strict=True)
        ]
        command = [node, "--input-type=module", "-e", RUN, path.resolve().as_uri()]
        done = subprocess.run(
            command, input=dumps(rows), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ExportError(f"node cannot run the exported model: {done.stderr}")
        answers = json.loads(done.stdout)
        found = {}
        for one in program.outputs:
            name, shape = one.name or "prediction", one.operand.shape
            none = np.full(one.operand.size, np.nan)
            each = [none if answer is None else np.array(answer[name], float) for answer in answers]
            found[name] = np.stack(each).reshape(-1, *shape)
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


class _Writer(OperationWriter):
    """The text of a module."""

    indent, infinity, no_text = "  ", "Infinity", "null"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.arrays: list[str] = []
        """The definitions of arrays, and of what reads texts, which all calls share."""

    def text(self) -> str:
        """Return the text."""
        program, names = self.program, [one.name for one in self.program.inputs if not one.of]
        for one in program.operations:
            self.operation(one)
        for requirement in program.requirements:
            message = dumps(requirement.message)
            self.line(f"if (!{self.at(requirement.operand, '0')}) throw new RangeError({message});")
        self.line("return {")
        for output in program.outputs:
            value = self.name_of(output.operand)
            listed = f"[{value}]" if output.operand.size == 1 else f"{value}.slice()"
            self.line(f"  {dumps(output.name or 'prediction')}: {listed},")
        self.line("};")
        classes = {one.name or "prediction": one.classes for one in program.outputs if one.classes}
        body, arrays = "\n".join(self.lines), "\n".join(self.arrays)
        tables = "\n".join(self._table(*pair) for pair in self.constants.values())
        texts = "\n".join(
            f"const T{number} = new Map({dumps([[text, n] for n, text in enumerate(known)])});"
            for number, known in enumerate(self.texts)
        )
        code = f"export function predict(row) {{\n{REQUIRE_COLUMNS}\n{body}\n}}"
        written = "\n".join([code, arrays, tables])
        used = functions_of(written, {**FUNCTIONS, **js_texts.FUNCTIONS})
        head = (
            f"// Predictions of {in_comment(program.name)}, exported from nnreg {__version__}.\n"
            f"{self._example()}\n"
            f"export const inputs = {dumps(names)};\n"
            f"export const classes = {dumps(classes)};"
        )
        return "\n\n".join(filter(None, [head, *used, texts, tables, arrays, code])) + "\n"

    def _example(self) -> str:
        """Return a call for one row, as a comment, if each column has an example."""
        row = {one.name: one.example for one in self.program.inputs}
        if any(example is None for example in row.values()):
            return ""
        name = dumps(self.program.outputs[0].name or "prediction")
        return f"// Example: predict({in_comment(dumps(row))})[{in_comment(name)}]\n"

    def input(self, one: Operation) -> str:
        name, column = f"x{len(self.variables)}", one.attributes.get("of", one.attributes["name"])
        value = f"row[{dumps(column)}]"
        if "of" in one.attributes:
            self.line(f"const {name} = {value}.length;")
            return name
        missing = "null" if one.dtype == object else "NaN"
        if not one.shape:
            self.line(f"const {name} = {value} ?? {missing};")
            return name
        self.arrays.append(self._array(name, one, one.size))
        arguments = [name, dumps(column), value, missing]
        if one.attributes.get("sequence"):
            arguments.append("null" if one.dtype == object else "0")
        self.line(f"filled({', '.join(arguments)});")
        return name if one.size > 1 else f"{name}[0]"

    def other(self, one: Operation) -> None:
        if one.name == "convolve" and one.attributes["groups"] == 1 and _all_arrays(one):
            self._convolve(one)
            return
        if one.name not in js_texts.SETTINGS:
            super().other(one)
            return
        (text,) = one.inputs
        name = self.variables[one] = f"x{len(self.variables)}"
        target = f"[{name}]" if one.size == 1 else name
        self.arrays.append(f"const {name}of = {js_texts.reader(one)};")
        self.line(f"const {target} = {name}of({self.at(text, '0')});")

    def product(self, one: Operation, starts: Sequence[str], sizes: Sequence[int]) -> None:
        if not _all_arrays(one):
            super().product(one, starts, sizes)
            return
        names = map(self.name_of, (one, *one.inputs))
        given = [text for pair in zip(names, starts, strict=True) for text in pair]
        self.line(f"product({', '.join([*given, *map(str, sizes)])});")

    def _convolve(self, one: Operation) -> None:
        """Write a convolution as a product for each place, of the window there."""
        x, weight = one.inputs
        *size, depth, filters = weight.shape
        strides, dilation = one.attributes["strides"], one.attributes["dilation"]
        name = self.declare(one)
        window, shape = f"{name}w", (*size, depth)
        self.arrays.append(self._array(window, one, math.prod(shape)))
        with self.loops(one.shape[:-1]) as places:
            with self.loops(shape, "k") as inner:
                *kernel, channel = inner
                each = zip(places, strides, kernel, dilation, strict=True)
                space = [f"({p} * {s} + {k} * {d})" for p, s, k, d in each]
                value = self.at(x, flat([*space, channel], x.shape))
                self.line(f"{window}[{flat(inner, shape)}] = {value};")
            at = flat([*places, "0"], one.shape)
            given = [name, at, window, "0", self.name_of(weight), "0", "1"]
            self.line(f"product({', '.join(given)}, {math.prod(shape)}, {filters});")

    def declaration(self, name: str, operand: Operand, size: int) -> str:
        if size == 1:
            return f"let {name};"
        self.arrays.append(self._array(name, operand, size))
        return f"// {name}: {', '.join(map(str, operand.shape))}"

    def _array(self, name: str, operand: Operand, size: int) -> str:
        return f"const {name} = new {ARRAYS[str(operand.dtype)]}({size});"

    def definition(self, name: str, operand: Operand, value: str) -> str:
        return f"const {name} = {value};"

    def loop(self, name: str, count: int) -> str:
        return f"for (let {name} = 0; {name} < {count}; {name}++) {{"

    def expression(self, one: Operation, operands: Sequence[str]) -> str:
        if one.name == "as_type":
            return CONVERSIONS[str(one.dtype)].format(*operands)
        return EXPRESSIONS[one.name].format(*operands)

    def larger(self, one: Operation, a: str, b: str) -> str:
        return f"Math.max({a}, {b})"

    def smaller(self, one: Operation, a: str, b: str) -> str:
        return f"Math.min({a}, {b})"

    def position(self, text: str, known: Sequence[str]) -> str:
        self.texts.append(known)
        return f"T{len(self.texts) - 1}.get({text}) ?? -1"

    def literal(self, value: object, operand: Operand) -> str:
        if value is None or isinstance(value, str):
            return dumps(value)
        number = float(value)  # type: ignore[arg-type]
        if math.isfinite(number):
            return repr(int(number)) if number == int(number) else f"{value}"
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"

    def _table(self, name: str, array: Array) -> str:
        kind = ARRAYS[str(array.dtype)]
        if array.size <= MAX_SHOWN:
            values = ", ".join(self.literal(value, array) for value in array.reshape(-1))
            return f"const {name} = {kind}.of({values});"
        stored = array.astype(np.float64) if array.dtype == np.int64 else array
        text = base64.b64encode(np.ascontiguousarray(stored).tobytes()).decode()
        return f'const {name} = decoded({kind}, "{text}");'


def _all_arrays(one: Operation) -> bool:
    """Return whether an operation and what it reads are arrays: a single value is a number."""
    return all(x.size > 1 for x in (one, *one.inputs))
