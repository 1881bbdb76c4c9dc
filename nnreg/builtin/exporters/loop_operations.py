"""How the loops of each operation are written, for those that are not on each value alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.exporters.loop_writer import ELEMENTWISE, LoopWriter, flat
from nnreg.operations.operation import Body, Operation


class OperationWriter(LoopWriter):
    """A writer of all operations that have loops."""

    def other(self, one: Operation) -> None:
        WRITERS[one.name](self, one)

    def product(self, one: Operation, starts: Sequence[str], sizes: Sequence[int]) -> None:
        """Write the loops of a product of two matrices.

        `starts` are the first indices of the result and of both, and `sizes` the rows and the
        depth of the first one and the columns of the second one.
        """
        (a, b), (at_y, at_a, at_b), (rows, depth, columns) = one.inputs, starts, sizes
        name = self.variables[one]
        with self.loops((rows,)) as (i,):

            def target(j: str) -> str:
                return name if one.size == 1 else f"{name}[{after(at_y, i, j, columns)}]"

            with self.loops((columns,), "j") as (j,):
                self.line(f"{target(j)} = 0;")
            with self.block(), self.loops((depth,), "k") as (k,):
                value = self.at(a, after(at_a, i, k, depth))
                self.line(self.definition("value", one, value))
                with self.loops((columns,), "j") as (j,):
                    factor = self.at(b, after(at_b, k, j, columns))
                    self.line(f"{target(j)} += value * {factor};")


def after(start: str, row: str, column: str, columns: int) -> str:
    """Return the index of a value of a matrix that starts at an index."""
    index = flat([row, column], (1, columns))
    return index if start == "0" else f"{start} + {index}"


Write = Callable[[OperationWriter, Operation], None]


def _copy(index: Callable[[Operation, list[str]], str]) -> Write:
    """Return a writer of an operation whose values are those of its input at other indices."""

    def write(writer: LoopWriter, one: Operation) -> None:
        name, (x,) = writer.declare(one), one.inputs
        with writer.loops(one.shape) as indices:
            place = f"[{flat(indices, one.shape)}]" if one.size > 1 else ""
            writer.line(f"{name}{place} = {writer.at(x, index(one, indices))};")

    return write


def _transposed(one: Operation, indices: list[str]) -> str:
    source, axes = one.inputs[0].shape, one.attributes["axes"]
    given = dict(zip(axes, indices, strict=True))
    return flat([given[axis] for axis in range(len(source))], source)


def _broadcast(one: Operation, indices: list[str]) -> str:
    source = one.inputs[0].shape
    return flat(["0" if n == 1 else i for n, i in zip(source, indices, strict=True)], source)


def _take(writer: OperationWriter, one: Operation) -> None:
    (x,), axis, at = one.inputs, one.attributes["axis"], one.attributes["indices"]
    name = writer.declare(one)
    steps = set(np.diff(at).tolist())
    with writer.loops(one.shape) as indices:
        place = f"[{flat(indices, one.shape)}]" if one.size > 1 else ""
        if len(steps) <= 1:
            step = steps.pop() if steps else 1
            moved = f"({at[0]} + {indices[axis]} * {step})"
        else:
            moved = f"{writer.name_of(_kept(writer, at))}[{indices[axis]}]"
        source = [*indices[:axis], moved, *indices[axis + 1 :]]
        writer.line(f"{name}{place} = {writer.at(x, flat(source, x.shape))};")


def _kept(writer: LoopWriter, values: Array) -> Array:
    """Return an array that the writer keeps, so that its identity stays that of a constant."""
    writer.constants[id(values)] = writer.constants.get(
        id(values), (f"C{len(writer.constants)}", values)
    )
    return values


def _concatenate(writer: OperationWriter, one: Operation) -> None:
    name, axis, start = writer.declare(one), one.attributes["axis"], 0
    for x in one.inputs:
        with writer.loops(x.shape) as indices:
            moved = f"({indices[axis]} + {start})" if start else indices[axis]
            place = flat([*indices[:axis], moved, *indices[axis + 1 :]], one.shape)
            writer.line(f"{name}[{place}] = {writer.at(x, flat(indices, x.shape))};")
        start += x.shape[axis]


def _gather(writer: OperationWriter, one: Operation) -> None:
    table, at = one.inputs
    name = writer.declare(one)
    width = math.prod(table.shape[1:])
    with writer.loops((at.size, width)) as (i, k):
        place = f"[{i} * {width} + {k}]" if one.size > 1 else ""
        source = f"{writer.at(at, i)} * {width} + {k}"
        writer.line(f"{name}{place} = {writer.at(table, source)};")


def _lookup(writer: OperationWriter, one: Operation) -> None:
    (text,), known = one.inputs, one.attributes["known"]
    given, name = writer.at(text, "0"), writer.declare(one)
    if known == (None,):
        writer.line(f"{name} = {given} == {writer.no_text} ? 0 : -1;")
        return
    writer.line(f"{name} = {writer.position(given, known)};")


def _reduce(
    start: Callable[[str], str], step: Callable[[LoopWriter, Operation, str, str], str]
) -> Write:
    """Return a writer of a reduction from a first value, by a step."""

    def write(writer: LoopWriter, one: Operation) -> None:
        (x,), axes = one.inputs, one.attributes["axes"]
        name = writer.declare(one)
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        with writer.loops(tuple(x.shape[axis] for axis in kept)) as outer:
            place = f"[{flat(outer, tuple(x.shape[axis] for axis in kept))}]"
            target = name if one.size == 1 else f"{name}{place}"
            indices = dict(zip(kept, outer, strict=True))

            def source(inner: Mapping[int, str]) -> str:
                every = indices | dict(inner)
                return writer.at(x, flat([every[a] for a in range(len(x.shape))], x.shape))

            first = source(dict.fromkeys(axes, "0"))
            writer.line(f"{target} = {start(first)};")
            with writer.loops(tuple(x.shape[axis] for axis in axes), "k") as inner:
                value = source(dict(zip(axes, inner, strict=True)))
                writer.line(f"{target} = {step(writer, one, target, value)};")

    return write


def _argmax(writer: OperationWriter, one: Operation) -> None:
    (x,), axis = one.inputs, one.attributes["axis"]
    name, shape = writer.declare(one), x.shape
    with writer.loops((*shape[:axis], *shape[axis + 1 :])) as outer:
        target = name if one.size == 1 else f"{name}[{flat(outer, one.shape)}]"

        def source(index: str) -> str:
            return writer.at(x, flat([*outer[:axis], index, *outer[axis:]], shape))

        writer.line(f"{target} = 0;")
        with writer.loops((shape[axis],), "k") as (k,):
            value, best = source(k), source(target)
            first_nan = f"({value} != {value} && {best} == {best})"
            writer.line(f"if ({value} > {best} || {first_nan}) {target} = {k};")


def _along(writer: OperationWriter, one: Operation) -> None:
    """Write the cumulative sums or the sorted values along an axis."""
    (x,), axis = one.inputs, one.attributes["axis"]
    name, shape = writer.declare(one), one.shape
    with writer.loops((*shape[:axis], *shape[axis + 1 :])) as outer:

        def place(index: str) -> str:
            return flat([*outer[:axis], index, *outer[axis:]], shape)

        with writer.block(), writer.loops((shape[axis],), "k") as (k,):
            if one.name == "cumulative_sum":
                before = f" + ({k} > 0 ? {name}[{place(f'({k} - 1)')}] : 0)"
                writer.line(f"{name}[{place(k)}] = {writer.at(x, place(k))}{before};")
            else:
                writer.line(writer.declaration("j", np.array(0), 1))
                writer.line(writer.definition("value", one, writer.at(x, place(k))))
                writer.line(f"j = {k};")
                before = f"{name}[{place('(j - 1)')}]"  # NaN is after all others
                later = f"({before} > value || ({before} != {before} && value == value))"
                writer.line(f"for (; j > 0 && {later}; j--) {{")
                writer.line(f"{writer.indent}{name}[{place('j')}] = {before};")
                writer.line("}")
                writer.line(f"{name}[{place('j')}] = value;")


def _matmul(writer: OperationWriter, one: Operation) -> None:
    a, b = one.inputs
    (rows, depth), columns = (1, 1, *a.shape)[-2:], b.shape[-1]
    outer = one.shape[:-2] if len(a.shape) > 1 else one.shape[:-1]
    writer.declare(one)
    with writer.loops(outer, "g") as groups:

        def start(shape: Shape, size: int) -> str:
            own = shape[:-2] if len(shape) > 1 else ()
            given = groups[len(groups) - len(own) :]
            found = flat(["0" if n == 1 else g for n, g in zip(own, given, strict=True)], own)
            return "0" if found == "0" else f"({found}) * {size}"

        first = flat(groups, outer)
        at_y = "0" if first == "0" else f"({first}) * {rows * columns}"
        starts = at_y, start(a.shape, rows * depth), start(b.shape, depth * columns)
        writer.product(one, starts, (rows, depth, columns))


def _einsum(writer: OperationWriter, one: Operation) -> None:
    reads, _, result = one.attributes["subscripts"].partition("->")
    each = list(zip(reads.split(","), one.inputs, strict=True))
    sizes = {letter: n for own, x in each for letter, n in zip(own, x.shape, strict=True)}
    inner = [letter for letter in sizes if letter not in result]
    name = writer.declare(one)
    with writer.loops(one.shape) as indices:
        target = name if one.size == 1 else f"{name}[{flat(indices, one.shape)}]"
        writer.line(f"{target} = 0;")
        with writer.loops(tuple(sizes[letter] for letter in inner), "k") as more:
            known = dict(zip(result, indices, strict=True)) | dict(zip(inner, more, strict=True))
            values = [writer.at(x, flat([known[n] for n in own], x.shape)) for own, x in each]
            writer.line(f"{target} += {' * '.join(values)};")


def _convolve(writer: OperationWriter, one: Operation) -> None:
    x, weight = one.inputs
    strides, dilation = one.attributes["strides"], one.attributes["dilation"]
    groups, (*size, depth, filters) = one.attributes["groups"], weight.shape
    name, each = writer.declare(one), filters // groups
    with writer.loops(one.shape[:-1]) as places:
        at = flat([*places, "0"], one.shape)
        with writer.loops((filters,), "f") as (f,):
            writer.line(f"{name}[{at} + {f}] = 0;")
        with writer.loops((*size, depth), "k") as inner:
            *kernel, k = inner
            space = [
                f"({p} * {s} + {n} * {d})"
                for p, s, n, d in zip(places, strides, kernel, dilation, strict=True)
            ]
            for group in range(groups):
                channel = k if groups == 1 else f"({k} + {group * depth})"
                value = writer.at(x, flat([*space, channel], x.shape))
                with writer.block():
                    writer.line(writer.definition("value", one, value))
                    with writer.loops((each,), "f") as (f,):
                        filter_ = f if groups == 1 else f"({f} + {group * each})"
                        factor = writer.at(weight, flat([*inner, filter_], weight.shape))
                        writer.line(f"{name}[{at} + {filter_}] += value * {factor};")


def _pool(writer: OperationWriter, one: Operation) -> None:
    (x,), size, strides = one.inputs, one.attributes["size"], one.attributes["strides"]
    name, largest = writer.declare(one), one.name == "max_pool"
    with writer.loops(one.shape) as indices:
        *places, channel = indices
        target = name if one.size == 1 else f"{name}[{flat(indices, one.shape)}]"
        writer.line(f"{target} = {f'-{writer.infinity}' if largest else '0'};")
        with writer.loops(tuple(size), "k") as inner:
            space = [f"({p} * {s} + {k})" for p, s, k in zip(places, strides, inner, strict=True)]
            value = writer.at(x, flat([*space, channel], x.shape))
            larger = writer.larger(one, target, value)
            writer.line(f"{target} = {larger};" if largest else f"{target} += {value};")
        if not largest:
            writer.line(f"{target} /= {math.prod(size)};")


def _scan(writer: OperationWriter, one: Operation) -> None:
    """Write a loop; its parts are declared before it."""
    body: Body = one.attributes["body"]
    count, backwards = one.attributes["carried"], one.attributes["backwards"]
    steps = one.inputs[count].shape[0]
    read = {reader.attributes["index"] for reader in writer.uses[one] if reader is not None}
    carried, items = body.arguments[:count], body.arguments[count:]
    parts: list[str] = []
    for argument, first in zip(carried, one.inputs[:count], strict=True):
        name = writer.declare(argument)
        parts.append(name)
        with writer.loops((argument.size,)) as (i,):
            place = "" if argument.size == 1 else f"[{i}]"
            writer.line(f"{name}{place} = {writer.at(first, i)};")
    for index, result in enumerate(body.results[count:], count):
        if index not in read:
            parts.append("")
            continue
        whole = f"x{len(writer.variables)}"
        writer.variables[Operation("place", (), (), result.dtype)] = whole
        parts.append(whole)
        writer.line(writer.declaration(whole, result, steps * result.size))
    with writer.loops((steps,), "s") as (s,):
        time = f"({steps - 1} - {s})" if backwards else s
        for argument, source in zip(items, one.inputs[count:], strict=True):
            name = writer.declare(argument)
            with writer.loops((argument.size,)) as (i,):
                place = "" if argument.size == 1 else f"[{i}]"
                value = writer.at(source, f"{time} * {argument.size} + {i}")
                writer.line(f"{name}{place} = {value};")
        for inner in body.operations:
            writer.operation(inner)
        for result, whole in zip(body.results[count:], parts[count:], strict=True):
            if not whole:
                continue
            with writer.loops((result.size,)) as (i,):
                place = "" if steps * result.size == 1 else f"[{time} * {result.size} + {i}]"
                writer.line(f"{whole}{place} = {writer.at(result, i)};")
        for argument, result in zip(carried, body.results[:count], strict=True):
            with writer.loops((argument.size,)) as (i,):
                place = "" if argument.size == 1 else f"[{i}]"
                writer.line(f"{writer.variables[argument]}{place} = {writer.at(result, i)};")
    writer.scans[one] = parts


def _part(writer: OperationWriter, one: Operation) -> None:
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
