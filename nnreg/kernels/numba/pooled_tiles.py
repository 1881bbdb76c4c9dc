"""Convolutions of which only the largest of each 2x2 outputs leaves the vector registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled
from nnreg.kernels.numba.direct_convolution import panel_width
from nnreg.kernels.numba.vectors import INTEGER, VECTOR_BYTES, Vectors

TILE_WINDOWS = 3 if VECTOR_BYTES == 64 else 1
"""With two vectors of sums for each of their pixels, they fill up to three quarters of the
registers."""


def _tile(vectors: int, *, partial: bool) -> Callable[..., Any]:
    """Return the function for this number of vectors of filters, of which the first exist."""

    @intrinsic
    def tile(
        typing: Any, y: Any, y_base: Any, y_at: Any, images: Any, base: Any, at: Any, at_from: Any,
        values: Any, length: Any, panels: Any, panel: Any, weights: Any, columns: Any, bias: Any,
        first: Any, relu: Any,
    ) -> Any:  # fmt: skip
        """Write the largest sums of the 4 pixels of each window, of filters from `first` on.

        Window m is at y[y_base + y_at[at_from + m]], and its pixels begin at images[base +
        at[4 (at_from + m)]] and the next three. For each of `values`, `length` adjacent ones from
        it on are multiplied by rows of the panel, from that in `weights` on.
        """
        whole = types.int64
        signature = types.void(
            y, whole, y_at, images, whole, at, whole, values, whole, panels, whole, weights,
            whole, bias, whole, types.boolean,
        )  # fmt: skip

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            arrays = {
                n: context.make_array(signature.args[n])(context, builder, given[n])
                for n in (0, 2, 3, 5, 7, 9, 11, 13)
            }
            y_base, base, at_from, length, panel, columns, first = (
                given[n] for n in (1, 4, 6, 8, 10, 12, 14)
            )
            write = Vectors(builder, signature.args[0].dtype, vectors, columns if partial else None)

            def pointer(n: int, *terms: Any) -> Any:
                place = arrays[n].data
                for term in terms:
                    place = builder.gep(place, [term])
                return place

            def position(n: int, window: Any, constant: int) -> Any:
                return builder.load(pointer(n, window, ir.Constant(INTEGER, constant)))

            four = builder.mul(at_from, ir.Constant(INTEGER, 4))
            pixels = [pointer(3, base, position(5, four, m)) for m in range(4 * TILE_WINDOWS)]
            start = write.load(pointer(13, first))
            totals = [write.totals(start) for _ in pixels]
            with cgutils.for_range(builder, builder.extract_value(arrays[7].shape, 0)) as o:
                value = builder.load(pointer(7, o.index))
                row = builder.mul(builder.load(pointer(11, o.index)), columns)
                row = builder.add(panel, row)
                with cgutils.for_range(builder, length) as i:
                    own = write.load(pointer(9, row, builder.mul(i.index, columns)))
                    offset = builder.add(value, i.index)
                    for sums, pixel in zip(totals, pixels, strict=True):
                        number = builder.load(builder.gep(pixel, [offset]))
                        factor = write.repeat(number, write.number)
                        for total, vector in zip(sums, own, strict=True):
                            write.add_product(total, factor, vector)
            least = builder.select(
                given[15],
                ir.Constant(write.number, 0.0),
                ir.Constant(write.number, float("-inf")),
            )
            low = write.repeat(least, write.number)
            for m in range(TILE_WINDOWS):
                window = totals[4 * m : 4 * m + 4]
                found = [
                    _largest(builder, [builder.load(sums[n]) for sums in window], low)
                    for n in range(vectors)
                ]
                write.store(found, pointer(0, y_base, first, position(2, at_from, m)))
            return context.get_dummy_value()

        return signature, code

    found: Callable[..., Any] = tile
    return found


def _largest(builder: Any, values: list[Any], low: Any) -> Any:
    """Return the largest of four vectors and a lower bound, or NaN."""
    a, b, c, d = values
    largest = low
    for value in values:
        largest = builder.select(builder.fcmp_ordered(">", value, largest), value, largest)
    unordered = builder.or_(
        builder.fcmp_unordered("uno", a, b), builder.fcmp_unordered("uno", c, d)
    )
    nan = ir.Constant(a.type, [float("nan")] * a.type.count)
    return builder.select(unordered, nan, largest)


_whole, _narrow = _tile(2, partial=False), _tile(1, partial=True)


@compiled
def convolve_tiles(
    images: Array,
    y: Array,
    at: Array,
    y_at: Array,
    values: Array,
    weights: Array,
    length: int,
    panels: Array,
    bias: Array,
    relu: bool,
) -> None:
    """Write the largest of the outputs of 4 pixels of images `(batch, values)` each, at `at`.

    There are whole tiles of these, whose results are at `y_at` in y, `(batch, values)`; the last
    may be repeated. For the other arguments see `Sums`.
    """
    filters, inner = bias.size, panels.size // bias.size
    source, out = images.reshape(-1), y.reshape(-1)
    first = 0
    while first < filters:
        columns = panel_width(filters, first, VECTOR_BYTES // y.itemsize)
        for image in range(images.shape[0]):
            base, y_base = image * images.shape[1], image * y.shape[1]
            for window in range(0, y_at.size, TILE_WINDOWS):
                if columns * y.itemsize == 2 * VECTOR_BYTES:
                    _whole(
                        out, y_base, y_at, source, base, at, window, values, length, panels,
                        first * inner, weights, columns, bias, first, relu,
                    )  # fmt: skip
                else:
                    _narrow(
                        out, y_base, y_at, source, base, at, window, values, length, panels,
                        first * inner, weights, columns, bias, first, relu,
                    )  # fmt: skip
        first += columns
