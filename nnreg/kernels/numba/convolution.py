"""The windows of convolutions as columns, and back."""

from __future__ import annotations

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled


@compiled
def im2col(images: Array, columns: Array, sh: int, sw: int) -> None:
    """Copy windows; kernel width times channels values are contiguous in both arrays."""
    batch, oh, ow, kh, kw, channels = columns.shape
    width = images.shape[2]
    source = images.reshape(batch, images.shape[1], width * channels)
    target = columns.reshape(batch, oh, ow, kh, kw * channels)
    run = kw * channels
    for b in range(batch):
        for y in range(oh):
            for x in range(ow):
                start = x * sw * channels
                for i in range(kh):
                    for k in range(run):
                        target[b, y, x, i, k] = source[b, y * sh + i, start + k]


@compiled
def col2im(columns: Array, images: Array, sh: int, sw: int) -> None:
    """Add windows to the images that they were copied from."""
    batch, oh, ow, kh, kw, channels = columns.shape
    width = images.shape[2]
    target = images.reshape(batch, images.shape[1], width * channels)
    source = columns.reshape(batch, oh, ow, kh, kw * channels)
    run = kw * channels
    images[:] = 0
    for b in range(batch):
        for y in range(oh):
            for x in range(ow):
                start = x * sw * channels
                for i in range(kh):
                    for k in range(run):
                        target[b, y * sh + i, start + k] += source[b, y, x, i, k]
