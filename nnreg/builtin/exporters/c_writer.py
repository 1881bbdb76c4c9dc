"""The text of a program in C99."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._version import __version__
from nnreg.builtin.exporters import c_texts
from nnreg.builtin.exporters.c_text_functions import SIGMA
from nnreg.builtin.exporters.loop_operations import OperationWriter
from nnreg.builtin.exporters.loop_writer import functions_of, in_comment
from nnreg.operations.operation import Operand, Operation
from nnreg.operations.program import Program, ProgramInput

RESERVED = frozenset((
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "while",
    # of C++ and later versions of C
    "alignas", "alignof", "and", "and_eq", "asm", "bitand", "bitor", "bool", "catch", "class",
    "compl", "concept", "const_cast", "consteval", "constexpr", "constinit", "decltype",
    "delete", "dynamic_cast", "explicit", "export", "false", "friend", "mutable", "namespace",
    "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "reinterpret_cast", "requires", "static_assert", "static_cast",
    "template", "this", "thread_local", "throw", "true", "try", "typeid", "typename", "typeof",
    "using", "virtual", "wchar_t", "xor", "xor_eq",
    # macros
    "EOF", "HUGE_VAL", "HUGE_VALF", "HUGE_VALL", "I", "INFINITY", "NAN", "NULL", "errno",
    "linux", "stderr", "stdin", "stdout", "unix",
))  # fmt: skip
"""What cannot be a name: keywords, and macros of the headers that programs include."""

SIZES = {"float": 4, "double": 8, "long": 8, "int": 4}
"""The bytes of a value."""

EXPRESSIONS = {
    "negative": "(-{0})", "not": "!{0}", "is_nan": "({0} != {0})", "abs": "fabs{f}({0})",
    "exp": "exp{f}({0})", "expm1": "expm1{f}({0})", "log": "log{f}({0})",
    "log1p": "log1p{f}({0})", "sqrt": "sqrt{f}({0})", "sin": "sin{f}({0})",
    "cos": "cos{f}({0})", "tanh": "tanh{f}({0})", "erf": "erf{f}({0})",
    "floor": "floor{f}({0})", "ceil": "ceil{f}({0})", "round": "rint{f}({0})",
    "sign": "({0} != {0} ? {0} : ({type})(({0} > 0) - ({0} < 0)))", "as_type": "({type}){0}",
    "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "power": "pow{f}({0}, {1})", "less": "({0} < {1})",
    "less_equal": "({0} <= {1})", "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})", "and": "({0} && {1})",
    "or": "({0} || {1})", "maximum": "max_{s}({0}, {1})", "minimum": "min_{s}({0}, {1})",
    "where": "({0} ? {1} : {2})",
}  # fmt: skip


def _extreme(name: str, kind: str) -> str:
    """Return a function of two numbers; not a number if one of them is not."""
    sign = ">=" if name == "max" else "<="
    test = f"a {sign} b || a != a" if kind in ("float", "double") else f"a {sign} b"
    return f"static {kind} {name}_{kind}({kind} a, {kind} b)\n{{\n    return {test} ? a : b;\n}}"


FUNCTIONS = {
    f"{name}_{kind}": _extreme(name, kind)
    for kind in ("float", "double", "long", "int")
    for name in ("max", "min")
} | {
    "whole": """
