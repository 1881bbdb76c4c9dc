"""Products of small matrices by tiles whose sums stay in vector registers.

LLVM does not find this form by itself: its loops over a matrix in memory read and write each sum at
every step. A tile has at most eight sums, which fit into sixteen registers, and are enough for a
processor that begins two products per cycle, each of four. Each sum is over its terms in order, in
whatever tile, so that its bits do not depend on how many rows and columns there are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled

FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
VECTOR_BYTES = 64 if "+avx512f" in FEATURES else 32
"""The length of a vector; processors with registers of 16 bytes use two."""


class _Vectors:
    """Emits operations on vectors of the type of an array's elements."""

    def __init__(self, context: Any, builder: Any, element: Any) -> None:
        self.context, self.builder = context, builder
        self.scalar = context.get_value_type(element)
        self.itemsize = element.bitwidth // 8
        self.length = VECTOR_BYTES // self.itemsize
        self.type = ir.VectorType(self.scalar, self.length)

    def call(self, name: str, returned: Any, *values: Any, fastmath: tuple[str, ...] = ()) -> Any:
        function_type = ir.FunctionType(returned, [value.type for value in values])
        name = f"llvm.{name}.v{self.length}f{8 * self.itemsize}"
        function = cgutils.get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, values, fastmath=fastmath)

    def add_product(self, total: Any, a: Any, b: Any) -> Any:
        """Add a · b to a vector in memory, which LLVM keeps in a register."""
        found = self.call("fmuladd", self.type, a, b, self.builder.load(total))
        self.builder.store(found, total)

    def sum(self, vector: Any) -> Any:
        zero = ir.Constant(self.scalar, 0.0)
        return self.call("vector.reduce.fadd", self.scalar, zero, vector, fastmath=("reassoc",))

    def zeros(self, count: int) -> Any:
        found = [cgutils.alloca_once(self.builder, self.type) for _ in range(count)]
        for one in found:
            self.builder.store(ir.Constant(self.type, [0.0] * self.length), one)
        return found

    def data(self, array_type: Any, array: Any) -> Any:
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def at(self, position: Any, stride: Any, count: int) -> Any:
        """Return position + stride · count."""
        constant = ir.Constant(ir.IntType(64), count)
        return self.builder.add(position, self.builder.mul(stride, constant))

    def vector_at(self, data: Any, position: Any) -> Any:
        place = self.builder.gep(data, [position])
        return self.builder.bitcast(place, self.type.as_pointer())

    def load(self, data: Any, position: Any) -> Any:
        return self.builder.load(self.vector_at(data, position), align=self.itemsize)

    def store(self, vector: Any, data: Any, position: Any) -> Any:
        self.builder.store(vector, self.vector_at(data, position), align=self.itemsize)

    def repeat(self, data: Any, position: Any) -> Any:
        """Return a vector whose values are all that at a position."""
        value = self.builder.load(self.builder.gep(data, [position]))
        anything = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(anything, value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.length), [0] * self.length)
        return self.builder.shuffle_vector(first, anything, zeros)


