"""The windows of convolutions as columns, and back."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.windows import Pair, rows_of_windows


class ConvolutionKernels:
    """Copies between images and the columns that convolutions multiply."""

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window of `(batch, height, width, channels)`.

        `columns` is `(batch, out height, out width, kernel height, kernel width, channels)`.
        """
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                windows[...] = rows
            return
        for i in range(kh):
            for j in range(kw):
                columns[:, :, :, i, j] = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Add windows to the images that they were copied from."""
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        images[...] = 0
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                np.add(rows, windows, out=rows)
            return
        for i in range(kh):
            for j in range(kw):
                part = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]
                np.add(part, columns[:, :, :, i, j], out=part)
