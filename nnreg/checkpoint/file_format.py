"""The checkpoint file: everything needed for resuming a run, as plain data.

A file is a 512-byte header with a SHA-256 of the rest, then an HDF5 file without compression, links
or values of variable length; text is stored as UTF-8 bytes. The HDF5 library writes to memory only,
and reads nothing; the file is written to a temporary file and renamed, so that a crash leaves the
old or the new one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils import json_text
from nnreg._utils.atomic_files import Chunks, Replace, replace_file
from nnreg._utils.memory import memory_limit
from nnreg._utils.os_errors import explain_os_error, os_errors_as
from nnreg._utils.threads import CallerExecutor, start_threads
from nnreg.checkpoint.hdf5.objects import MAX_RANK, TYPES
from nnreg.checkpoint.hdf5.reading import check_paths, read_arrays
from nnreg.checkpoint.migrations import FORMAT, migrate
from nnreg.errors import CheckpointError, FormatError, SpecError
from nnreg.spec import jsonc
from nnreg.spec.jsonc import UNPAIRED_SURROGATE

MAGIC = b"nnreg checkpoint\n"
HEADER_BYTES = 512
MAX_DOCUMENT_BYTES = 1 << 22
MAX_JSON_VALUES = 400_000
"""The maximum of the document's bytes, and of its approximate number of values: a value of two
bytes, such as an empty list, takes a hundred when it is parsed."""

COPIES_IN_MEMORY = 4
"""The maximum number of copies of a file in memory while it is read."""

THREAD_BYTES = 1 << 20
"""The bytes from which on a thread pays off: these take half a millisecond."""

CheckListener: TypeAlias = Callable[[str], None]
"""Called with the description of each check that a file passes."""


def no_listener(_: str) -> None:
    """Ignore a passed check."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: a JSON document, and arrays by name."""

    document: Mapping[str, Any]
    arrays: Mapping[str, Array]


def write_checkpoint(
    path: Path, checkpoint: Checkpoint, replace: Replace = replace_file, *, check: bool = True
) -> None:
    """Write a file atomically. Raises `CheckpointError` if it cannot be written.

    What a reader would refuse is not written, so that it replaces no good file; without `check`,
    the document is known to be readable.
    """
    body = check_readable(path, checkpoint, check=check)
    with os_errors_as(CheckpointError, path, "cannot save"):
        replace(path, _file(body))


def check_readable(path: Path, checkpoint: Checkpoint, *, check: bool = True) -> list[memoryview]:
    """Return the bytes after the header, in chunks that share the memory of the arrays.

    Raises `CheckpointError` for what `decode` would refuse; see `write_checkpoint`.
    """
    try:
        return _body(checkpoint, check=check)
    except (FormatError, SpecError) as error:
        hint = ""
        if UNPAIRED_SURROGATE in str(error):
            hint = "\nA name of a file, directory or class is not UTF-8; rename it"
        raise CheckpointError(f"{path}: cannot save: {error}{hint}") from error


def read_checkpoint(path: Path, on_check: CheckListener = no_listener) -> Checkpoint:
    """Read and verify a file; `on_check` is called with each passed check.

    Raises `CheckpointError` for a file that is damaged, adversarial or not a checkpoint.
    """
    return decode(_read(path, on_check), str(path), on_check)


def is_checkpoint(path: Path) -> bool:
    """Return True if a file has the magic of checkpoints; False if it cannot be read."""
    try:
        with open(path, "rb", opener=_open) as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def decode(
    data: bytes | memoryview, where: str, on_check: CheckListener = no_listener
) -> Checkpoint:
    """Return the content of a file, given its bytes; see `read_checkpoint`."""
    version = verify(data, where, on_check)
    try:
        arrays = read_arrays(data, HEADER_BYTES)
        count, values = len(arrays), sum(array.nbytes for array in arrays.values())
        on_check(
            f"{count} plain arrays of {values:,} bytes, none of which overlap, and nothing else"
        )
        document = _document(arrays.pop("document", None))
        migrate(version, document, arrays)
    except (FormatError, SpecError) as error:
        raise CheckpointError(f"{where}: not a well-formed checkpoint: {error}") from error
    on_check("the document is strict JSON")
    return Checkpoint(document, arrays)


def verify(data: bytes | memoryview, where: str, on_check: CheckListener = no_listener) -> int:
    """Check magic, version, length and digest without the HDF5 library, and return the version.

    Raises `CheckpointError`.
    """
    version = _check_head(bytes(data[:HEADER_BYTES]), len(data), where)
    body = memoryview(data)[HEADER_BYTES:]
    on_check(f"format {version}; its header states the {len(body):,} bytes that follow")
    header = _header([body], version)
    if data[:HEADER_BYTES] != header:
        raise CheckpointError(f"{where}: damaged: the content does not match its SHA-256")
    on_check(f"the SHA-256 in its header matches, {_fields(header)['sha256'][:16]}…")
    return version


