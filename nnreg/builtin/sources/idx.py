"""IDX, the format of MNIST: one array a file, its sizes in front."""

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
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.table import Table

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file says how its values are stored, the high byte first."""

MAX_COMPRESSION_RATIO = 1032
"""The most bytes that a byte of gzip stands for: 258 of a run, in two bits (RFC 1951)."""


@dataclass(frozen=True)
class Idx(Source):
    """MNIST's format (LeCun, Cortes and Burges 1998), as it is or compressed with gzip.

    The file of images becomes the column `image`. Their labels are in a second file and become
    `label`: by default that beside the first whose name has `labels` for `images` and `idx1` for
    `idx3`, such as `train-labels-idx1-ubyte.gz`. Without such a file there is no `label`.

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
            raise DataError(f"{path}: {lengths[0]} images, but {lengths[1]} labels beside it")
        without = "" if "label" in columns else " (without a file of labels)"
        return Table(columns, f"{path}{without}")

    def files(self, path: Path) -> Sequence[Path]:
        if self.labels is not None:
            return path, path.parent / self.labels
        labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        return (path, labels) if labels != path and labels.exists() else (path,)


def _array(path: Path) -> Array:
    """Read an array, of which no more is made than the size of the file justifies."""
    with path.open("rb") as raw:
        size = path.stat().st_size
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        file = gzip.GzipFile(fileobj=raw) if packed else raw
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
            if count > size * (MAX_COMPRESSION_RATIO if packed else 1):
                raise DataError(f"{path}: it declares {count:,} bytes, more than it can hold")
            data = file.read(count + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: not a whole file of gzip: {error}") from error
    if len(data) != count:
        found = f"{len(data):,}" if len(data) < count else "more"
        raise DataError(f"{path}: it declares {count:,} bytes, but has {found}")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
