"""Products of tiles: a few rows times two vectors of columns, whose sums stay in registers.

The loop is written in LLVM's language, because Numba's own code would keep the sums in memory. A
tile gets the position of each of its rows, so that windows of images are multiplied where they are,
without a copy of them as columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

INTEGER, NUMBER = ir.IntType(64), ir.IntType(32)


def _vector_bytes() -> int:
    """Return the size of the vectors of the processor for which Numba compiles."""
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else get_host_cpu_features()
    enabled = set(features.split(","))
    return next((size for name, size in (("+avx512f", 64), ("+avx", 32)) if name in enabled), 16)


VECTOR_BYTES = _vector_bytes()
TILE_ROWS = 12 if VECTOR_BYTES == 64 else 6
"""With two vectors of sums for each row, they fill three quarters of the registers."""


class _Code:
    """Writes the instructions of one kind of tile: with `vectors` vectors of columns.

    With `partial`, only the first of the columns exist.
    """

    def __init__(self, builder: Any, dtype: Any, vectors: int, columns: Any | None) -> None:
        self.builder, self.vectors = builder, vectors
        self.size = dtype.bitwidth // 8
        self.width = VECTOR_BYTES // self.size
        self.number = ir.FloatType() if self.size == 4 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, self.width)
        self.suffix = f"v{self.width}f{dtype.bitwidth}"
        self.zero = ir.Constant(self.vector, [0.0] * self.width)
        self.masks = None if columns is None else [self._mask(columns, n) for n in range(vectors)]

    def _splat(self, value: Any, kind: Any) -> Any:
        """Return a vector of equal values."""
        undefined = ir.Constant(ir.VectorType(kind, self.width), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(NUMBER, 0))
        order = ir.Constant(ir.VectorType(NUMBER, self.width), [0] * self.width)
        return self.builder.shuffle_vector(first, undefined, order)

    def _mask(self, columns: Any, n: int) -> Any:
        first = n * self.width
        numbers = list(range(first, first + self.width))
        own = ir.Constant(ir.VectorType(INTEGER, self.width), numbers)
        return self.builder.icmp_signed("<", own, self._splat(columns, INTEGER))

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, [one.type for one in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def _place(self, pointer: Any, n: int) -> Any:
        at = self.builder.gep(pointer, [ir.Constant(INTEGER, n * self.width)])
        return self.builder.bitcast(at, self.vector.as_pointer())

    def load(self, pointer: Any) -> list[Any]:
        """Return the vectors at a pointer."""
        places = [self._place(pointer, n) for n in range(self.vectors)]
        if self.masks is None:
            return [self.builder.load(place, align=self.size) for place in places]
        name, align = f"llvm.masked.load.{self.suffix}.p0", ir.Constant(NUMBER, self.size)
        return [
            self._call(name, self.vector, [place, align, mask, self.zero])
            for place, mask in zip(places, self.masks, strict=True)
        ]

    def store(self, values: list[Any], pointer: Any) -> None:
        """Write the vectors to a pointer."""
        name, align = f"llvm.masked.store.{self.suffix}.p0", ir.Constant(NUMBER, self.size)
        for n, value in enumerate(values):
            place = self._place(pointer, n)
            if self.masks is None:
                self.builder.store(value, place, align=self.size)
            else:
                self._call(name, ir.VoidType(), [value, place, align, self.masks[n]])

    def multiply_add(self, value: Any, vector: Any, total: Any) -> Any:
        """Return value · vector + total, with one rounding where the processor can."""
        name = f"llvm.fmuladd.{self.suffix}"
        return self._call(name, self.vector, [self._splat(value, self.number), vector, total])

    def relu(self, values: list[Any]) -> list[Any]:
        """Return max(values, 0); NaN remains."""
        below = [self.builder.fcmp_ordered("<", value, self.zero) for value in values]
        return [
            self.builder.select(mask, self.zero, value)
            for mask, value in zip(below, values, strict=True)
        ]


def _tile(vectors: int, *, partial: bool) -> Callable[..., Any]:
    """Return the function that multiplies a tile."""

    @intrinsic
    def tile(
        typing: Any, c: Any, c_at: Any, a: Any, a_at: Any, a_outer: Any, inner: Any, a_step: Any,
        b: Any, b_at: Any, b_outer: Any, b_step: Any, columns: Any, bias: Any, add: Any, relu: Any,
    ) -> Any:  # fmt: skip
        """Write c[c_at[m] + n] = bias[n] + Σ a[a_at[m] + a_outer[o] + i a_step] b[…].

        The sum is over all o and i < inner, and of b it has [b_at + b_outer[o] b_step + i b_step
        + n]. `columns` is how many n there are. `add` adds to c, and `relu` clips at 0.
        """
        whole = types.int64
        signature = types.void(
            c, c_at, a, a_at, a_outer, whole, whole, b, whole, b_outer, whole, whole, bias,
            types.boolean, types.boolean,
        )  # fmt: skip

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = {
                k: context.make_array(kind)(context, builder, args[k])
                for k, kind in enumerate(signature.args)
                if isinstance(kind, types.Array)
            }
            data = {k: array.data for k, array in arrays.items()}
            outer = builder.extract_value(arrays[4].shape, 0)
            inner, a_step, b_at, b_step, columns = (args[k] for k in (5, 6, 8, 10, 11))
            writer = _Code(builder, signature.args[0].dtype, vectors, columns if partial else None)

            def rows(k: int, positions: int) -> list[Any]:
                at = [
                    builder.gep(data[positions], [ir.Constant(INTEGER, m)])
                    for m in range(TILE_ROWS)
                ]
                return [builder.gep(data[k], [builder.load(one)]) for one in at]

            c_rows, a_rows = rows(0, 1), rows(2, 3)
            first = writer.load(data[12])
            totals = [
                [cgutils.alloca_once(builder, writer.vector) for _ in range(vectors)]
                for _ in range(TILE_ROWS)
            ]
            for row in totals:
                for total, value in zip(row, first, strict=True):
                    builder.store(value, total)
            b_start = builder.gep(data[7], [b_at])
            with cgutils.for_range(builder, outer) as o:
                position = builder.load(builder.gep(data[4], [o.index]))
                number = builder.load(builder.gep(data[9], [o.index]))
                b_row = builder.gep(b_start, [builder.mul(number, b_step)])
                with cgutils.for_range(builder, inner) as i:
                    own = writer.load(builder.gep(b_row, [builder.mul(i.index, b_step)]))
                    at = builder.add(position, builder.mul(i.index, a_step))
                    for row, pointer in zip(totals, a_rows, strict=True):
                        value = builder.load(builder.gep(pointer, [at]))
                        for total, vector in zip(row, own, strict=True):
                            found = writer.multiply_add(value, vector, builder.load(total))
                            builder.store(found, total)
            sums = [[builder.load(total) for total in row] for row in totals]
            with builder.if_else(args[13]) as (added, written):
                with added:  # all are read first: the rows of a tile may repeat the last one
                    before = [writer.load(pointer) for pointer in c_rows]
                    for row, old, pointer in zip(sums, before, c_rows, strict=True):
                        pairs = zip(row, old, strict=True)
                        writer.store([builder.fadd(one, two) for one, two in pairs], pointer)
                with written, builder.if_else(args[14]) as (clipped, plain):
                    with clipped:
                        for row, pointer in zip(sums, c_rows, strict=True):
                            writer.store(writer.relu(row), pointer)
                    with plain:
                        for row, pointer in zip(sums, c_rows, strict=True):
                            writer.store(row, pointer)
            return context.get_dummy_value()

        return signature, code

    found: Callable[..., Any] = tile
    return found


whole_tile = _tile(2, partial=False)
"""Multiplies a tile of two vectors of columns."""

narrow_tile = _tile(1, partial=True)
"""Multiplies a tile of at most one vector of columns."""
