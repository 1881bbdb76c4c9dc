"""The loops of a program, as statements of a language like C."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from nnreg._types import Array, Shape
from nnreg.operations.operation import Body, Operand, Operation
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
        self.texts: list[tuple[str, ...]] = []
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

    def larger(self, one: Operation, a: str, b: str) -> str:
        """Return the larger of two values."""
        raise NotImplementedError

    def smaller(self, one: Operation, a: str, b: str) -> str:
        """Return the smaller of two values."""
        raise NotImplementedError

    def same_text(self, a: str, b: str) -> str:
        """Return whether two texts, of which neither is missing, are the same."""
        raise NotImplementedError

    infinity = ""
    no_text = ""

    # values

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
            return self.literal(operand.reshape(())[()], operand)
        return f"{self._name(operand)}[{index}]"

    # statements

    def _line(self, text: str) -> None:
        self.lines.append(self.indent * self.depth + text)

    @contextmanager
    def _loops(self, shape: Shape, prefix: str = "i") -> Iterator[list[str]]:
        """Write loops over a shape; yields the variables."""
        names = [f"{prefix}{axis}" if n != 1 else "0" for axis, n in enumerate(shape)]
        depth = self.depth
        for name, count in zip(names, shape, strict=True):
            if count == 1:
                continue
            self._line(self.loop(name, count))
            self.depth += 1
        yield names
        while self.depth > depth:
            self.depth -= 1
            self._line("}")

    def _declare(self, one: Operation) -> str:
        """Declare the variable of an operation; return its name."""
        name = self.variables[one] = f"x{len(self.variables)}"
        self._line(self.declaration(name, one, one.size))
        return name

    def _operation(self, one: Operation) -> None:
        if one.name == "input":
            self.variables[one] = self.input(one)
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
            return self.expression(one, operands)

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


def _flat(indices: Sequence[str], shape: Shape) -> str:
    """Return the index of a value in the order of memory."""
    terms = [
        index if (stride := math.prod(shape[axis + 1 :])) == 1 else f"{index} * {stride}"
        for axis, index in enumerate(indices)
        if index != "0"
    ]
    return " + ".join(terms) or "0"


Write = Callable[[LoopWriter, Operation], None]


def _copy(index: Callable[[Operation, list[str]], str]) -> Write:
    """Return a writer of an operation whose values are those of its input at other indices."""

    def write(writer: LoopWriter, one: Operation) -> None:
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


def _take(writer: LoopWriter, one: Operation) -> None:
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


def _kept(writer: LoopWriter, values: Array) -> Array:
    """Return an array that the writer keeps, so that its identity stays that of a constant."""
    writer.constants[id(values)] = writer.constants.get(
        id(values), (f"C{len(writer.constants)}", values)
    )
    return values


def _concatenate(writer: LoopWriter, one: Operation) -> None:
    name, axis, start = writer._declare(one), one.attributes["axis"], 0
    for x in one.inputs:
        with writer._loops(x.shape) as indices:
            moved = f"({indices[axis]} + {start})" if start else indices[axis]
            place = _flat([*indices[:axis], moved, *indices[axis + 1 :]], one.shape)
            writer._line(f"{name}[{place}] = {writer._at(x, _flat(indices, x.shape))};")
        start += x.shape[axis]


def _gather(writer: LoopWriter, one: Operation) -> None:
    table, at = one.inputs
    name = writer._declare(one)
    width = math.prod(table.shape[1:])
    with writer._loops((at.size, width)) as (i, k):
        place = f"[{i} * {width} + {k}]" if one.size > 1 else ""
        source = f"{writer._at(at, i)} * {width} + {k}"
        writer._line(f"{name}{place} = {writer._at(table, source)};")


def _lookup(writer: LoopWriter, one: Operation) -> None:
    (text,), known = one.inputs, one.attributes["known"]
    given, name = writer._at(text, "0"), writer._declare(one)
    if known == (None,):
        writer._line(f"{name} = {given} == {writer.no_text} ? 0 : -1;")
        return
    table = f"T{len(writer.texts)}"
    writer.texts.append(known)
    writer._line(f"{name} = -1;")
    with writer._loops((len(known),)) as (i,):
        same = writer.same_text(given, f"{table}[{i}]")
        writer._line(f"if ({given} != {writer.no_text} && {same}) {name} = {i};")


def _reduce(
    start: Callable[[str], str], step: Callable[[LoopWriter, Operation, str, str], str]
) -> Write:
    """Return a writer of a reduction from a first value, by a step."""

    def write(writer: LoopWriter, one: Operation) -> None:
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
                writer._line(f"{target} = {step(writer, one, target, value)};")

    return write


def _argmax(writer: LoopWriter, one: Operation) -> None:
    (x,), axis = one.inputs, one.attributes["axis"]
    name, shape = writer._declare(one), x.shape
    with writer._loops((*shape[:axis], *shape[axis + 1 :])) as outer:
        target = name if one.size == 1 else f"{name}[{_flat(outer, one.shape)}]"

        def source(index: str) -> str:
            return writer._at(x, _flat([*outer[:axis], index, *outer[axis:]], shape))

        writer._line(f"{target} = 0;")
        with writer._loops((shape[axis],), "k") as (k,):
            writer._line(f"if ({source(k)} > {source(target)}) {target} = {k};")


def _along(writer: LoopWriter, one: Operation) -> None:
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
                writer._line(writer.declaration("j", np.array(0), 1))
                writer._line(writer.definition("value", one, writer._at(x, place(k))))
                writer._line(f"j = {k};")
                writer._line(f"for (; j > 0 && {name}[{place('(j - 1)')}] > value; j--) {{")
                writer._line(f"{writer.indent}{name}[{place('j')}] = {name}[{place('(j - 1)')}];")
                writer._line("}")
                writer._line(f"{name}[{place('j')}] = value;")


def _matmul(writer: LoopWriter, one: Operation) -> None:
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
                value = writer._at(a, f"{at_a}{i} * {depth} + {k}")
                writer._line(writer.definition("value", one, value))
                with writer._loops((columns,), "j") as (j,):
                    factor = writer._at(b, f"{at_b}{k} * {columns} + {j}")
                    writer._line(f"{target(j)} += value * {factor};")


def _einsum(writer: LoopWriter, one: Operation) -> None:
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


def _convolve(writer: LoopWriter, one: Operation) -> None:
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
                writer._line(writer.definition("value", one, value))
                with writer._loops((each,), "f") as (f,):
                    filter_ = f if groups == 1 else f"({f} + {group * each})"
                    factor = writer._at(weight, _flat([*inner, filter_], weight.shape))
                    writer._line(f"{name}[{at} + {filter_}] += value * {factor};")
                writer.depth -= 1
                writer._line("}")


def _pool(writer: LoopWriter, one: Operation) -> None:
    (x,), size, strides = one.inputs, one.attributes["size"], one.attributes["strides"]
    name, largest = writer._declare(one), one.name == "max_pool"
    with writer._loops(one.shape) as indices:
        *places, channel = indices
        target = name if one.size == 1 else f"{name}[{_flat(indices, one.shape)}]"
        writer._line(f"{target} = {f'-{writer.infinity}' if largest else '0'};")
        with writer._loops(tuple(size), "k") as inner:
            space = [f"({p} * {s} + {k})" for p, s, k in zip(places, strides, inner, strict=True)]
            value = writer._at(x, _flat([*space, channel], x.shape))
            larger = writer.larger(one, target, value)
            writer._line(f"{target} = {larger};" if largest else f"{target} += {value};")
        if not largest:
            writer._line(f"{target} /= {math.prod(size)};")


def _scan(writer: LoopWriter, one: Operation) -> None:
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
        writer._line(writer.declaration(whole, result, steps * result.size))
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


def _part(writer: LoopWriter, one: Operation) -> None:
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
    "sum": _reduce(lambda first: "0", lambda writer, one, a, b: f"{a} + {b}"),
    "max": _reduce(lambda first: first, lambda writer, one, a, b: writer.larger(one, a, b)),
    "min": _reduce(lambda first: first, lambda writer, one, a, b: writer.smaller(one, a, b)),
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