def _product_tile(rows: int, vectors: int) -> Any:
    """Return a function that writes z[m, n] = Σ_k w[k, m] a[k, n] for `rows` m, `vectors` of n.

    Of each array it takes where its values begin, and the distances between those of consecutive
    k, m and n; values of consecutive n are next to each other.
    """

    @intrinsic
    def tile(
        typing: Any,
        w: Any,
        w0: Any,
        wk: Any,
        wm: Any,
        a: Any,
        a0: Any,
        ak: Any,
        z: Any,
        z0: Any,
        zm: Any,
        depth: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            v = _Vectors(context, builder, w.dtype)
            w0, wk, wm, a0, ak, z0, zm, depth = (arguments[n] for n in (1, 2, 3, 5, 6, 8, 9, 10))
            w_data, a_data, z_data = (
                v.data(one, arguments[n]) for n, one in ((0, w), (4, a), (7, z))
            )
            one, sums = ir.Constant(ir.IntType(64), 1), v.zeros(rows * vectors)
            with cgutils.for_range(builder, depth) as loop:
                w_row = builder.add(w0, builder.mul(loop.index, wk))
                a_row = builder.add(a0, builder.mul(loop.index, ak))
                columns = [v.load(a_data, v.at(a_row, one, n * v.length)) for n in range(vectors)]
                for m in range(rows):
                    factor = v.repeat(w_data, v.at(w_row, wm, m))
                    for n in range(vectors):
                        v.add_product(sums[m * vectors + n], factor, columns[n])
            for m in range(rows):
                for n in range(vectors):
                    place = v.at(v.at(z0, zm, m), one, n * v.length)
                    v.store(builder.load(sums[m * vectors + n]), z_data, place)
            return context.get_dummy_value()

        i = types.int64
        return types.void(w, i, i, i, a, i, i, z, i, i, i), generate

    return tile


def _dot_tile(rows: int, columns: int) -> Any:
    """Return a function that writes out[m, n] = Σ_k a[m, k] b[n, k] for `rows` m, `columns` n.

    Values of consecutive k are next to each other; there is a multiple of a vector of them.
    """

    @intrinsic
    def tile(
        typing: Any,
        a: Any,
        a0: Any,
        am: Any,
        b: Any,
        b0: Any,
        bn: Any,
        out: Any,
        out0: Any,
        outm: Any,
        depth: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            v = _Vectors(context, builder, a.dtype)
            a0, am, b0, bn, out0, outm, depth = (arguments[n] for n in (1, 2, 4, 5, 7, 8, 9))
            a_data, b_data, out_data = (
                v.data(one, arguments[n]) for n, one in ((0, a), (3, b), (6, out))
            )
            zero, step = (ir.Constant(ir.IntType(64), n) for n in (0, v.length))
            sums = v.zeros(rows * columns)
            with cgutils.for_range_slice(builder, zero, depth, step) as (k, _):
                a_row, b_row = builder.add(a0, k), builder.add(b0, k)
                right = [v.load(b_data, v.at(b_row, bn, n)) for n in range(columns)]
                for m in range(rows):
                    left = v.load(a_data, v.at(a_row, am, m))
                    for n in range(columns):
                        v.add_product(sums[m * columns + n], left, right[n])
            for m in range(rows):
                for n in range(columns):
                    place = v.at(v.at(out0, outm, m), ir.Constant(ir.IntType(64), 1), n)
                    total = v.sum(builder.load(sums[m * columns + n]))
                    builder.store(total, builder.gep(out_data, [place]))
            return context.get_dummy_value()

        i = types.int64
        return types.void(a, i, i, b, i, i, out, i, i, i), generate

    return tile


_product_4_2, _product_4_1 = _product_tile(4, 2), _product_tile(4, 1)
_product_1_2, _product_1_1 = _product_tile(1, 2), _product_tile(1, 1)
product_8_2 = _product_tile(8, 2)
"""For processors with vectors of 64 bytes, which have 32 registers; others do not take it."""
_dot_4_2, _dot_4_1, _dot_1_2, _dot_1_1 = (_dot_tile(m, n) for m in (4, 1) for n in (2, 1))


@compiled
def product(
    w: Array,
    w0: int,
    wk: int,
    wm: int,
    a: Array,
    a0: int,
    ak: int,
    z: Array,
    z0: int,
    zm: int,
    rows: int,
    columns: int,
    depth: int,
) -> None:
    """Write z[m, n] = Σ_k w[k, m] a[k, n] for all m < rows and n < columns.

    w[k, m] is the value w[w0 + k wk + m wm] of a vector, a[k, n] is a[a0 + k ak + n], and z[m, n]
    is z[z0 + m zm + n]. The columns are at least those of one vector; a last incomplete one begins
    earlier and writes some values again.
    """
    length = VECTOR_BYTES // a.itemsize
    n = 0
    while n < columns:
        pair = n + 2 * length <= columns
        n = n if pair else min(n, columns - length)
        m = 0
        while m + 4 <= rows:
            w1, z1 = w0 + m * wm, z0 + m * zm + n
            if pair:
                _product_4_2(w, w1, wk, wm, a, a0 + n, ak, z, z1, zm, depth)
            else:
                _product_4_1(w, w1, wk, wm, a, a0 + n, ak, z, z1, zm, depth)
            m += 4
        while m < rows:
            w1, z1 = w0 + m * wm, z0 + m * zm + n
            if pair:
                _product_1_2(w, w1, wk, wm, a, a0 + n, ak, z, z1, zm, depth)
            else:
                _product_1_1(w, w1, wk, wm, a, a0 + n, ak, z, z1, zm, depth)
            m += 1
        n += 2 * length if pair else length


@compiled
def dots(
    a: Array,
    a0: int,
    am: int,
    b: Array,
    b0: int,
    bn: int,
    out: Array,
    out0: int,
    outm: int,
    rows: int,
    columns: int,
    depth: int,
) -> None:
    """Write out[m, n] = Σ_k a[m, k] b[n, k] for all m < rows and n < columns.

    a[m, k] is the value a[a0 + m am + k] of a vector, b[n, k] is b[b0 + n bn + k], and out[m, n] is
    out[out0 + m outm + n]. The depth is a multiple of that of a vector.
    """
    m = 0
    while m < rows:
        four = m + 4 <= rows
        n, a1 = 0, a0 + m * am
        while n + 2 <= columns:
            b1, out1 = b0 + n * bn, out0 + m * outm + n
            if four:
                _dot_4_2(a, a1, am, b, b1, bn, out, out1, outm, depth)
            else:
                _dot_1_2(a, a1, am, b, b1, bn, out, out1, outm, depth)
            n += 2
        if n < columns:
            b1, out1 = b0 + n * bn, out0 + m * outm + n
            if four:
                _dot_4_1(a, a1, am, b, b1, bn, out, out1, outm, depth)
            else:
                _dot_1_1(a, a1, am, b, b1, bn, out, out1, outm, depth)
        m += 4 if four else 1
