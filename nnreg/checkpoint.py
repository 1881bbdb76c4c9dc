"""The checkpoint file: everything a run needs to go on, as plain data.

A file is a 512-byte block with a SHA-256 over what follows, then an HDF5 file without compression,
links, or values of variable length; text is stored as bytes of UTF-8. HDF5 lays it out in memory
and never writes to a disk; the file is moved into place whole, so that a crash leaves the old one
or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg.errors import CheckpointError
from nnreg.files import Pieces, replace_file
from nnreg.interfaces import Array

if TYPE_CHECKING:
    from nnreg.hdf5 import h5py

FORMAT = 1
MAGIC = b"nnreg checkpoint\n"
BLOCK = 512
DTYPES = frozenset({"<f4", "<f8", "<i8", "|u1"})


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: a document of JSON, and arrays by name."""

    document: Mapping[str, Any]
    arrays: Mapping[str, Array]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a file so that at any moment the old one or the new one is there, whole.

    Raises `CheckpointError` where the folder cannot be written to.
    """
    try:
        replace_file(path, _file(_body(checkpoint)))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot save: {error.strerror or error}") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a file. Raises `CheckpointError` for one that is damaged or foreign."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror or error}") from error
    _verify(path, data)
    from nnreg.hdf5 import h5py, plain_datasets

    try:
        with h5py.File.in_memory(data) as file:
            datasets = plain_datasets(file)
            total = sum(_size(name, dataset) for name, dataset in datasets.items())
            if total > len(data):
                raise ValueError("the arrays claim more bytes than the file has")
            arrays = {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
        document = json.loads(arrays.pop("document").tobytes().decode("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a well-formed checkpoint: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: not a well-formed checkpoint: no document")
    return Checkpoint(document, arrays)


def _size(name: str, dataset: h5py.Dataset) -> int:
    """Return the bytes of an array, or raise ValueError for what the format does not have."""
    if dataset.dtype.str not in DTYPES:
        raise ValueError(f"{name!r} has the type {dataset.dtype}")
    if dataset.chunks is not None or dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name!r} is chunked or compressed")
    size = int(dataset.size or 0) * int(dataset.dtype.itemsize)
    if dataset.size is None or (size and dataset.id.get_storage_size() != size):
        raise ValueError(f"{name!r} declares values that the file does not hold")
    return size


def _body(checkpoint: Checkpoint) -> list[memoryview]:
    """Return the bytes that follow the block, in pieces: the arrays are not copied."""
    from nnreg.hdf5 import layout

    text = json.dumps(checkpoint.document, allow_nan=False).encode()
    arrays = {"document": np.frombuffer(text, np.uint8)}
    for name, array in checkpoint.arrays.items():
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        if little.dtype.str not in DTYPES:
            raise ValueError(f"{name!r} has the type {array.dtype}")
        arrays[name] = little.reshape(array.shape)
    return layout(arrays, BLOCK)


def _file(body: list[memoryview]) -> Pieces:
    """Yield the pieces of the file; the block comes last, hashed while the rest was written."""
    with ThreadPoolExecutor(1) as thread:
        block = thread.submit(_block, body)
        place = BLOCK
        for piece in body:
            yield place, piece
            place += len(piece)
        yield 0, block.result()


def _block(body: list[memoryview]) -> bytes:
    head = MAGIC + f"format {FORMAT}\nbytes {sum(map(len, body))}\n".encode()
    digest = hashlib.sha256(head)
    for piece in body:
        digest.update(piece)
    return (head + f"sha256 {digest.hexdigest()}\n".encode()).ljust(BLOCK, b"\0")


def _verify(path: Path, data: bytes) -> None:
    """Check magic, version, length and digest before the HDF5 library sees a byte."""
    if not data.startswith(MAGIC):
        raise CheckpointError(f"{path}: not a checkpoint of nnreg")
    fields = dict(
        line.split(" ", 1) for line in data[:BLOCK].decode("latin-1").split("\n") if " " in line
    )
    version = fields.get("format", "?")
    if version != str(FORMAT):
        raise CheckpointError(
            f"{path}: format {version}, but this nnreg reads format {FORMAT}; update nnreg"
        )
    body = data[BLOCK:]
    if fields.get("bytes") != str(len(body)):
        raise CheckpointError(
            f"{path}: cut short or extended: it has {len(body)} bytes after its header, which "
            f"says {fields.get('bytes', 'nothing')}"
        )
    if data[:BLOCK] != _block([memoryview(body)]):
        raise CheckpointError(f"{path}: damaged: the bytes do not match their SHA-256")
