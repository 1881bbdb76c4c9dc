"""Checkpoints with mutated HDF5 structures, and other HDF5 files in the place of checkpoints."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TypeAlias

import h5py
import numpy as np

from nnreg import CheckpointError
from nnreg.checkpoint.file_format import HEADER_BYTES, Checkpoint, decode
from nnreg.checkpoint.hdf5.reading import read_arrays
from tests.security.fuzz import checksums, corpus, mutations
from tests.security.harness import signed

Outcome: TypeAlias = tuple[str, str]

NUMBERS = (0, 1, 2, 3, 8, 9, 32, 33, 255, 256, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**40, 2**63,
           2**64 - 9, 2**64 - 1)  # fmt: skip
"""Numbers that are put into structures, as far as they fit."""


class Seed:
    """The HDF5 part of a file, and what mutations need to know about it."""

    def __init__(self, data: bytes, spans: list[checksums.Span]) -> None:
        self.body = data[HEADER_BYTES:]
        self.version = data.split(b"\n")[1].split()[1].decode()
        self.spans = [(start - HEADER_BYTES, at - HEADER_BYTES, end - HEADER_BYTES)
                      for start, at, end in spans]  # fmt: skip
        words = np.lib.stride_tricks.sliding_window_view(np.frombuffer(self.body, np.uint8), 8)
        values = words.copy().view("<u8")[:, 0]
        self.fields = np.flatnonzero((values >= 96) & (values < len(self.body))).tolist()
        self.structures = sorted(
            {int(values[field]) for field in self.fields}
            | {start for start, _, _ in self.spans}
            | {0}
        )


class Structures:
    """Files of the corpus with mutated structures, whose checksums and digest are right."""

    memory = 100 << 20
    """The bytes that all cases together may take; the largest file has 46,000."""

    def __init__(self, _: Path) -> None:
        files = sorted(corpus.checkpoints().items())
        self.content = [decode(data, name) for name, data in files]
        self.checkpoints = [Seed(data, []) for _, data in files]
        self.others = [Seed(data, spans) for data, spans in corpus.others().values()]

    def run(self, rng: Random) -> Outcome:
        """Read the file, and compare what is read with what h5py reads."""
        data = self.mutated(rng)
        try:
            content = decode(data, "case")
        except CheckpointError as error:
            return "CheckpointError", str(error)
        return _compared(data, content, self.content)

    def mutated(self, rng: Random) -> bytes:
        """Return a file."""
        every = self.checkpoints + self.others
        seed = rng.choice(self.checkpoints if rng.random() < 0.6 else self.others)
        body = seed.body
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            body = _mutated(rng, body, seed, rng.choice(every))
        if rng.random() < 0.8:
            body = _with_end(body)
        body = checksums.restored(body, seed.spans, seed.body)
        return signed(body, seed.version)


def _mutated(rng: Random, body: bytes, seed: Seed, other: Seed) -> bytes:
    match rng.randrange(10):
        case 0:
            return mutations.bytes_of(rng, body)
        case 1:
            return body[: rng.randrange(len(body) + 1)]
        case 2:
            return body[: rng.randrange(len(body) + 1)] + other.body[rng.choice(other.structures) :]
        case 3:
            start, source = rng.choice(seed.structures), rng.choice(other.structures)
            return _replaced(body, start, other.body[source : source + rng.choice((8, 40, 300))])
        case 4 | 5 | 6 if seed.fields:
            field = rng.choice(seed.fields)
            value = rng.choice((rng.choice(seed.structures), rng.choice(NUMBERS),
                                rng.randrange(len(body) + 1)))  # fmt: skip
            return _replaced(body, field, struct.pack("<Q", value))
        case _:
            start = rng.choice(seed.structures) + rng.randrange(rng.choice((9, 33, 80)))
            size = rng.choice((1, 1, 2, 4, 8))
            value = rng.choice((rng.choice(NUMBERS), rng.getrandbits(64)))
            return _replaced(body, start, struct.pack("<Q", value)[:size])


def _replaced(body: bytes, start: int, new: bytes) -> bytes:
    return (body[:start] + new + body[start + len(new) :])[: max(len(body), start)]


def _with_end(body: bytes) -> bytes:
    """Return a file whose superblock states its length."""
    at = 40 if body[8:9] in (b"\0", b"\1") else 28
    return _replaced(body, at, struct.pack("<Q", len(body) + HEADER_BYTES))


def _compared(data: bytes, content: Checkpoint, known: list[Checkpoint]) -> Outcome:
    """Return whether the content is that of a file of the corpus, or as h5py reads it."""
    if any(same(content, one) for one in known):
        return "same", ""
    agrees = agrees_with_h5py(data)
    if agrees is None:
        return "h5py refuses", ""  # the list of free bytes in a heap, which nnreg ignores
    if not agrees:
        return "silent change", "h5py reads other arrays"
    return "other values", ""


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Return True for the same content."""
    return one.document == other.document and equal(one.arrays, other.arrays)


def equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Return True for the same arrays."""
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def agrees_with_h5py(data: bytes) -> bool | None:
    """Return whether h5py reads the same arrays from a file; None if it reads none."""
    stored = read_arrays(data, HEADER_BYTES)  # as they are in the file, of whatever version
    try:
        with h5py.File.in_memory(data) as file:
            seen = {name: file[name][()] for name in stored}
    except (OSError, KeyError, RuntimeError):
        return None
    return equal(stored, seen)
