"""Small images as PNG files, written with zlib alone. ISO/IEC 15948."""

from __future__ import annotations

import base64
import struct
import zlib

from nnreg._types import Array


def png(pixels: Array) -> bytes:
    """Return RGB pixels, uint8 `(height, width, 3)`, as a PNG file."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def data_uri(pixels: Array) -> str:
    """Return an image as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
