"""The text of a program in C99."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._version import __version__
from nnreg.operations.operation import Body, Operand, Operation
from nnreg.operations.program import Program, ProgramInput

KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while".split()
)

UNARY = {
    "negative": "-{0}", "not": "!{0}", "is_nan": "({0} != {0})", "abs": "fabs{f}({0})",
    "exp": "exp{f}({0})", "expm1": "expm1{f}({0})", "log": "log{f}({0})",
    "log1p": "log1p{f}({0})", "sqrt": "sqrt{f}({0})", "sin": "sin{f}({0})",
    "cos": "cos{f}({0})", "tanh": "tanh{f}({0})", "erf": "erf{f}({0})",
    "floor": "floor{f}({0})", "ceil": "ceil{f}({0})", "round": "rint{f}({0})",
    "sign": "(({0} > 0) - ({0} < 0))", "as_type": "({type}){0}",
}  # fmt: skip

BINARY = {
    "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "power": "pow{f}({0}, {1})", "less": "({0} < {1})",
    "less_equal": "({0} <= {1})", "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})", "and": "({0} && {1})",
    "or": "({0} || {1})", "maximum": "max_{s}({0}, {1})", "minimum": "min_{s}({0}, {1})",
    "where": "({0} ? {1} : {2})",
}  # fmt: skip

ELEMENTWISE = UNARY | BINARY

REPEATING = frozenset(("is_nan", "sign"))
"""Those whose expression has an operand twice, so that it is computed before."""



def _extreme(name: str, kind: str) -> str:
    """Return a function of two numbers; not a number if one of them is not."""
    sign = ">=" if name == "max" else "<="
    test = f"a {sign} b || a != a" if kind in ("float", "double") else f"a {sign} b"
    return f"static {kind} {name}_{kind}({kind} a, {kind} b)\n{{\n    return {test} ? a : b;\n}}"


FUNCTIONS = {
    f"{name}_{kind}": _extreme(name, kind)
    for kind in ("float", "double", "long", "int")
    for name in ("max", "min")
}
"""The functions that a file has if it calls them."""


def identifier(text: str, taken: set[str]) -> str:
    """Return an identifier of C for a name, unlike those taken, to which it is added."""
    found = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    if found[0].isdigit() or found in KEYWORDS:
        found = f"_{found}"
    name, number = found, 2
    while name in taken:
        name, number = f"{found}_{number}", number + 1
    taken.add(name)
    return name


class Names:
    """The identifiers of a program: those of the model, of its columns and of its outputs."""

    def __init__(self, program: Program) -> None:
        self.model = identifier(program.name, set())
        taken: set[str] = set()
        self.fields = {one.name: identifier(one.name, taken) for one in program.inputs}
        taken = {"row"}
        self.outputs = {
            one.name: identifier(one.name or "prediction", taken) for one in program.outputs
        }


def source_and_header(program: Program, kind: str) -> tuple[str, str]:
    """Return model.c and model.h; `kind` is the type of the network's values."""
    writer = _Writer(program, kind)
    return writer.source(), writer.header()


