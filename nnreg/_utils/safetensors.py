"""The file format safetensors: arrays by name, and texts by name.

The length of a header as 8 bytes, the header as JSON, then the values of the arrays one after the
other: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils import json_text
from nnreg.errors import FormatError

MAX_HEADER_BYTES = 1 << 22
"""The most bytes of a header: about 40,000 arrays."""

MAX_RANK = 16
"""The most axes of an array."""

METADATA = "__metadata__"
"""The key of the header that has texts; the others are names of arrays."""

TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
"""The type of NumPy of each type; NumPy has no bfloat16, which is the upper half of a float32."""


def encode(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return the content of a file with these floating-point arrays and texts."""
    header: dict[str, Any] = {METADATA: dict(metadata)}
    start, parts = 0, []
    for name, array in arrays.items():
        kind = f"F{8 * array.itemsize}"
        content = np.ascontiguousarray(array, TYPES[kind]).tobytes()
        offsets = [start, start := start + len(content)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        parts.append(content)
    text = json_text.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the values begin at a multiple of 8
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def decode(content: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays, which share the memory of the content, and the texts.

    Raises `FormatError` unless the values of the arrays fill the rest of the file exactly.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise FormatError("it ends within its header: the file is incomplete, or no safetensors")
    if length > MAX_HEADER_BYTES:
        raise FormatError(f"the header has {length:,} bytes; the most are {MAX_HEADER_BYTES:,}")
    header = _header(content[8 : 8 + length])
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(one, str) for one in metadata.values()):
        raise FormatError(f"{METADATA} is not an object of texts")
    data = memoryview(content)[8 + length :]
    spans = {name: _span(name, entry) for name, entry in header.items()}
    end = 0
    for name, (start, stop) in sorted(spans.items(), key=lambda one: one[1]):
        if start != end:
            raise FormatError(f"the values of {name!r} do not begin where those before end")
        end = stop
    if end != len(data):
        raise FormatError(f"the arrays have {end:,} bytes, and the file has {len(data):,} of them")
    arrays = {name: _array(name, header[name], data[slice(*span)]) for name, span in spans.items()}
    return arrays, metadata


def _header(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise FormatError("the header has a key twice")
        return found

    try:
        header = json.loads(text.decode(), object_pairs_hook=once)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FormatError("the header is not an object")
    return header


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Return where the values of an array begin and end, if these are as many as its shape says."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{name!r} has not the keys dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise FormatError(f"{name!r} has the unknown type {kind!r}; save it as F32")
    if not _sizes(shape) or not _sizes(offsets) or len(shape) > MAX_RANK or len(offsets) != 2:
        raise FormatError(f"{name!r} has an impossible shape or offset")
    size = math.prod(shape) * np.dtype(TYPES[kind]).itemsize
    if offsets[1] - offsets[0] != size:
        raise FormatError(f"{name!r} has not the {size:,} bytes of its shape {shape}")
    return offsets[0], offsets[1]


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in values)


def _array(name: str, entry: Mapping[str, Any], data: memoryview) -> Array:
    values: Array = np.frombuffer(data, TYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    try:
        return values.reshape(entry["shape"])
    except ValueError as error:  # an empty array whose other axes are too long
        raise FormatError(f"{name!r} has an impossible shape") from error
