"""Products of matrices by tiles whose sums stay in vector registers.

A tile is a few rows times one or two vectors of columns. Its sums fill most of the registers, so
that each value that is read is used for several of them. Each sum is over its terms in order, in
whatever tile, so that its bits do not depend on how many rows and columns there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled_exactly
from nnreg.kernels.numba.vectors import INTEGER, VECTOR_BYTES, Vectors, unknown

TILE_ROWS = 12 if VECTOR_BYTES == 64 else 6
"""With two vectors of sums for each row, they fill three quarters of the registers."""


class _Arguments:
    """What a tile was called with: the data of its arrays, and its numbers."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self._kinds, self.values = signature.args, values

    def _array(self, n: int) -> Any:
        return self.context.make_array(self._kinds[n])(self.context, self.builder, self.values[n])

    def pointer(self, n: int, position: Any) -> Any:
        """Return where an array's value is."""
        return self.builder.gep(self._array(n).data, [position])

    def rows(self, n: int, positions: int, count: int) -> list[Any]:
        """Return where rows of an array begin.

        They have their positions in another array, or the first one and the step to the next.
        """
        if isinstance(self._kinds[positions], types.Array):
            places = [self.pointer(positions, ir.Constant(INTEGER, m)) for m in range(count)]
            return [self.pointer(n, self.builder.load(place)) for place in places]
        first, step = (self.builder.extract_value(self.values[positions], k) for k in (0, 1))
        steps = [self.builder.mul(step, ir.Constant(INTEGER, m)) for m in range(count)]
        return [self.pointer(n, self.builder.add(first, one)) for one in steps]

    def given(self, n: int) -> bool:
        """Return whether an argument is not None."""
        return not isinstance(self._kinds[n], types.NoneType)

    def length(self, n: int) -> Any:
        """Return the length of a vector, or 1 for None."""
        if not self.given(n):
            return ir.Constant(INTEGER, 1)
        return self.builder.extract_value(self._array(n).shape, 0)

    def value(self, n: int, position: Any) -> Any:
        """Return a value of a vector, or 0 for None."""
        if not self.given(n):
            return ir.Constant(INTEGER, 0)
        return self.builder.load(self.pointer(n, position))


def _tile(rows: int, vectors: int, *, partial: bool) -> Callable[..., Any]:
    """Return the function that multiplies a tile of these rows and vectors of columns.

    With `partial`, only the first columns exist.
    """

    @intrinsic
    def tile(
        typing: Any, c: Any, c_at: Any, a: Any, a_at: Any, a_outer: Any, inner: Any, a_step: Any,
        b: Any, b_at: Any, b_outer: Any, b_step: Any, columns: Any, bias: Any, bias_at: Any,
        add: Any, relu: Any,
    ) -> Any:  # fmt: skip
        """Write c[c_at[m] + n] = bias[bias_at + n] + Σ a[a_at[m] + a_outer[o] + i a_step] b[…].

        The sum is over all o and i < inner, and of b it has [b_at + b_outer[o] b_step + i b_step
        + n]; without the outer ones, which are then None, over i alone. `columns` is how many n
        there are. The bias may be None. Instead of the positions of the rows, `c_at` and `a_at` may
        be the first and the step to the next. `add` adds to c, and `relu` clips at 0.
        """
        whole = types.int64
        at = [kind if isinstance(kind, types.Array) else types.UniTuple(whole, 2)
              for kind in (c_at, a_at)]  # fmt: skip
        signature = types.void(
            c, at[0], a, at[1], a_outer, whole, whole, b, whole, b_outer, whole, whole, bias,
            whole, types.boolean, types.boolean,
        )  # fmt: skip

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            given = _Arguments(context, builder, signature, values)
            inner, a_step, b_at, b_step, columns, bias_at = (
                values[n] for n in (5, 6, 8, 10, 11, 13)
            )
            element = signature.args[0].dtype
            write = Vectors(builder, element, vectors, columns if partial else None)
            c_rows, a_rows = given.rows(0, 1, rows), given.rows(2, 3, rows)
            first = [write.zero] * vectors
            if given.given(12):
                first = write.load(given.pointer(12, bias_at))
            totals = [write.totals(first) for _ in range(rows)]
            with cgutils.for_range(builder, given.length(4)) as o:
                a_start = given.value(4, o.index)
                b_row = builder.add(b_at, builder.mul(given.value(9, o.index), b_step))
                with cgutils.for_range(builder, inner) as i:
                    at = builder.add(b_row, builder.mul(i.index, b_step))
                    own = write.load(given.pointer(7, at))
                    at = builder.add(a_start, builder.mul(i.index, a_step))
                    for row, pointer in zip(totals, a_rows, strict=True):
                        value = builder.load(builder.gep(pointer, [at]))
                        factor = write.repeat(value, write.number)
                        for total, vector in zip(row, own, strict=True):
                            write.add_product(total, factor, vector)
            sums = [[builder.load(total) for total in row] for row in totals]
            with builder.if_else(values[14]) as (added, written):
                with added:  # all are read first: the rows of a tile may repeat the last one
                    before = [write.load(pointer) for pointer in c_rows]
                    for row, old, pointer in zip(sums, before, c_rows, strict=True):
                        pairs = zip(row, old, strict=True)
                        write.store([builder.fadd(one, two) for one, two in pairs], pointer)
                with written, builder.if_else(values[15]) as (clipped, plain):
                    with clipped:
                        for row, pointer in zip(sums, c_rows, strict=True):
                            write.store(write.relu(row), pointer)
                    with plain:
                        for row, pointer in zip(sums, c_rows, strict=True):
                            write.store(row, pointer)
            return context.get_dummy_value()

        return signature, code

    found: Callable[..., Any] = tile
    return found


