"""IDX, the format of MNIST: one array per file, after its sizes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Len

from nnreg._types import Array
from nnreg._utils.memory import require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.table import Table

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""NumPy's types by the third byte of a file; values are big-endian."""

MAX_COMPRESSION_RATIO = 1032
"""The most bytes per byte of gzip: a match of 258 bytes takes two bits (RFC 1951)."""


@dataclass(frozen=True)
class Idx(Source):
    """MNIST's format (LeCun, Cortes and Burges 1998), also compressed with gzip.

    The file of images is the column `image`. A second file, `labels`, is the column `label`. By
    default it is the file in the same directory whose name has `labels` instead of `images` and
    `idx1` instead of `idx3`, such as `train-labels-idx1-ubyte.gz`. Without such a file there is no
    `label`.

    Options:
        labels: path of the file of labels; null for the default beside the file of images
    """

    suffixes = ("-ubyte", ".idx")

    labels: Annotated[str, Len(1)] | None = None

    def read(self, path: Path) -> Table:
        columns = {}
        for name, file in zip(("image", "label"), self.files(path), strict=False):
            columns[name] = _array(file)
        lengths = [len(column) for column in columns.values()]
        if len(set(lengths)) > 1:
            raise DataError(f"{path}: {lengths[0]} images, but {lengths[1]} labels")
        without = "" if "label" in columns else " (without a file of labels)"
        return Table(columns, f"{path}{without}")

    def files(self, path: Path) -> Sequence[Path]:
        if self.labels is not None:
            return path, path.parent / self.labels
        labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        return (path, labels) if labels != path and labels.exists() else (path,)


def _array(path: Path) -> Array:
    """Read an array; allocate no more than the file's size allows."""
    with path.open("rb") as raw:
        size = path.stat().st_size
        compressed = raw.peek(2)[:2] == b"\x1f\x8b"
        file = gzip.GzipFile(fileobj=raw) if compressed else raw
        try:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not start[3]:
                raise DataError(f"{path}: not an IDX file: it begins with {start!r}")
            sizes = file.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise DataError(f"{path}: the file ends within its sizes")
            shape = struct.unpack(f">{start[3]}I", sizes)
            dtype = np.dtype(TYPES[start[2]])
            count = math.prod(shape) * dtype.itemsize
            if count > size * (MAX_COMPRESSION_RATIO if compressed else 1):
                raise DataError(f"{path}: it declares {count:,} bytes, more than it can hold")
            require_memory(2 * count, f"{path}, an array of the shape {shape}")  # it is copied
            data = file.read(count + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: not a complete gzip file: {error}") from error
    if len(data) != count:
        found = f"{len(data):,}" if len(data) < count else "more"
        raise DataError(f"{path}: it declares {count:,} bytes, but has {found}")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
