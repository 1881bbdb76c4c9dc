"""Calls of functions of C from compiled loops, by their addresses, and numbers that threads share.

An address is an argument, so that the loops can be cached on disk.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.cblas import ROW_MAJOR
from nnreg.kernels.numba.compile import compiled_exactly

ADDRESS, INTEGER_BITS = range(2)
"""What the array that describes a function of a BLAS has: where it is, and how many bits
a size has."""

NUMBER, ENUM, POINTER = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def load(typing_context: Any, address: Any) -> Any:
    """Read an int64 that another thread may write, and see all that it wrote before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(builder, arguments[0], NUMBER), "acquire", 8)

    return types.int64(types.intp), generate


@intrinsic
def store(typing_context: Any, address: Any, number: Any) -> Any:
    """Write an int64 for other threads, after all that this one wrote before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, number = arguments
        builder.store_atomic(number, _pointer(builder, address, NUMBER), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), generate


@intrinsic
def call(typing_context: Any, address: Any) -> Any:
    """Call a function without arguments."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(_pointer(builder, arguments[0], ir.FunctionType(ENUM, [])), [])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def _gemm_of(integer_bits: int) -> Any:
    """Return an intrinsic that calls the product of a BLAS whose sizes have this type."""
    integer = ir.IntType(integer_bits)

    def call_gemm(
        typing_context: Any, address: Any, a_turned: Any, b_turned: Any, rows: Any, columns: Any,
        inner: Any, one: Any, a: Any, a_stride: Any, b: Any, b_stride: Any, zero: Any, out: Any,
        out_stride: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = [ENUM] * 2 + [integer] * 3
            number = context.get_value_type(one)
            kinds += [number, POINTER, integer, POINTER, integer, number, POINTER, integer]
            values = [ir.Constant(ENUM, ROW_MAJOR)]
            for value, kind in zip(arguments[1:], kinds, strict=True):
                if kind is POINTER:
                    value = builder.inttoptr(value, kind)
                elif kind is not number:
                    value = builder.trunc(value, kind)
                values.append(value)
            function = ir.FunctionType(ir.VoidType(), [ENUM, *kinds])
            builder.call(_pointer(builder, arguments[0], function), values)
            return context.get_dummy_value()

        sizes, place = [types.int64] * 3, [types.intp, types.int64]
        signs = [types.intp, types.int64, types.int64, *sizes, one, *place, *place, one, *place]
        return types.void(*signs), generate

    return intrinsic(call_gemm)


_gemm32, _gemm64 = _gemm_of(32), _gemm_of(64)


@compiled_exactly
def gemm(
    blas: Array, a_turned: int, b_turned: int, rows: int, columns: int, inner: int,
    a: Array, a_first: int, a_stride: int, b: Array, b_first: int, b_stride: int,
    out: Array, out_first: int, out_stride: int,
) -> None:  # fmt: skip
    """Write the product of two matrices, which begin within vectors and have these strides.

    `blas` describes the function. `a_turned` and `b_turned` are the constants of cblas.h that say
    whether a matrix is transposed in memory.
    """
    size, one, zero = out.itemsize, out.dtype.type(1), out.dtype.type(0)
    left, right = a.ctypes.data + size * a_first, b.ctypes.data + size * b_first
    result = out.ctypes.data + size * out_first
    if blas[INTEGER_BITS] == 64:
        _gemm64(
            blas[ADDRESS], a_turned, b_turned, rows, columns, inner, one, left, a_stride,
            right, b_stride, zero, result, out_stride,
        )  # fmt: skip
    else:
        _gemm32(
            blas[ADDRESS], a_turned, b_turned, rows, columns, inner, one, left, a_stride,
            right, b_stride, zero, result, out_stride,
        )  # fmt: skip
