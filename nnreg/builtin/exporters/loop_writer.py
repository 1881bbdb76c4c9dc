"""The loops of a program, as statements of a language like C."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nnreg._types import Array, Shape
from nnreg.operations.operation import Operand, Operation
from nnreg.operations.program import Program

REPEATING = frozenset(("is_nan", "sign"))
"""Those whose expression has an operand twice, so that it is computed before."""

ELEMENTWISE = frozenset(
    [
        "negative",
        "not",
        "is_nan",
        "abs",
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "sin",
        "cos",
        "tanh",
        "erf",
        "floor",
        "ceil",
        "round",
        "sign",
        "as_type",
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "equal",
        "not_equal",
        "and",
        "or",
        "maximum",
        "minimum",
        "where",
    ]
)


class LoopWriter:
    """The statements of a program, in which each operation is a loop over its values.

    A subclass says how its language writes declarations, loops, constants and expressions.
    """

    indent = "    "

    def __init__(self, program: Program) -> None:
        self.program = program
        self.variables: dict[Operation, str] = {}
        self.constants: dict[int, tuple[str, Array]] = {}
        self.texts: list[Sequence[str]] = []
        self.lines: list[str] = []
        self.depth = 1
        self.uses = _uses(program)
        self.scans: dict[Operation, list[str]] = {}
        self.inlined: dict[Operation, Callable[[Mapping[int, str]], str]] = {}
        """The expressions of operations for an index: that of each axis, and -1 the flat one."""
        self.by_axes: set[Operation] = set()
        """Those whose expression needs the index of each axis."""

    def input(self, one: Operation) -> str:
        """Return the expression of an input."""
        raise NotImplementedError

    def declaration(self, name: str, operand: Operand, size: int) -> str:
        """Return the statement that declares a variable of an operand's type, of `size` values."""
        raise NotImplementedError

    def definition(self, name: str, operand: Operand, value: str) -> str:
        """Return the statement that declares a variable with a value that does not change."""
        raise NotImplementedError

    def loop(self, name: str, count: int) -> str:
        """Return the first line of a loop."""
        raise NotImplementedError

    def literal(self, value: object, operand: Operand) -> str:
        """Return a constant number or text of an operand's type."""
        raise NotImplementedError

    def expression(self, one: Operation, operands: Sequence[str]) -> str:
        """Return the value of an operation on each value."""
        raise NotImplementedError

    def other(self, one: Operation) -> None:
        """Write an operation that is not on each value by itself."""
        raise NotImplementedError

    def larger(self, one: Operation, a: str, b: str) -> str:
        """Return the larger of two values."""
        raise NotImplementedError

    def smaller(self, one: Operation, a: str, b: str) -> str:
        """Return the smaller of two values."""
        raise NotImplementedError

    def position(self, text: str, known: Sequence[str]) -> str:
        """Return the position of a text among known ones, -1 if it is missing or another."""
        raise NotImplementedError

    infinity = ""
    no_text = ""

    # values

    def name_of(self, operand: Operand) -> str:
        if isinstance(operand, Operation):
            return self.variables[operand]
        name = f"C{len(self.constants)}"
        return self.constants.setdefault(id(operand), (name, operand))[0]

    def at(self, operand: Operand, index: str) -> str:
        """Return the value of an operand at an index."""
        if isinstance(operand, Operation):
            if operand in self.inlined:
                return self.inlined[operand]({-1: index})
            return (
                self.name_of(operand) if operand.size == 1 else f"{self.name_of(operand)}[{index}]"
            )
        if operand.size == 1:
            return self.literal(operand.reshape(())[()], operand)
        return f"{self.name_of(operand)}[{index}]"

    # statements

    def line(self, text: str) -> None:
        self.lines.append(self.indent * self.depth + text)

    @contextmanager
    def loops(self, shape: Shape, prefix: str = "i") -> Iterator[list[str]]:
        """Write loops over a shape; yields the variables."""
        names = [f"{prefix}{axis}" if n != 1 else "0" for axis, n in enumerate(shape)]
        depth = self.depth
        for name, count in zip(names, shape, strict=True):
            if count == 1:
                continue
            self.line(self.loop(name, count))
            self.depth += 1
        yield names
        while self.depth > depth:
            self.depth -= 1
            self.line("}")

    @contextmanager
    def block(self) -> Iterator[None]:
        """Write a block, in which names may be declared that other blocks declare too."""
        self.line("{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    def declare(self, one: Operation) -> str:
        """Declare the variable of an operation; return its name."""
        name = self.variables[one] = f"x{len(self.variables)}"
        self.line(self.declaration(name, one, one.size))
        return name

    def operation(self, one: Operation) -> None:
        if one.name == "input":
            self.variables[one] = self.input(one)
        elif one.name == "reshape":
            (source,) = one.inputs
            assert isinstance(source, Operation)
            self.variables[one] = self.variables[source]
        elif one.name in ELEMENTWISE:
            self._elementwise(one)
        else:
            self.other(one)

    def _elementwise(self, one: Operation) -> None:
        """Write a loop, or keep the expression for the only operation that reads it."""

        def expression(index: Mapping[int, str]) -> str:
            operands = [self._broadcast(x, one.shape, index) for x in one.inputs]
            return self.expression(one, operands)

        flat_index = not any(
            x in self.by_axes for x in one.inputs if isinstance(x, Operation)
        ) and all(x.size == 1 or _wide(x.shape) == _wide(one.shape) for x in one.inputs)
        if self._can_be_inlined(one):
            if not flat_index:
                self.by_axes.add(one)
            self.inlined[one] = expression
            self.variables[one] = "inlined"
            return
        name = self.declare(one)
        if one.size == 1:
            zeros = dict.fromkeys(range(-1, len(one.shape)), "0")
            self.line(f"{name} = {expression(zeros)};")
            return
        if flat_index:
            with self.loops((one.size,)) as (i,):
                self.line(f"{name}[{i}] = {expression({-1: i})};")
            return
        with self.loops(one.shape) as indices:
            index = dict(enumerate(indices)) | {-1: flat(indices, one.shape)}
            self.line(f"{name}[{index[-1]}] = {expression(index)};")

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
            return self.at(x, "0")
        if _wide(x.shape) == _wide(shape):
            return self._at_index(x, index)
        missing = len(shape) - len(x.shape)
        parts = [index[axis + missing] if n > 1 else "0" for axis, n in enumerate(x.shape)]
        return self.at(x, flat(parts, x.shape))

    def _at_index(self, x: Operand, index: Mapping[int, str]) -> str:
        if isinstance(x, Operation) and x in self.inlined:
            return self.inlined[x](index)
        return self.at(x, index[-1])


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
    results = [one.operand for one in program.outputs]
    for result in (*results, *(one.operand for one in program.requirements)):
        if isinstance(result, Operation):
            found.setdefault(result, []).append(None)
    return found


def _wide(shape: Shape) -> Shape:
    """Return a shape without the axes of length 1 before the others."""
    first = next((axis for axis, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


def flat(indices: Sequence[str], shape: Shape) -> str:
    """Return the index of a value in the order of memory."""
    terms = [
        index if (stride := math.prod(shape[axis + 1 :])) == 1 else f"{index} * {stride}"
        for axis, index in enumerate(indices)
        if index != "0"
    ]
    return " + ".join(terms) or "0"


def functions_of(body: str, functions: Mapping[str, str]) -> list[str]:
    """Return the functions that a text uses, and those that they use, in their order."""
    used: dict[str, str] = {}
    waiting = [body]
    while waiting:
        text = waiting.pop()
        for name in functions.keys() - used.keys():
            if re.search(rf"(?<![\w.>\"]){name}\b", text):
                used[name] = functions[name].strip()
                waiting.append(used[name])
    return [used[name] for name in functions if name in used]


def in_comment(text: str) -> str:
    """Return a text as it may be in a comment: on one line, which does not end it."""
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return shown.replace("*/", "* /").replace("/*", "/ *")
