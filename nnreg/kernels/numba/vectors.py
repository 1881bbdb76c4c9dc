"""Instructions on vectors of numbers, in the language of LLVM, to which Numba compiles Python.

Numba's own loops over arrays read and write a sum in memory at every step, as far as LLVM cannot
exclude that the arrays overlap. Here the sums are variables, which it keeps in the registers.

The Python code below runs once, when a function is compiled, and each call of the builder appends
an instruction. What it returns is not a number but the name of the instruction's result. A loop in
Python thus repeats instructions, and `cgutils.for_range` writes a loop that is one when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

INTEGER, NUMBER = ir.IntType(64), ir.IntType(32)
"""The types of positions in arrays, and of positions in vectors."""


def _vector_bytes() -> int:
    """Return the size of the vectors of the processor for which Numba compiles."""
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else get_host_cpu_features()
    enabled = set(features.split(","))
    return next((size for name, size in (("+avx512f", 64), ("+avx", 32)) if name in enabled), 16)


VECTOR_BYTES = _vector_bytes()


class Vectors:
    """Writes instructions on `count` adjacent vectors of an element's type.

    With `columns`, only this number of their values exists: others are neither read nor written.
    """

    def __init__(self, builder: Any, element: Any, count: int, columns: Any | None = None) -> None:
        self.builder, self.count = builder, count
        self.size = element.bitwidth // 8
        self.length = VECTOR_BYTES // self.size
        self.number = ir.FloatType() if self.size == 4 else ir.DoubleType()
        self.type = ir.VectorType(self.number, self.length)
        self.zero = ir.Constant(self.type, [0.0] * self.length)
        self._suffix = f"v{self.length}f{element.bitwidth}"
        self._masks = None if columns is None else [self._mask(columns, n) for n in range(count)]

    def _mask(self, columns: Any, n: int) -> Any:
        """Return which values of the n-th vector exist."""
        first = n * self.length
        numbers = list(range(first, first + self.length))
        own = ir.Constant(ir.VectorType(INTEGER, self.length), numbers)
        return self.builder.icmp_signed("<", own, self.repeat(columns, INTEGER))

    def repeat(self, value: Any, kind: Any) -> Any:
        """Return a vector of equal values: the first, shuffled into all places."""
        undefined = ir.Constant(ir.VectorType(kind, self.length), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(NUMBER, 0))
        order = ir.Constant(ir.VectorType(NUMBER, self.length), [0] * self.length)
        return self.builder.shuffle_vector(first, undefined, order)

    def _call(self, name: str, result: Any, values: list[Any]) -> Any:
        """Call a function of LLVM, which is an instruction of the processor or a few."""
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, values)

    def _place(self, pointer: Any, n: int) -> Any:
        at = self.builder.gep(pointer, [ir.Constant(INTEGER, n * self.length)])
        return self.builder.bitcast(at, self.type.as_pointer())

    def load(self, pointer: Any) -> list[Any]:
        """Return the vectors at a pointer."""
        places = [self._place(pointer, n) for n in range(self.count)]
        if self._masks is None:
            return [self.builder.load(place, align=self.size) for place in places]
        name, align = f"llvm.masked.load.{self._suffix}.p0", ir.Constant(NUMBER, self.size)
        return [
            self._call(name, self.type, [place, align, mask, self.zero])
            for place, mask in zip(places, self._masks, strict=True)
        ]

    def store(self, values: list[Any], pointer: Any) -> None:
        """Write the vectors to a pointer."""
        name, align = f"llvm.masked.store.{self._suffix}.p0", ir.Constant(NUMBER, self.size)
        for n, value in enumerate(values):
            place = self._place(pointer, n)
            if self._masks is None:
                self.builder.store(value, place, align=self.size)
            else:
                self._call(name, ir.VoidType(), [value, place, align, self._masks[n]])

    def totals(self, first: Sequence[Any]) -> list[Any]:
        """Return variables, which are places in memory until LLVM gives them registers."""
        found = [cgutils.alloca_once(self.builder, self.type) for _ in first]
        for place, value in zip(found, first, strict=True):
            self.builder.store(value, place)
        return found

    def add_product(self, total: Any, a: Any, b: Any) -> None:
        """Add a · b to a variable, with one rounding where the processor can."""
        name, before = f"llvm.fmuladd.{self._suffix}", self.builder.load(total)
        self.builder.store(self._call(name, self.type, [a, b, before]), total)

    def sum(self, vector: Any) -> Any:
        """Return the sum of the values of a vector; halves are added, then halves of these.

        The order is written out, because one that LLVM chooses may differ from place to place.
        """
        undefined, count = ir.Constant(self.type, ir.Undefined), self.length
        while count > 1:
            count //= 2
            order = [count + n if n < count else n for n in range(self.length)]
            half = ir.Constant(ir.VectorType(NUMBER, self.length), order)
            vector = self.builder.fadd(vector, self.builder.shuffle_vector(vector, undefined, half))
        return self.builder.extract_element(vector, ir.Constant(NUMBER, 0))

    def relu(self, values: list[Any]) -> list[Any]:
        """Return max(values, 0); NaN remains."""
        below = [self.builder.fcmp_ordered("<", value, self.zero) for value in values]
        return [
            self.builder.select(mask, self.zero, value)
            for mask, value in zip(below, values, strict=True)
        ]


@intrinsic
def unknown(typing: Any, value: Any) -> Any:
    """Return an integer of which LLVM does not know that it is a constant.

    Where it knows the step of a loop, it may arrange the loop so that sums do not fit into the
    registers any more. No instruction of the processor remains of this.
    """

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        same = ir.FunctionType(values[0].type, [values[0].type])
        return builder.asm(same, "", "=r,0", values, side_effect=False)

    return types.int64(types.int64), code