class _Writer:
    """The functions of a program."""

    def __init__(self, program: Program, kind: str) -> None:
        self.program, self.names = program, Names(program)
        self.types = {"float32": kind, "float64": "double", "int64": "long", "bool": "int"}
        self.variables: dict[Operation, str] = {}
        self.constants: dict[int, tuple[str, Array]] = {}
        self.texts: list[str] = []
        self.lines: list[str] = []
        self.depth = 1
        self.uses = _uses(program)
        self.scans: dict[Operation, list[str]] = {}
        self.inlined: dict[Operation, Callable[[Mapping[int, str]], str]] = {}
        """The expressions of operations for an index: that of each axis, and -1 the flat one."""
        self.by_axes: set[Operation] = set()
        """Those whose expression needs the index of each axis."""

    # the files

    def header(self) -> str:
        """Return the declarations."""
        guard = f"{self.names.model.upper()}_H"
        fields = "\n".join(f"    {self._field(one)}" for one in self.program.inputs)
        classes = "\n".join(
            f"extern const char *const {name}[{count}];" for name, count in self._class_tables()
        )
        return (
            f"/* Predictions of {self.program.name}, exported from nnreg {__version__}. */\n"
            f"#ifndef {guard}\n#define {guard}\n\n"
            f"typedef struct {{\n{fields}\n}} {self.names.model}_row;\n\n"
            f"{classes}\n\n"
            "/* Write the predictions for a row. Return 0, or the number of a condition that the\n"
            f"   row does not meet:\n{self._conditions()} */\n"
            f"{self._signature()};\n\n#endif\n"
        )

    def source(self) -> str:
        """Return the definitions."""
        for one in self.program.operations:
            self._operation(one)
        for number, requirement in enumerate(self.program.requirements, 1):
            self._line(f"if (!{self._at(requirement.operand, '0')}) return {number};")
        for output in self.program.outputs:
            self._output(output.operand, self.names.outputs[output.name])
        self._line("return 0;")
        body = "\n".join(self.lines)
        functions = "\n\n".join(text for name, text in FUNCTIONS.items() if f"{name}(" in body)
        tables = "\n".join(self._table(name, array) for name, array in self.constants.values())
        names = "\n".join(self._class_definitions())
        return (
            '#include "model.h"\n\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n'
            + "\n\n".join(filter(None, ["\n".join(self.texts), tables, names, functions]))
            + f"\n\n{self._signature()}\n{{\n{body}\n}}\n"
        )

    def _field(self, one: ProgramInput) -> str:
        name, size = self.names.fields[one.name], one.operation.size
        if one.takes == "text":
            return f"const char *{name}; /* NULL where missing */"
        return f"double {name}{f'[{size}]' if one.operation.shape else ''}; /* NAN where missing */"

    def _conditions(self) -> str:
        found = [
            f"   {number}  {one.message.replace('*/', '* /')}"
            for number, one in enumerate(self.program.requirements, 1)
        ]
        return "\n".join(found) or "   (none)"

    def _signature(self) -> str:
        outputs = "".join(
            f", {self._type(one.operand)} *{self.names.outputs[one.name]}"
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
            texts = ", ".join(map(_text, one.classes or ()))
            yield f"const char *const {name}[{count}] = {{{texts}}};"

    # values

    def _type(self, operand: Operand) -> str:
        return self.types.get(str(operand.dtype), "const char *")

    def _name(self, operand: Operand) -> str:
        if isinstance(operand, Operation):
            return self.variables[operand]
        name = f"C{len(self.constants)}"
        return self.constants.setdefault(id(operand), (name, operand))[0]

    def _at(self, operand: Operand, index: str) -> str:
        """Return the value of an operand at an index."""
        if isinstance(operand, Operation):
            if operand in self.inlined:
                return self.inlined[operand]({-1: index})
            return self._name(operand) if operand.size == 1 else f"{self._name(operand)}[{index}]"
        if operand.size == 1:
            return self._number(operand.reshape(())[()], str(operand.dtype))
        return f"{self._name(operand)}[{index}]"

    def _number(self, value: Any, dtype: str) -> str:
        if dtype == "object" or isinstance(value, str):
            return "NULL" if value is None else _text(value)
        if dtype in ("bool", "int64"):
            return str(int(value))
        if math.isnan(value):
            return "NAN"
        if math.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        single = self.types[dtype] == "float"
        text = f"{float(value):.9g}" if dtype == "float32" else f"{float(value):.17g}"
        text = text if any(one in text for one in ".en") else f"{text}.0"
        return f"{text}f" if single else text

    def _table(self, name: str, array: Array) -> str:
        dtype = str(array.dtype)
        values = [self._number(value, dtype) for value in array.reshape(-1)]
        lines = [", ".join(values[at : at + 8]) for at in range(0, len(values), 8)]
        joined = ",\n    ".join(lines)
        return f"static const {self.types[dtype]} {name}[{array.size}] = {{\n    {joined}\n}};"

    # statements

    def _line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def _loops(self, shape: Shape, prefix: str = "i") -> Iterator[list[str]]:
        """Write loops over a shape; yields the variables."""
        names = [f"{prefix}{axis}" if n != 1 else "0" for axis, n in enumerate(shape)]
        depth = self.depth
        for name, count in zip(names, shape, strict=True):
            if count == 1:
                continue
            self._line(f"for (long {name} = 0; {name} < {count}; {name}++) {{")
            self.depth += 1
        yield names
        while self.depth > depth:
            self.depth -= 1
            self._line("}")

    def _declare(self, one: Operation) -> str:
        """Declare the variable of an operation; return its name."""
        name = self.variables[one] = f"x{len(self.variables)}"
        size = "" if one.size == 1 else f"[{one.size}]"
        self._line(f"{self._type(one)} {name}{size};")
        return name

    def _operation(self, one: Operation) -> None:
        if one.name == "input":
            self.variables[one] = f"row->{self.names.fields[one.attributes['name']]}"
        elif one.name == "reshape":
            (source,) = one.inputs
            assert isinstance(source, Operation)
            self.variables[one] = self.variables[source]
        elif one.name in ELEMENTWISE:
            self._elementwise(one)
        else:
            WRITERS[one.name](self, one)

    def _elementwise(self, one: Operation) -> None:
        """Write a loop, or keep the expression for the only operation that reads it."""

        def expression(index: Mapping[int, str]) -> str:
            operands = [self._broadcast(x, one.shape, index) for x in one.inputs]
            computed = one.inputs[0] if one.name != "where" else one.inputs[1]
            dtype = computed.dtype if one.name != "as_type" else one.dtype
            kind = self.types.get(str(dtype), "")
            names = {"f": "f" if kind == "float" else "", "s": kind, "type": self._type(one)}
            return ELEMENTWISE[one.name].format(*operands, **names)

        flat = not any(x in self.by_axes for x in one.inputs if isinstance(x, Operation)) and all(
            x.size == 1 or _wide(x.shape) == _wide(one.shape) for x in one.inputs
        )
        if self._can_be_inlined(one):
            if not flat:
                self.by_axes.add(one)
            self.inlined[one] = expression
            self.variables[one] = "inlined"
            return
        name = self._declare(one)
        if one.size == 1:
            zeros = dict.fromkeys(range(-1, len(one.shape)), "0")
            self._line(f"{name} = {expression(zeros)};")
            return
        if flat:
            with self._loops((one.size,)) as (i,):
                self._line(f"{name}[{i}] = {expression({-1: i})};")
            return
        with self._loops(one.shape) as indices:
            index = dict(enumerate(indices)) | {-1: _flat(indices, one.shape)}
            self._line(f"{name}[{index[-1]}] = {expression(index)};")

    def _can_be_inlined(self, one: Operation) -> bool:
        readers = self.uses.get(one, [])
        if len(readers) != 1 or readers[0] is None:
            return False
        reader = readers[0]
        return (
            reader.name in ELEMENTWISE
            and reader.name not in REPEATING
            and reader.shape == one.shape
        )

    def _broadcast(self, x: Operand, shape: Shape, index: Mapping[int, str]) -> str:
        """Return the value of an operand at an index of a result of this shape."""
        if x.size == 1:
            return self._at(x, "0")
        if _wide(x.shape) == _wide(shape):
            return self._at_index(x, index)
        missing = len(shape) - len(x.shape)
        parts = [index[axis + missing] if n > 1 else "0" for axis, n in enumerate(x.shape)]
        return self._at(x, _flat(parts, x.shape))

    def _at_index(self, x: Operand, index: Mapping[int, str]) -> str:
        if isinstance(x, Operation) and x in self.inlined:
            return self.inlined[x](index)
        return self._at(x, index[-1])

    def _output(self, operand: Operand, name: str) -> None:
        size = operand.size
        with self._loops((size,)) as (i,):
            self._line(f"{name}[{i}] = {self._at(operand, i)};")


def _uses(program: Program) -> dict[Operation, list[Operation | None]]:
    """Return which operations read each one; None for an output or the body of a loop."""
    found: dict[Operation, list[Operation | None]] = {}

    def visit(operations: Sequence[Operation]) -> None:
        for one in operations:
            for read in one.inputs:
                if isinstance(read, Operation):
                    found.setdefault(read, []).append(one)
            body = one.attributes.get("body")
            if body is not None:
                visit(body.operations)
                for read in (*body.read, *body.results):
                    if isinstance(read, Operation):
                        found.setdefault(read, []).append(None)

    visit(program.operations)
    for one in (*program.outputs, *program.requirements):
        if isinstance(one.operand, Operation):
            found.setdefault(one.operand, []).append(None)
    return found


def _wide(shape: Shape) -> Shape:
    """Return a shape without the axes of length 1 before the others."""
    first = next((axis for axis, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


def _flat(indices: Sequence[str], shape: Shape) -> str:
    """Return the index of a value in the order of memory."""
    terms = [
        index if (stride := math.prod(shape[axis + 1 :])) == 1 else f"{index} * {stride}"
        for axis, index in enumerate(indices)
        if index != "0"
    ]
    return " + ".join(terms) or "0"


def _text(value: str) -> str:
    """Return a literal; other bytes than those of ASCII are octal escapes of UTF-8."""
    parts = [
        chr(one) if 32 <= one < 127 and chr(one) not in '"\\?' else f"\\{one:03o}"
        for one in value.encode()
    ]
    return f'"{"".join(parts)}"'


Write = Callable[[_Writer, Operation], None]


def _copy(index: Callable[[Operation, list[str]], str]) -> Write:
    """Return a writer of an operation whose values are those of its input at other indices."""

    def write(writer: _Writer, one: Operation) -> None:
        name, (x,) = writer._declare(one), one.inputs
        with writer._loops(one.shape) as indices:
            place = f"[{_flat(indices, one.shape)}]" if one.size > 1 else ""
            writer._line(f"{name}{place} = {writer._at(x, index(one, indices))};")

    return write


def _transposed(one: Operation, indices: list[str]) -> str:
    source, axes = one.inputs[0].shape, one.attributes["axes"]
    given = dict(zip(axes, indices, strict=True))
    return _flat([given[axis] for axis in range(len(source))], source)


def _broadcast(one: Operation, indices: list[str]) -> str:
    source = one.inputs[0].shape
    return _flat(["0" if n == 1 else i for n, i in zip(source, indices, strict=True)], source)


def _take(writer: _Writer, one: Operation) -> None:
    (x,), axis, at = one.inputs, one.attributes["axis"], one.attributes["indices"]
    name = writer._declare(one)
    steps = set(np.diff(at).tolist())
    with writer._loops(one.shape) as indices:
        place = f"[{_flat(indices, one.shape)}]" if one.size > 1 else ""
        if len(steps) <= 1:
            step = steps.pop() if steps else 1
            moved = f"({at[0]} + {indices[axis]} * {step})"
        else:
            moved = f"{writer._name(_kept(writer, at))}[{indices[axis]}]"
        source = [*indices[:axis], moved, *indices[axis + 1 :]]
        writer._line(f"{name}{place} = {writer._at(x, _flat(source, x.shape))};")


def _kept(writer: _Writer, values: Array) -> Array:
    """Return an array that the writer keeps, so that its identity stays that of a constant."""
    writer.constants[id(values)] = writer.constants.get(
        id(values), (f"C{len(writer.constants)}", values)
    )
    return values


def _concatenate(writer: _Writer, one: Operation) -> None:
    name, axis, start = writer._declare(one), one.attributes["axis"], 0
    for x in one.inputs:
        with writer._loops(x.shape) as indices:
            moved = f"({indices[axis]} + {start})" if start else indices[axis]
            place = _flat([*indices[:axis], moved, *indices[axis + 1 :]], one.shape)
            writer._line(f"{name}[{place}] = {writer._at(x, _flat(indices, x.shape))};")
        start += x.shape[axis]


def _gather(writer: _Writer, one: Operation) -> None:
    table, at = one.inputs
    name = writer._declare(one)
    width = math.prod(table.shape[1:])
    with writer._loops((at.size, width)) as (i, k):
        place = f"[{i} * {width} + {k}]" if one.size > 1 else ""
        source = f"{writer._at(at, i)} * {width} + {k}"
        writer._line(f"{name}{place} = {writer._at(table, source)};")


def _lookup(writer: _Writer, one: Operation) -> None:
    (text,), known = one.inputs, one.attributes["known"]
    given, name = writer._at(text, "0"), writer._declare(one)
    if known == (None,):
        writer._line(f"{name} = {given} == NULL ? 0 : -1;")
        return
    table = f"T{len(writer.texts)}"
    texts = ", ".join("NULL" if one is None else _text(one) for one in known)
    writer.texts.append(f"static const char *const {table}[{len(known)}] = {{{texts}}};")
    writer._line(f"{name} = -1;")
    with writer._loops((len(known),)) as (i,):
        writer._line(f"if ({given} != NULL && strcmp({given}, {table}[{i}]) == 0) {name} = {i};")


def _reduce(start: Callable[[str], str], step: str) -> Write:
    """Return a writer of a reduction from a first value, by a step."""

    def write(writer: _Writer, one: Operation) -> None:
        (x,), axes = one.inputs, one.attributes["axes"]
        name = writer._declare(one)
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        with writer._loops(tuple(x.shape[axis] for axis in kept)) as outer:
            place = f"[{_flat(outer, tuple(x.shape[axis] for axis in kept))}]"
            target = name if one.size == 1 else f"{name}{place}"
            indices = dict(zip(kept, outer, strict=True))

            def source(inner: Mapping[int, str]) -> str:
                every = indices | dict(inner)
                return writer._at(x, _flat([every[a] for a in range(len(x.shape))], x.shape))

            first = source(dict.fromkeys(axes, "0"))
            writer._line(f"{target} = {start(first)};")
            with writer._loops(tuple(x.shape[axis] for axis in axes), "k") as inner:
                value = source(dict(zip(axes, inner, strict=True)))
                writer._line(step.format(target, value, s=writer._type(one)))

    return write


def _argmax(writer: _Writer, one: Operation) -> None:
    (x,), axis = one.inputs, one.attributes["axis"]
    name, shape = writer._declare(one), x.shape
    with writer._loops((*shape[:axis], *shape[axis + 1 :])) as outer:
        target = name if one.size == 1 else f"{name}[{_flat(outer, one.shape)}]"

        def source(index: str) -> str:
            return writer._at(x, _flat([*outer[:axis], index, *outer[axis:]], shape))

        writer._line(f"{target} = 0;")
        with writer._loops((shape[axis],), "k") as (k,):
            writer._line(f"if ({source(k)} > {source(target)}) {target} = {k};")


def _along(writer: _Writer, one: Operation) -> None:
    """Write the cumulative sums or the sorted values along an axis."""
    (x,), axis = one.inputs, one.attributes["axis"]
    name, shape = writer._declare(one), one.shape
    with writer._loops((*shape[:axis], *shape[axis + 1 :])) as outer:

        def place(index: str) -> str:
            return _flat([*outer[:axis], index, *outer[axis:]], shape)

        with writer._loops((shape[axis],), "k") as (k,):
            if one.name == "cumulative_sum":
                before = f" + ({k} > 0 ? {name}[{place(f'({k} - 1)')}] : 0)"
                writer._line(f"{name}[{place(k)}] = {writer._at(x, place(k))}{before};")
            else:
                writer._line(f"long j = {k};")
                writer._line(f"{writer._type(one)} value = {writer._at(x, place(k))};")
                writer._line(f"for (; j > 0 && {name}[{place('(j - 1)')}] > value; j--) {{")
                writer._line(f"    {name}[{place('j')}] = {name}[{place('(j - 1)')}];")
                writer._line("}")
                writer._line(f"{name}[{place('j')}] = value;")


def _matmul(writer: _Writer, one: Operation) -> None:
    a, b = one.inputs
    (rows, depth), columns = (1, 1, *a.shape)[-2:], b.shape[-1]
    outer = one.shape[:-2] if len(a.shape) > 1 else one.shape[:-1]
    name = writer._declare(one)
    with writer._loops(outer, "g") as groups:
        def start(shape: Shape, size: int) -> str:
            own = shape[:-2] if len(shape) > 1 else ()
            given = groups[len(groups) - len(own) :]
            parts = ["0" if n == 1 else g for n, g in zip(own, given, strict=True)]
            found = _flat(parts, own)
            return "" if found == "0" else f"({found}) * {size} + "

        at_a, at_b = start(a.shape, rows * depth), start(b.shape, depth * columns)
        first = _flat(groups, outer)
        at_y = "" if first == "0" else f"({first}) * {rows * columns} + "
        with writer._loops((rows,)) as (i,):
            def target(j: str) -> str:
                return name if one.size == 1 else f"{name}[{at_y}{i} * {columns} + {j}]"

            with writer._loops((columns,), "j") as (j,):
                writer._line(f"{target(j)} = 0;")
            with writer._loops((depth,), "k") as (k,):
                writer._line(f"{writer._type(one)} value = {writer._at(a, f'{at_a}{i} * {depth} + {k}')};")
                with writer._loops((columns,), "j") as (j,):
                    factor = writer._at(b, f"{at_b}{k} * {columns} + {j}")
                    writer._line(f"{target(j)} += value * {factor};")


def _einsum(writer: _Writer, one: Operation) -> None:
    reads, _, result = one.attributes["subscripts"].partition("->")
    each = list(zip(reads.split(","), one.inputs, strict=True))
    sizes = {letter: n for own, x in each for letter, n in zip(own, x.shape, strict=True)}
    inner = [letter for letter in sizes if letter not in result]
    name = writer._declare(one)
    with writer._loops(one.shape) as indices:
        target = name if one.size == 1 else f"{name}[{_flat(indices, one.shape)}]"
        writer._line(f"{target} = 0;")
        with writer._loops(tuple(sizes[letter] for letter in inner), "k") as more:
            known = dict(zip(result, indices, strict=True)) | dict(zip(inner, more, strict=True))
            values = [writer._at(x, _flat([known[n] for n in own], x.shape)) for own, x in each]
            writer._line(f"{target} += {' * '.join(values)};")


def _convolve(writer: _Writer, one: Operation) -> None:
    x, weight = one.inputs
    strides, dilation = one.attributes["strides"], one.attributes["dilation"]
    groups, (*size, depth, filters) = one.attributes["groups"], weight.shape
    name, each = writer._declare(one), filters // groups
    with writer._loops(one.shape[:-1]) as places:
        at = _flat([*places, "0"], one.shape)
        with writer._loops((filters,), "f") as (f,):
            writer._line(f"{name}[{at} + {f}] = 0;")
        with writer._loops((*size, depth), "k") as inner:
            *kernel, k = inner
            space = [
                f"({p} * {s} + {n} * {d})"
                for p, s, n, d in zip(places, strides, kernel, dilation, strict=True)
            ]
            for group in range(groups):
                channel = k if groups == 1 else f"({k} + {group * depth})"
                value = writer._at(x, _flat([*space, channel], x.shape))
                writer._line("{")
                writer.depth += 1
                writer._line(f"{writer._type(one)} value = {value};")
                with writer._loops((each,), "f") as (f,):
                    filter_ = f if groups == 1 else f"({f} + {group * each})"
                    factor = writer._at(weight, _flat([*inner, filter_], weight.shape))
                    writer._line(f"{name}[{at} + {filter_}] += value * {factor};")
                writer.depth -= 1
                writer._line("}")


def _pool(writer: _Writer, one: Operation) -> None:
    (x,), size, strides = one.inputs, one.attributes["size"], one.attributes["strides"]
    name, largest, kind = writer._declare(one), one.name == "max_pool", writer._type(one)
    with writer._loops(one.shape) as indices:
        *places, channel = indices
        target = name if one.size == 1 else f"{name}[{_flat(indices, one.shape)}]"
        writer._line(f"{target} = {'-INFINITY' if largest else '0'};")
        with writer._loops(tuple(size), "k") as inner:
            space = [f"({p} * {s} + {k})" for p, s, k in zip(places, strides, inner, strict=True)]
            value = writer._at(x, _flat([*space, channel], x.shape))
            step = f"{target} = max_{kind}({target}, {value});" if largest else f"{target} += {value};"
            writer._line(step)
        if not largest:
            writer._line(f"{target} /= {math.prod(size)};")


def _scan(writer: _Writer, one: Operation) -> None:
    """Write a loop; its parts are declared before it."""
    body: Body = one.attributes["body"]
    count, backwards = one.attributes["carried"], one.attributes["backwards"]
    steps = one.inputs[count].shape[0]
    read = {reader.attributes["index"] for reader in writer.uses[one] if reader is not None}
    carried, items = body.arguments[:count], body.arguments[count:]
    parts: list[str] = []
    for argument, first in zip(carried, one.inputs[:count], strict=True):
        name = writer._declare(argument)
        parts.append(name)
        with writer._loops((argument.size,)) as (i,):
            place = "" if argument.size == 1 else f"[{i}]"
            writer._line(f"{name}{place} = {writer._at(first, i)};")
    for index, result in enumerate(body.results[count:], count):
        if index not in read:
            parts.append("")
            continue
        whole = f"x{len(writer.variables)}"
        writer.variables[Operation("place", (), (), result.dtype)] = whole
        parts.append(whole)
        size = steps * result.size
        writer._line(f"{writer._type(result)} {whole}{'' if size == 1 else f'[{size}]'};")
    with writer._loops((steps,), "s") as (s,):
        time = f"({steps - 1} - {s})" if backwards else s
        for argument, source in zip(items, one.inputs[count:], strict=True):
            name = writer._declare(argument)
            with writer._loops((argument.size,)) as (i,):
                place = "" if argument.size == 1 else f"[{i}]"
                value = writer._at(source, f"{time} * {argument.size} + {i}")
                writer._line(f"{name}{place} = {value};")
        for inner in body.operations:
            writer._operation(inner)
        for result, whole in zip(body.results[count:], parts[count:], strict=True):
            if not whole:
                continue
            with writer._loops((result.size,)) as (i,):
                place = "" if steps * result.size == 1 else f"[{time} * {result.size} + {i}]"
                writer._line(f"{whole}{place} = {writer._at(result, i)};")
        for argument, result in zip(carried, body.results[:count], strict=True):
            with writer._loops((argument.size,)) as (i,):
                place = "" if argument.size == 1 else f"[{i}]"
                writer._line(f"{writer.variables[argument]}{place} = {writer._at(result, i)};")
    writer.scans[one] = parts


def _part(writer: _Writer, one: Operation) -> None:
    (scan,) = one.inputs
    assert isinstance(scan, Operation)
    writer.variables[one] = writer.scans[scan][one.attributes["index"]]


WRITERS: Mapping[str, Write] = {
    "transpose": _copy(_transposed),
    "broadcast": _copy(_broadcast),
    "take": _take,
    "concatenate": _concatenate,
    "gather": _gather,
    "lookup": _lookup,
    "sum": _reduce(lambda first: "0", "{0} += {1};"),
    "max": _reduce(lambda first: first, "{0} = max_{s}({0}, {1});"),
    "min": _reduce(lambda first: first, "{0} = min_{s}({0}, {1});"),
    "argmax": _argmax,
    "cumulative_sum": _along,
    "sort": _along,
    "matmul": _matmul,
    "einsum": _einsum,
    "convolve": _convolve,
    "max_pool": _pool,
    "mean_pool": _pool,
    "scan": _scan,
    "part": _part,
}

OPERATIONS = frozenset({"input", "reshape", *ELEMENTWISE, *WRITERS})
