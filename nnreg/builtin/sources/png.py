"""PNG (ISO/IEC 15948:2004) to arrays, on zlib and NumPy."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.sources.deflate import MOST_INFLATION

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST_FILTER = 4

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""What the pixels are made of."""

SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
DEPTHS = {
    GRAY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GRAY_ALPHA: (8, 16),
    RGBA: (8, 16),
}


class PngError(ValueError):
    """What is wrong with a file."""


@dataclass(frozen=True)
class Png:
    """A file taken apart: its size, the bits of a sample, the kind of pixels, what is packed."""

    width: int
    height: int
    depth: int
    kind: int
    packed: bytes
    palette: Array | None

    @property
    def shape(self) -> Shape:
        """Height, width, and values of a pixel."""
        return self.height, self.width, 3 if self.kind == PALETTE else SAMPLES[self.kind]

    @property
    def stride(self) -> int:
        """The bytes of a line."""
        return -(-self.width * SAMPLES[self.kind] * self.depth // 8)

    @property
    def inflated(self) -> int:
        """The bytes of all lines, each with its filter's number in front."""
        return self.height * (self.stride + 1)

    def inflate(self) -> Array:
        """Return the lines `(height, 1 + stride)`, each with the number of its filter in front.

        Raises `PngError`.
        """
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(self.packed, self.inflated + 1)
        except zlib.error as error:
            raise PngError(f"its pixels cannot be decompressed: {error}") from error
        if len(data) != self.inflated:
            raise PngError("it has not as many pixels as it declares")
        lines = np.frombuffer(data, np.uint8).reshape(self.height, self.stride + 1)
        if lines[:, 0].max() > MOST_FILTER:
            raise PngError(f"a line has the filter {lines[:, 0].max()}, which there is not")
        return lines


def parse(data: bytes) -> Png:
    """Take a file apart. Raises `PngError`."""
    if not data.startswith(SIGNATURE):
        raise PngError(f"not a PNG: it begins with {data[:8]!r}")
    chunks = _chunks(data)
    name, header = next(chunks)
    if name != b"IHDR" or len(header) != 13:
        raise PngError("it does not begin with a header")
    width, height, depth, kind, *methods, interlaced = struct.unpack(">IIBBBBB", header)
    if depth not in DEPTHS.get(kind, ()) or any(methods) or not width or not height:
        raise PngError(f"{width} x {height} pixels of {depth} bits and kind {kind} are not PNG")
    if interlaced:
        raise PngError("it is interlaced; save it without")
    palette, packed = None, []
    for name, content in chunks:
        if name == b"PLTE":
            if len(content) % 3:
                raise PngError("its palette ends within a colour")
            palette = np.frombuffer(content, np.uint8).reshape(-1, 3)
        elif name == b"IDAT":
            packed.append(content)
        elif name[:1].isupper() and name != b"IEND":
            raise PngError(f"it has a part {name!r}, which no reader may skip")
    if kind != PALETTE:
        palette = None  # the colours that a poor screen should take
    elif palette is None:
        raise PngError("it has no palette")
    png = Png(width, height, depth, kind, b"".join(packed), palette)
    if png.inflated > MOST_INFLATION * len(png.packed):
        raise PngError(f"it declares {png.inflated:,} bytes, more than it can hold")
    return png


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        if len(data) < place + 12:
            raise PngError("the file ends too early")
        length, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        place += length + 12
        if len(data) < place:
            raise PngError("the file ends too early")
        if zlib.crc32(content, zlib.crc32(name)) != struct.unpack_from(">I", data, place - 4)[0]:
            raise PngError(f"its part {name!r} is damaged: the checksum differs")
        yield name, content


def pixels(png: Png, lines: Array) -> Array:
    """Return `(images, height, width, values)` of the lines of images that are all like `png`.

    `lines` are `(images, height, 1 + stride)`. Values are uint8 or uint16; those of fewer bits than
    8 are spread over the whole range, as other readers do. Raises `PngError`.
    """
    flat = unfiltered(lines, max(SAMPLES[png.kind] * png.depth // 8, 1))
    shape = (len(lines), png.height, png.width, SAMPLES[png.kind])
    if png.depth == 16:
        return flat.view(">u2").astype(np.uint16).reshape(shape)
    if png.depth < 8:
        bits = np.unpackbits(flat, axis=-1).reshape(*flat.shape[:2], -1, png.depth)
        weights = (1 << np.arange(png.depth)[::-1]).astype(np.uint8)
        flat = (bits @ weights)[..., : png.width]
        if png.kind == GRAY:
            flat = flat * np.uint8(255 // (2**png.depth - 1))
    values = flat.reshape(shape)
    if png.palette is None:
        return values
    if values.max() >= len(png.palette):
        raise PngError("a pixel has a colour that the palette has not")
    colours: Array = png.palette[values[..., 0]]
    return colours


def unfiltered(lines: Array, size: int) -> Array:
    """Return the bytes of images `(images, height, stride)` whose pixels have `size` bytes.

    Each byte was stored as its difference from a prediction: by the pixel to the left, above, both,
    or the nearest of three (Paeth 1991). All pixels on a diagonal are predicted at once, of all
    images: those they need are on the two diagonals before.
    """
    filters, data = lines[..., 0], lines[..., 1:]
    if not filters.any():
        return np.ascontiguousarray(data)
    count, height, stride = data.shape
    width = stride // size
    rows = data.reshape(count, height, width, size).transpose(1, 2, 0, 3)
    kinds = filters.T[:, :, None]
    left_of, above, both, paeth = (kinds == kind for kind in (1, 2, 3, 4))
    diagonals = np.zeros((width + height + 1, height + 1, count, size), np.uint8)
    for row in range(height):  # the pixel (row, column) goes to [row + column + 2, row + 1]
        diagonals[row + 2 : row + 2 + width, row + 1] = rows[row]
    for number in range(2, width + height + 1):
        here = slice(max(number - 1 - width, 0), min(number - 1, height))
        there = slice(here.start + 1, here.stop + 1)
        a = diagonals[number - 1, there].astype(np.int16)
        b = diagonals[number - 1, here].astype(np.int16)
        c = diagonals[number - 2, here].astype(np.int16)
        predicted = np.where(left_of[here], a, 0) + np.where(above[here], b, 0)
        predicted += np.where(both[here], (a + b) >> 1, 0)
        predicted += np.where(paeth[here], _nearest(a, b, c), 0)
        diagonals[number, there] += predicted.astype(np.uint8)
    result = np.empty((count, height, width, size), np.uint8)
    for row in range(height):
        result[:, row] = diagonals[row + 2 : row + 2 + width, row + 1].transpose(1, 0, 2)
    return result.reshape(count, height, stride)


def _nearest(a: Array, b: Array, c: Array) -> Array:
    """Return which of left, above and above left is nearest to a + b - c; the first of equals."""
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest: Array = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    return nearest
