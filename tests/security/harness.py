"""Functions that write adversarial checkpoints.

With a valid magic, length and SHA-256, which an attacker can compute too, each is a checkpoint of a
small model with one change. `@attack` registers a function that writes one, and the error expected.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nnreg
from nnreg.checkpoint.file_format import HEADER_BYTES, MAGIC
from nnreg.checkpoint.migrations import FORMAT
from nnreg.checkpoint.save_load import to_file_content

SPEC: dict[str, Any] = {
    "model": {"layers": [
        {"type": "dense", "units": 4, "activation": "tanh"},
        {"type": "batch_norm"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]},
    "loss": "cross_entropy",
    "optimizer": "adam",
    "metrics": ["accuracy"],
    "train": {"epochs": 2},
}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """A function that writes one file, and a regular expression for the error message."""

    make: Callable[[Path], None]
    message: str


ATTACKS: dict[str, Attack] = {}

Document = dict[str, Any]
Arrays = dict[str, np.ndarray]


def attack(message: str) -> Callable[..., Any]:
    """Register a function under its name."""

    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        assert make.__name__ not in ATTACKS, "two attacks have this name"
        ATTACKS[make.__name__] = Attack(make, message)
        return make

    return register


def content(spec: Document, shape: tuple[int, ...]) -> tuple[Document, Arrays]:
    """Return the content of a valid checkpoint of this spec, for examples of this shape."""
    x = np.random.default_rng(0).normal(size=(20, *shape))
    y = np.array(["ash", "birch"] * 10)
    model = nnreg.build(spec, data=(x, y))
    model.fit(x, y)
    state = model.training_state
    assert state.best_vector is not None
    state.best_vector = state.best_vector / 2  # those of the last epoch are not stored twice
    checkpoint = to_file_content(model)
    return json.loads(json.dumps(checkpoint.document)), dict(checkpoint.arrays)


def victim() -> tuple[Document, Arrays]:
    """Return the valid content that most attacks modify."""
    return content(SPEC, (3,))


def signed(body: bytes, version: str = str(FORMAT)) -> bytes:
    """Return the file with this body and a matching digest."""
    head = MAGIC + f"format {version}\nbytes {len(body)}\n".encode()
    digest = hashlib.sha256(head + body).hexdigest()
    return (head + f"sha256 {digest}\n".encode()).ljust(HEADER_BYTES, b"\0") + body


def image(
    document: Document | str | bytes | None,
    arrays: Arrays,
    change: Callable[[h5py.File], None] = lambda file: None,
) -> bytes:
    """Return the HDF5 image of this content, after a change."""
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    data = text.encode() if isinstance(text, str) else text
    plain = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plain.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plain.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(
        "m", "w", driver="core", backing_store=False, userblock_size=HEADER_BYTES
    ) as file:
        if document is not None:
            arrays = {"document": np.frombuffer(data, np.uint8), **arrays}
        for name, array in arrays.items():
            file.create_dataset(name, data=array, dcpl=plain.copy())
        change(file)
        file.flush()
        return bytes(file.id.get_file_image())


def altered(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Write a checkpoint with a changed HDF5 image."""
    path.write_bytes(signed(image(*victim(), change)))


def restated(path: Path, change: Callable[[Document, Arrays], Any]) -> None:
    """Write a checkpoint with changed document and arrays; `change` may return another document."""
    document, arrays = victim()
    replaced = change(document, arrays)
    path.write_bytes(signed(image(document if replaced is None else replaced, arrays)))


def forged(path: Path, change: Callable[[h5py.File], None], old: bytes, new: bytes) -> None:
    """Write a checkpoint with replaced bytes in its HDF5 image, which no library would write."""
    body = image(*victim(), change)
    assert body.count(old) == 1
    path.write_bytes(signed(body.replace(old, new)))


def void(_: Any) -> None:
    """Return None in a lambda, whatever the argument."""


def in_spec(path: Path, change: Callable[[Document], Any]) -> None:
    """Write a checkpoint with a changed spec."""
    restated(path, lambda document, arrays: void(change(document["spec"])))


def of_component(path: Path, **changes: Any) -> None:
    """Write a checkpoint with a changed description of its first component."""
    restated(path, lambda document, arrays: document["components"][0].update(changes))
