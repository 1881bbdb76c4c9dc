"""The files from which fuzzing of HDF5 structures starts.

They are the checkpoints of every format, and HDF5 files with structures that checkpoints do not
have: `python -m tests.security.fuzz.corpus` writes those, each with a valid header of a checkpoint,
and `spans.json`, which locates their checksums. Files that once crashed a reader are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from nnreg.checkpoint.file_format import HEADER_BYTES
from tests.helpers.paths import ROOT
from tests.security.fuzz import checksums
from tests.security.harness import signed

DIRECTORY = Path(__file__).parent / "corpus"
GOLDEN = ROOT / "tests" / "checkpoint" / "golden"

FILES: dict[str, tuple[str | None, Callable[[h5py.File], None]]] = {}
"""The version of the structures of each file, and the function that fills it."""


def seed(libver: str | None) -> Callable[..., None]:
    """Register a function that fills a file."""

    def register(fill: Callable[[h5py.File], None]) -> None:
        FILES[fill.__name__] = libver, fill

    return register


@seed("latest")
def links_in_headers(file):
    file["a/b/c"] = np.arange(5.0)
    file["d"] = h5py.SoftLink("/a")
    file["e"] = h5py.ExternalLink("other.h5", "/x")
    file["f"] = file["a/b"]


@seed("latest")
def links_in_a_heap(file):
    for number in range(40):
        file.create_group(f"group with a long name {number}")


@seed("latest")
def links_in_the_order_of_creation(file):
    group = file.create_group("ordered", track_order=True)
    for number in range(12):
        group[f"n{number}"] = np.arange(3, dtype="f4")


@seed(None)
def old_and_new_groups(file):
    """Write groups of both formats, and many attributes, below a superblock of version 0."""
    group = file.create_group("new", track_order=True)
    for number in range(20):
        group.create_group(f"n{number}")
    file["old/x"] = np.zeros((2, 2))
    file["old"].attrs["text"] = "of variable length"
    file["old"].attrs["numbers"] = np.arange(4)


@seed("latest")
def attributes_in_a_heap(file):
    data = file.create_dataset("x", data=np.arange(4.0))
    for number in range(20):
        data.attrs[f"attribute {number}"] = np.arange(number)


@seed("latest")
def chunk_indexes(file):
    """Write one chunk, an implicit index, a fixed and an extensible array, and a B-tree."""
    x = np.arange(64.0).reshape(8, 8)
    file.create_dataset("single", data=x, chunks=(8, 8), compression="gzip")
    file.create_dataset("fixed", data=x, chunks=(2, 2), compression="gzip")
    file.create_dataset("extensible", data=x, chunks=(2, 2), maxshape=(None, 8))
    file.create_dataset("tree", data=x, chunks=(2, 4), maxshape=(None, None), fletcher32=True)
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((4, 4))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((8, 8))
    h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F64LE, space, early)


@seed(None)
def old_chunks(file):
    x = np.arange(64.0).reshape(8, 8)
    file.create_dataset("zipped", data=x, chunks=(2, 4), compression="gzip", shuffle=True)
    file.create_dataset("checked", data=x, chunks=(2, 4), fletcher32=True, maxshape=(None, 8))
    file.create_dataset("lzf", data=x, chunks=(8, 4), compression="lzf", scaleoffset=None)
    file.create_dataset("filled", shape=(6,), dtype="i2", fillvalue=7)


@seed(None)
def types(file):
    file["text"] = ["a", "variable", "length"]
    file["fixed"] = np.array([b"ab", b"cd"])
    file["records"] = np.zeros(2, [("a", "f4"), ("b", "i8", (2,)), ("c", "S3")])
    file.create_dataset("enum", data=[1, 2], dtype=h5py.enum_dtype({"A": 1, "B": 2}, "i2"))
    file.create_dataset("rows", (2,), dtype=h5py.vlen_dtype("f4"))[0] = np.zeros(3)
    file["reference"] = file["records"].ref
    file["named"] = np.dtype("f8")
    file.create_dataset("x", shape=(4,), dtype="f8", external=[("other", 0, 32)])
    file["empty"] = h5py.Empty("f4")


@seed("latest")
def virtual(file):
    layout = h5py.VirtualLayout(shape=(4, 4), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4, 4))
    file.create_virtual_dataset("x", layout)


def checkpoints() -> dict[str, bytes]:
    """Return the checkpoints of every format by path."""
    return {str(path.relative_to(GOLDEN)): path.read_bytes() for path in GOLDEN.rglob("*.h5")}


def others() -> Mapping[str, tuple[bytes, list[checksums.Span]]]:
    """Return the other files by name, with their structures that have checksums."""
    spans = json.loads((DIRECTORY / "spans.json").read_text())
    return {name: ((DIRECTORY / name).read_bytes(), [tuple(s) for s in spans[name]])
            for name in sorted(spans)}  # fmt: skip


def main() -> None:
    """Write the files, and locate the checksums in all."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, (libver, fill) in FILES.items():
        with h5py.File(
            "m", "w", driver="core", backing_store=False, libver=libver, userblock_size=HEADER_BYTES
        ) as file:
            fill(file)
            file.flush()
            image = bytes(file.id.get_file_image())
        (DIRECTORY / f"{name}.h5").write_bytes(signed(image))
    spans = {path.name: checksums.spans(path.read_bytes()) for path in DIRECTORY.glob("*.h5")}
    for name, found in sorted(spans.items()):
        size = (DIRECTORY / name).stat().st_size
        print(f"{name}: {size:,} bytes, {len(found)} checksums")
    (DIRECTORY / "spans.json").write_text(json.dumps(spans, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
