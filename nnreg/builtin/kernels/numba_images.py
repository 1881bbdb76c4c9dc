"""Convolutions and pooling compiled by Numba."""

from __future__ import annotations

from nnreg._types import Array
from nnreg.interfaces.kernels import Kernels, Pair, ScratchSpace
from nnreg.kernels.numba import loops
from nnreg.kernels.windows import Amounts, Windows

MAX_DIRECT_WEIGHTS = 2**20
"""Up to this many weights, a convolution is faster without columns."""


def _by_columns(weight: Array, scratch: ScratchSpace) -> bool:
    """Return whether a convolution is a product with columns, which threads can share."""
    return scratch.divides_products or weight.size > MAX_DIRECT_WEIGHTS


class ImageKernels(Kernels):
    """The part of `NumbaKernels` that computes on images."""

    def convolve(
        self,
        images: Array,
        weight: Array,
        bias: Array | None,
        z: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
        *,
        relu: bool = False,
    ) -> Array | None:
        if _by_columns(weight, scratch):
            return super().convolve(images, weight, bias, z, windows, padding, scratch, relu=relu)
        direct = loops("direct_convolution")
        direct.convolve(images, weight, bias, z, windows, padding, scratch, relu)
        return None

    def convolve_max_pool(
        self,
        images: Array,
        weight: Array,
        bias: Array | None,
        y: Array,
        windows: Windows,
        padding: Amounts,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
        *,
        relu: bool = False,
    ) -> None:
        if _by_columns(weight, scratch):
            super().convolve_max_pool(
                images, weight, bias, y, windows, padding, size, stride, scratch, relu=relu
            )
            return
        loops("pooled_convolution").convolve_max_pool(
            images, weight, bias, y, windows, padding, size, stride, scratch, relu
        )

    def convolve_weight_gradient(
        self,
        images: Array,
        dz: Array,
        dweight: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
        found: Array | None = None,
    ) -> None:
        if _by_columns(dweight, scratch):
            super().convolve_weight_gradient(images, dz, dweight, windows, padding, scratch, found)
            return
        direct = loops("direct_convolution")
        direct.weight_gradient(images, dz, dweight, windows, padding, scratch)

    def convolve_input_gradient(
        self,
        dz: Array,
        weight: Array,
        dimages: Array,
        windows: Windows,
        padding: Amounts,
        scratch: ScratchSpace,
    ) -> None:
        if _by_columns(weight, scratch):
            super().convolve_input_gradient(dz, weight, dimages, windows, padding, scratch)
            return
        direct = loops("direct_convolution")
        direct.input_gradient(dz, weight, dimages, windows, padding, scratch)

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        loops("convolution").im2col(images, columns, *stride)

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        loops("convolution").col2im(columns, images, *stride)

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        loops("pooling").max_pool(x, y, *size, *stride)

    def max_pool_backward(
        self,
        dy: Array,
        x: Array,
        y: Array,
        dx: Array,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
    ) -> None:
        loops("pooling").max_pool_backward(dy, x, y, dx, *size, *stride)