static long whole(double x) /* NaN and numbers that no long has are LONG_MIN, as with NumPy */
{
    return x >= (double)LONG_MIN && x < -(double)LONG_MIN ? (long)x : LONG_MIN;
}
"""
}
"""The functions of numbers that a file has if it calls them."""


def identifier(text: str, taken: set[str]) -> str:
    """Return an identifier of C for a name, unlike those taken, to which it is added."""
    found = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    if found[0].isdigit() or found[0] == "_":
        found = f"x{found}"
    if found in RESERVED:
        found = f"{found}_"
    name, number = found, 2
    while name in taken:
        name, number = f"{found}_{number}", number + 1
    taken.add(name)
    return name


@dataclass(frozen=True)
class Buffer:
    """An array of the function: its type, and the line of its declaration."""

    name: str
    kind: str
    size: int
    line: int


def places(buffers: Sequence[Buffer], lines: Sequence[str]) -> dict[str, int]:
    """Return where each buffer starts among the values of its type.

    A later one gets the place of another that no line reads any more.
    """
    last = {name: at for at, line in enumerate(lines) for name in re.findall(r"\bx\d+\b", line)}
    found: dict[str, int] = {}
    used: list[Buffer] = []
    for one in buffers:
        used = [other for other in used if last[other.name] >= one.line]
        start = 0
        for other in sorted(used, key=lambda other: found[other.name]):
            if other.kind == one.kind:
                if start + one.size <= found[other.name]:
                    break
                start = found[other.name] + other.size
        found[one.name] = start
        used.append(one)
    return found


class Names:
    """The identifiers of a program: those of the model, of its columns and of its outputs."""

    def __init__(self, program: Program) -> None:
        self.model = identifier(program.name, set())
        taken: set[str] = set()
        self.fields = {one.name: identifier(one.name, taken) for one in program.inputs}
        taken = set()
        self.outputs = {
            one.name: identifier(one.name or "prediction", taken) for one in program.outputs
        }


def source_and_header(program: Program, kind: str, memory: str) -> tuple[str, str]:
    """Return model.c and model.h; `kind` is the type of the network's values."""
    writer = _Writer(program, kind, "static " if memory == "static" else "")
    source = writer.source()
    return source, writer.header()