def _dot_tile(rows: int, columns: int) -> Callable[..., Any]:
    """Return a function that writes out[m, n] = Σ_k a[m, k] b[n, k] for `rows` m, `columns` n."""

    @intrinsic
    def tile(
        typing: Any, out: Any, out_at: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any
    ) -> Any:
        """Multiply rows, given where the first is and the step to the next, value by value.

        There is a multiple of a vector of values k.
        """
        pair = types.UniTuple(types.int64, 2)
        signature = types.void(out, pair, a, pair, b, pair, types.int64)

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            given = _Arguments(context, builder, signature, values)
            write = Vectors(builder, signature.args[0].dtype, 1)
            out_rows = given.rows(0, 1, rows)
            a_rows, b_rows = given.rows(2, 3, rows), given.rows(4, 5, columns)
            totals = [write.totals([write.zero] * columns) for _ in range(rows)]
            zero, step = (ir.Constant(INTEGER, n) for n in (0, write.length))
            with cgutils.for_range_slice(builder, zero, values[6], step) as (k, _):
                right = [write.load(builder.gep(pointer, [k]))[0] for pointer in b_rows]
                for row, pointer in zip(totals, a_rows, strict=True):
                    left = write.load(builder.gep(pointer, [k]))[0]
                    for total, vector in zip(row, right, strict=True):
                        write.add_product(total, left, vector)
            for row, pointer in zip(totals, out_rows, strict=True):
                for n, total in enumerate(row):
                    place = builder.gep(pointer, [ir.Constant(INTEGER, n)])
                    builder.store(write.sum(builder.load(total)), place)
            return context.get_dummy_value()

        return signature, code

    found: Callable[..., Any] = tile
    return found


whole_tile, narrow_tile = _tile(TILE_ROWS, 2, partial=False), _tile(TILE_ROWS, 1, partial=True)
"""Multiply a tile of two vectors of columns, and of at most one."""

_whole_4, _narrow_4 = _tile(4, 2, partial=False), _tile(4, 1, partial=True)
_row_8, _row_2, _row_1 = (
    _tile(1, 8, partial=False),
    _tile(1, 2, partial=False),
    _tile(1, 1, partial=True),
)
_dot_4_2, _dot_4_1, _dot_1_2, _dot_1_1 = (_dot_tile(m, n) for m in (4, 1) for n in (2, 1))


@compiled_exactly
def product(
    c: Array, c0: int, cm: int,
    a: Array, a0: int, am: int, ak: int,
    b: Array, b0: int, bk: int,
    bias: Array | None, bias0: int,
    rows: int, columns: int, depth: int,
    relu: bool,
) -> None:  # fmt: skip
    """Write c[m, n] = bias[n] + Σ_k a[m, k] b[k, n] for all m < rows and n < columns.

    The arrays are vectors, in which these are c[c0 + m cm + n], a[a0 + m am + k ak], b[b0 + k bk +
    n] and bias[bias0 + n]; a bias of None is 0. With `relu`, c is clipped at 0. A last incomplete
    tile begins at an earlier row, and writes some values again.
    """
    vector, ak = VECTOR_BYTES // c.itemsize, unknown(ak)
    height = TILE_ROWS if rows >= TILE_ROWS else (4 if rows >= 4 else 1)
    n = 0
    while n < columns:
        count = 2 * vector if n + 2 * vector <= columns else min(columns - n, vector)
        if height == 1 and n + 8 * vector <= columns:
            count = 8 * vector
        terms = (depth, ak, b, b0 + n, None, bk, count, bias, bias0 + n, False, relu)
        for start in range(0, rows, height):
            m = min(start, rows - height)
            at = (c, (c0 + n + m * cm, cm), a, (a0 + m * am, am), None, *terms)
            if count <= vector:
                if height == TILE_ROWS:
                    narrow_tile(*at)
                elif height == 4:
                    _narrow_4(*at)
                else:
                    _row_1(*at)
            elif height == TILE_ROWS:
                whole_tile(*at)
            elif height == 4:
                _whole_4(*at)
            elif count == 2 * vector:
                _row_2(*at)
            else:
                _row_8(*at)
        n += count


@compiled_exactly
def dots(
    out: Array, out0: int, outm: int,
    a: Array, a0: int, am: int,
    b: Array, b0: int, bn: int,
    rows: int, columns: int, depth: int,
) -> None:  # fmt: skip
    """Write out[m, n] = Σ_k a[m, k] b[n, k] for all m < rows and n < columns.

    a[m, k] is the value a[a0 + m am + k] of a vector, b[n, k] is b[b0 + n bn + k], and out[m, n] is
    out[out0 + m outm + n]. The depth is a multiple of that of a vector.
    """
    m = 0
    while m < rows:
        four = m + 4 <= rows
        of, n = (a0 + m * am, am), 0
        while n < columns:
            to, those = (out0 + m * outm + n, outm), (b0 + n * bn, bn)
            two = n + 2 <= columns
            if four and two:
                _dot_4_2(out, to, a, of, b, those, depth)
            elif four:
                _dot_4_1(out, to, a, of, b, those, depth)
            elif two:
                _dot_1_2(out, to, a, of, b, those, depth)
            else:
                _dot_1_1(out, to, a, of, b, those, depth)
            n += 2 if two else 1
        m += 4 if four else 1
