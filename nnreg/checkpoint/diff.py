"""How two checkpoints differ: what they say, their arrays, their histories.

And how one differs from a training that begins anew with what it says.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.checkpoint.inspect import CheckpointSummary, read_summary
from nnreg.checkpoint.manifest import Manifest
from nnreg.registry.registry import Registry
from nnreg.spec.validation import to_json

IGNORED_KEYS = ("origin", "directory", "history")
"""What says where a file was made rather than what it is, and what the rest says too."""


@dataclass(frozen=True)
class Differences:
    """What differs between two checkpoints, as JSON; everything empty where nothing does.

    `said` has, for each part of the document, `{"path", "a", "b"}` of each place; a side that does
    not have the place has no key. `arrays` has `{"name", "a", "b", "largest", "relative"}`: types
    and shapes, the largest difference of two values, and the norm of the difference relative to
    that of the larger array. `history` has `{"name", "epoch", "largest"}`: where the column first
    differs. A figure is None where it is not finite or one side has no such array or column.
    """

    said: Mapping[str, list[dict[str, Any]]]
    arrays: list[dict[str, Any]]
    history: list[dict[str, Any]]

    @property
    def results_same(self) -> bool:
        """Whether arrays and history have the same bits."""
        return not self.arrays and not self.history

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.results_same and not any(self.said.values())


def compare(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Differences:
    """Compare two checkpoints, or the best ones of runs. Raises `CheckpointError`."""
    return _compare(read_summary(a), read_summary(b))


def _compare(a: CheckpointSummary, b: CheckpointSummary) -> Differences:
    one, other = _said(a.manifest), _said(b.manifest)
    if one["spec"] != other["spec"]:  # what components compute differs with their options
        for component in (*one["components"].values(), *other["components"].values()):
            del component["probes"]
    return Differences(
        {part: list(_changes(one[part], other[part], "$")) for part in one},
        [
            difference
            for name in dict.fromkeys([*a.arrays, *b.arrays])
            if name != "history"
            and (difference := _array_difference(name, a.arrays.get(name), b.arrays.get(name)))
        ],
        list(_history_difference(a, b)),
    )


def _said(manifest: Manifest) -> dict[str, Any]:
    """Return the parts of a document that can be compared, in which order does not matter."""
    tree: dict[str, Any] = to_json(manifest, Registry())
    tree["components"] = {f"{c['kind']} {c['name']}": c for c in tree["components"]}
    for part in ("data", "started_from"):
        tree[part] = list(tree[part].values())  # the names depend on where they lie
    return {part: value for part, value in tree.items() if part not in IGNORED_KEYS}


def _changes(a: Any, b: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield each place in which two JSON trees differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from _change(a, b, key, f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and any(map(_has_parts, [*a, *b])):
        one, other = dict(enumerate(a)), dict(enumerate(b))
        for index in range(max(len(a), len(b))):
            yield from _change(one, other, index, f"{path}[{index}]")
    elif a != b or type(a) is not type(b):
        yield {"path": path, "a": a, "b": b}


def _change(
    a: Mapping[Any, Any], b: Mapping[Any, Any], key: Any, path: str
) -> Iterator[dict[str, Any]]:
    if key in a and key in b:
        yield from _changes(a[key], b[key], path)
    else:
        sides = {"a": a, "b": b}
        yield {"path": path, **{side: tree[key] for side, tree in sides.items() if key in tree}}


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list)


def _array_difference(name: str, a: Array | None, b: Array | None) -> dict[str, Any] | None:
    sides = {
        side: f"{array.dtype} {array.shape}"
        for side, array in (("a", a), ("b", b))
        if array is not None
    }
    found = {"name": name, **sides, "largest": None, "relative": None}
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return found
    if a.tobytes() == b.tobytes():
        return None
    one, other = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        difference = np.abs(one - other)
        norm = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)))
        relative = float(np.linalg.norm(difference)) / norm if norm else 0.0
        return {**found, "largest": _finite(np.max(difference)), "relative": _finite(relative)}


def _history_difference(a: CheckpointSummary, b: CheckpointSummary) -> Iterator[dict[str, Any]]:
    one, other = a.history, b.history
    for name in dict.fromkeys([*one.names, *other.names]):
        if name not in one.names or name not in other.names:
            yield {"name": name, "epoch": None, "largest": None}
            continue
        x, y = one[name], other[name]
        common = min(len(x), len(y))
        unequal = np.flatnonzero(~np.isclose(x[:common], y[:common], 0, 0, equal_nan=True))
        if unequal.size or len(x) != len(y):
            epoch = int(unequal[0]) + 1 if unequal.size else common + 1
            largest = np.max(np.abs(x[:common] - y[:common]), initial=0)
            yield {"name": name, "epoch": epoch, "largest": _finite(largest)}


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