class _Writer(OperationWriter):
    """The files of a program, which have one function."""

    infinity, no_text = "INFINITY", "NULL"

    def __init__(self, program: Program, kind: str, storage: str) -> None:
        super().__init__(program)
        self.storage = storage
        self.names = Names(program)
        self.buffers: list[Buffer] = []
        self.text_tables: list[str] = []
        self.bytes = self.nested = 0
        """The bytes of all arrays, and of those inside of loops, once the source is written."""
        self.types = {"float32": kind, "float64": "double", "int64": "long", "bool": "int"}

    def header(self) -> str:
        """Return the declarations."""
        guard = f"{self.names.model.upper()}_H"
        fields = "\n".join(f"    {self._field(one)}" for one in self.program.inputs)
        classes = "\n".join(
            f"extern const char *const {name}[{count}];" for name, count in self._class_tables()
        )
        return (
            f"/* Predictions of {in_comment(self.program.name)}, exported from nnreg {__version__}."
            f"\n\n{self._example()}\n*/\n#ifndef {guard}\n#define {guard}\n\n"
            '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
            f"typedef struct {{\n{fields}\n}} {self.names.model}_row;\n\n"
            f"{classes}\n\n"
            "/* Write the predictions for a row. Return 0, or the number of a condition that the\n"
            f"   row does not meet:\n{self._conditions()}\n\n"
            f"   {self._memory()} */\n"
            f"{self._signature()};\n\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
        )

    def _example(self) -> str:
        """Return a program that predicts for one row, for a comment."""
        model, shown = self.names.model, self.program.outputs[0]
        names = [f"{self.names.outputs[one.name]}_out" for one in self.program.outputs]
        declared = [
            f"    {self._type(one.operand)} {name}[{one.operand.size}];"
            for one, name in zip(self.program.outputs, names, strict=True)
        ]
        fields = ",\n".join(
            f"        .{self.names.fields[one.name]} = {self._example_of(one)}"
            for one in self.program.inputs
        )
        classes = f"{model}_{self.names.outputs[shown.name]}_classes"
        value = f"{names[0]}[k]"
        text = ("%s: %g", f"{classes}[k], (double){value}") if shown.classes else ("%g", value)
        lines = [
            "#include <math.h>",
            "#include <stdio.h>",
            '#include "model.h"',
            "",
            "int main(void)",
            "{",
            f"    {model}_row row = {{\n{fields}\n    }};",
            *declared,
            f"    if ({model}_predict(&row, {', '.join(names)}) != 0) return 1;",
            f"    for (int k = 0; k < {shown.operand.size}; k++)",
            f'        printf("{text[0]}\\n", {text[1]});',
            "    return 0;",
            "}",
            "",
            "cc -std=c99 -O2 main.c model.c -lm",
        ]
        return textwrap.indent("\n".join(lines), "   ")

    def _example_of(self, one: ProgramInput) -> str:
        if one.takes == "steps":
            return "1"
        if one.operation.shape:
            return "{0}"
        if isinstance(one.example, str):
            text = c_texts.literal(one.example)
            return text.replace("*/", "*\\057").replace("/*", "/\\052")
        return "NAN" if one.example is None else f"{one.example:.6g}"

    def _memory(self) -> str:
        if self.storage:
            return f"Its {self.bytes} bytes of values are static: only one thread may call it."
        return f"It needs about {self.bytes} bytes of stack."

    def source(self) -> str:
        """Return the definitions."""
        for one in self.program.operations:
            self.operation(one)
        for number, requirement in enumerate(self.program.requirements, 1):
            self.line(f"if (!{self.at(requirement.operand, '0')}) return {number};")
        for output in self.program.outputs:
            self._output(output.operand, f"{self.names.outputs[output.name]}_out")
        self.line("return 0;")
        starts = places(self.buffers, self.lines)
        sizes: dict[str, int] = {}
        for buffer in self.buffers:
            start = starts[buffer.name]
            self.lines[buffer.line] += f" + {start};" if start else ";"
            sizes[buffer.kind] = max(sizes.get(buffer.kind, 0), start + buffer.size)
        self.bytes = self.nested + sum(SIZES[kind] * size for kind, size in sizes.items())
        arena = [f"    {self.storage}{kind} {kind}_values[{size}];" for kind, size in sizes.items()]
        body = "\n".join([*arena, *self.lines])
        every = {**FUNCTIONS, **c_texts.FUNCTIONS}
        sigma = SIGMA if c_texts.has_sigma(self.program.operations) else ""
        every["next"] = every["next"].replace("    /* SIGMA */\n", sigma)
        functions = "\n\n".join(functions_of(body, every))
        limits = c_texts.definitions(self.program.operations, functions)
        tables = "\n".join(self._table(name, array) for name, array in self.constants.values())
        names = "\n".join(self._class_definitions())
        texts = "\n".join(self.text_tables)
        headers = c_texts.HEADERS if limits else ""
        return (
            f'#include "model.h"\n\n#include <limits.h>\n#include <math.h>\n#include <stddef.h>\n'
            f"#include <string.h>\n{headers}\n"
            + "\n\n".join(filter(None, [texts, tables, names, limits, functions]))
            + f"\n\n{self._signature()}\n{{\n{body}\n}}\n"
        )

    def _field(self, one: ProgramInput) -> str:
        name, size = self.names.fields[one.name], one.operation.size
        name = f"{name}[{size}]" if one.operation.shape else name
        if one.takes == "steps":
            return f"long {name}; /* the number of steps of {one.of.replace('*/', '* /')} */"
        if one.takes == "text":
            return f"const char *{name}; /* NULL where missing */"
        return f"double {name}; /* NAN where missing */"

    def _conditions(self) -> str:
        found = [
            f"   {number}  {in_comment(one.message)}"
            for number, one in enumerate(self.program.requirements, 1)
        ]
        return "\n".join(found) or "   (none)"

    def _signature(self) -> str:
        outputs = "".join(
            f", {self._type(one.operand)} *{self.names.outputs[one.name]}_out"
            for one in self.program.outputs
        )
        model = self.names.model
        return f"int {model}_predict(const {model}_row *row{outputs})"

    def _class_tables(self) -> list[tuple[str, int]]:
        return [
            (f"{self.names.model}_{self.names.outputs[one.name]}_classes", len(one.classes))
            for one in self.program.outputs
            if one.classes
        ]

    def _class_definitions(self) -> Iterator[str]:
        named = [one for one in self.program.outputs if one.classes]
        for (name, count), one in zip(self._class_tables(), named, strict=True):
            texts = ", ".join(map(c_texts.literal, one.classes or ()))
            yield f"const char *const {name}[{count}] = {{{texts}}};"

    def input(self, one: Operation) -> str:
        return f"row->{self.names.fields[one.attributes['name']]}"

    def declaration(self, name: str, operand: Operand, size: int) -> str:
        kind = self._type(operand)
        if size == 1:
            return f"{kind} {name};"
        if self.depth > 1:
            self.nested += SIZES[kind] * size
            return f"{self.storage}{kind} {name}[{size}];"
        self.buffers.append(Buffer(name, kind, size, len(self.lines)))
        return f"{kind} *const {name} = {kind}_values"  # its place is added later

    def definition(self, name: str, operand: Operand, value: str) -> str:
        return f"const {self._type(operand)} {name} = {value};"

    def loop(self, name: str, count: int) -> str:
        return f"for (long {name} = 0; {name} < {count}; {name}++) {{"

    def expression(self, one: Operation, operands: Sequence[str]) -> str:
        if one.name == "as_type" and one.dtype == bool:
            return f"({operands[0]} != 0)"
        if one.name == "as_type" and one.dtype == np.int64 and one.inputs[0].dtype.kind == "f":
            return f"whole({operands[0]})"
        computed = one.inputs[1] if one.name == "where" else one.inputs[0]
        kind = self._type(one if one.name == "as_type" else computed)
        suffix = "f" if kind == "float" else ""
        return EXPRESSIONS[one.name].format(*operands, f=suffix, s=kind, type=self._type(one))

    def larger(self, one: Operation, a: str, b: str) -> str:
        return f"max_{self._type(one)}({a}, {b})"

    def smaller(self, one: Operation, a: str, b: str) -> str:
        return f"min_{self._type(one)}({a}, {b})"

    def other(self, one: Operation) -> None:
        if one.name not in c_texts.CALLS:
            super().other(one)
            return
        text, name = self.at(one.inputs[0], "0"), self.declare(one)
        found = name if one.size > 1 else f"&{name}"
        given = [text, *c_texts.CALLS[one.name](one, self._text_table), found]
        self.line(f"{one.name}({', '.join(given)});")

    def position(self, text: str, known: Sequence[str]) -> str:
        return f"position({text}, {self._text_table(known)})"

    def _text_table(self, texts: Sequence[str]) -> str:
        """Add tables of sorted texts and their positions; return the arguments that pass them.

        A text of C has no NUL: one that has it is never found, and left out.
        """
        places = [n for n, one in enumerate(texts) if "\0" not in one]
        places.sort(key=lambda n: c_texts.encoded(texts[n]))
        if not places:
            return "NULL, NULL, 0"
        number, count = len(self.text_tables) // 2, len(places)
        listed = ", ".join(c_texts.literal(texts[n]) for n in places)
        self.text_tables += [
            f"static const char *const T{number}[{count}] = {{{listed}}};",
            f"static const long P{number}[{count}] = {{{', '.join(map(str, places))}}};",
        ]
        return f"T{number}, P{number}, {count}"

    def literal(self, value: object, operand: Operand) -> str:
        dtype = str(operand.dtype)
        if value is None or isinstance(value, str):
            return "NULL" if value is None else c_texts.literal(value)
        if dtype in ("bool", "int64"):
            return str(int(value))  # type: ignore[call-overload]
        number = float(value)  # type: ignore[arg-type]
        if math.isnan(number):
            return "NAN"
        if math.isinf(number):
            return "INFINITY" if number > 0 else "-INFINITY"
        text = f"{number:.9g}" if dtype == "float32" else f"{number:.17g}"
        text = text if any(one in text for one in ".en") else f"{text}.0"
        return f"{text}f" if self.types[dtype] == "float" else text

    def _type(self, operand: Operand) -> str:
        return self.types.get(str(operand.dtype), "const char *")

    def _table(self, name: str, array: Array) -> str:
        values = [self.literal(value, array) for value in array.reshape(-1)]
        lines = [", ".join(values[at : at + 8]) for at in range(0, len(values), 8)]
        joined = ",\n    ".join(lines)
        kind = self._type(array)
        return f"static const {kind} {name}[{array.size}] = {{\n    {joined}\n}};"

    def _output(self, operand: Operand, name: str) -> None:
        with self.loops((operand.size,)) as (i,):
            self.line(f"{name}[{i}] = {self.at(operand, i)};")