def _read(path: Path, on_check: CheckListener) -> memoryview:
    """Return the content of a regular file that fits into the memory of this machine."""
    try:
        file = open(path, "rb", opener=_open)  # noqa: SIM115 - only an invalid name raises ValueError
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot read: {explain_os_error(error, path)}") from error
    try:
        with file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CheckpointError(f"{path}: not a regular file")
            size, memory = status.st_size, memory_limit()
            head = file.read(HEADER_BYTES)
            _check_head(head, size, str(path))
            if memory is not None and COPIES_IN_MEMORY * size > memory:
                raise CheckpointError(
                    f"{path}: {size:,} bytes are too large for {memory:,} bytes of memory"
                )
            file.seek(0)
            buffer = np.empty(size, np.uint8).data  # NumPy's memory has large pages
            data = buffer[: file.readinto(buffer)]
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {explain_os_error(error, path)}") from error
    on_check(f"a regular file of {size:,} bytes")
    return data


def _open(path: str, flags: int) -> int:
    """Open a file without blocking, even if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _document(stored: Array | None) -> dict[str, Any]:
    """Parse the document. Raises `FormatError` or `SpecError`."""
    if stored is None or stored.ndim != 1 or stored.dtype != np.uint8:
        raise FormatError("its document is missing, or not an array of bytes")
    try:
        text = stored.tobytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(str(error)) from error
    _check_size(text)
    document = jsonc.parse(text, "its document")
    if not isinstance(document, dict):
        raise FormatError("its document is not a JSON object")
    return document


def _check_size(text: str) -> None:
    """Raise `FormatError` for a document that would need much memory and time."""
    values = jsonc.values(text)
    if len(text) > MAX_DOCUMENT_BYTES or values > MAX_JSON_VALUES:
        raise FormatError(
            f"a document of {len(text):,} bytes and about {values:,} values is too large; "
            f"the maximum is {MAX_DOCUMENT_BYTES:,} bytes and {MAX_JSON_VALUES:,} values"
        )


def _body(checkpoint: Checkpoint, *, check: bool) -> list[memoryview]:
    """Return the bytes after the header, in chunks: the arrays are not copied.

    Raises `FormatError` or `SpecError` for what `decode` would refuse.
    """
    from nnreg.checkpoint.hdf5.writing import write_image

    document = np.frombuffer(json_text.dumps(checkpoint.document).encode(), np.uint8)
    if check:
        _document(document)
    arrays = {"document": document}
    check_paths([*arrays, *checkpoint.arrays])
    for name, array in checkpoint.arrays.items():
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        if little.dtype not in TYPES.values():
            raise ValueError(f"{name!r} has the type {array.dtype}")
        if array.ndim > MAX_RANK:
            raise FormatError(f"{name!r} has {array.ndim} dimensions; the maximum is {MAX_RANK}")
        arrays[name] = little.reshape(array.shape)
    return write_image(arrays, HEADER_BYTES)


def _file(body: list[memoryview]) -> Chunks:
    """Yield the chunks of the file; that of a large one is hashed while it is written."""
    if sum(map(len, body)) < THREAD_BYTES:
        yield 0, b"".join([_header(body, FORMAT), *body])
        return
    with start_threads(1) or CallerExecutor() as thread:
        header = thread.submit(_header, body, FORMAT)
        offset = HEADER_BYTES
        for chunk in body:
            yield offset, chunk
            offset += len(chunk)
        yield 0, header.result()


def _header(body: list[memoryview], version: int) -> bytes:
    head = MAGIC + f"format {version}\nbytes {sum(map(len, body))}\n".encode()
    digest = hashlib.sha256(head)
    for chunk in body:
        digest.update(chunk)
    return (head + f"sha256 {digest.hexdigest()}\n".encode()).ljust(HEADER_BYTES, b"\0")


def _check_head(head: bytes, size: int, where: str) -> int:
    """Return the version of a file of `size` bytes, or raise `CheckpointError`."""
    if not head.startswith(MAGIC):
        raise CheckpointError(f"{where}: not a checkpoint of nnreg")
    fields = _fields(head)
    version = fields.get("format", "?")
    if version not in map(str, range(1, FORMAT + 1)):
        raise CheckpointError(
            f"{where}: format {version!r}, but this nnreg reads formats up to {FORMAT}; "
            "update nnreg, or the file is damaged"
        )
    if fields.get("bytes") != str(size - HEADER_BYTES):
        raise CheckpointError(
            f"{where}: truncated or extended: {max(size - HEADER_BYTES, 0):,} bytes follow "
            f"its header, which states {fields.get('bytes', 'nothing')!r}"
        )
    return int(version)


def _fields(head: bytes) -> dict[str, str]:
    """Return the fields of a header."""
    lines = head.decode("latin-1").split("\n")
    return dict(line.split(" ", 1) for line in lines if " " in line)
