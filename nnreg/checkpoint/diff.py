"""The differences between two checkpoints: their documents, arrays and histories."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import norm
from nnreg.checkpoint.inspect import CheckpointSummary, read_summary
from nnreg.checkpoint.manifest import Manifest
from nnreg.registry.registry import Registry
from nnreg.spec.validation import to_json

IGNORED_KEYS = ("origin", "directory", "history", "results")
"""Keys of a document that are not compared: its origin, what is compared elsewhere, and metrics,
which follow from the weights and are in finished runs only."""


@dataclass(frozen=True)
class Differences:
    """The differences between two checkpoints, as JSON; empty if there are none.

    `said` has, for each key of the document, `{"path", "a", "b"}` of each difference; a side
    without a value at this path has no key. `arrays` has `{"name", "a", "b", "largest",
    "relative"}`: types and shapes, the largest difference of two values, and the norm of the
    difference relative to that of the larger array. `history` has `{"name", "epoch", "largest"}`:
    where a column first differs. A number is None if it is not finite or one side has no such array
    or column.
    """

    said: Mapping[str, list[dict[str, Any]]]
    arrays: list[dict[str, Any]]
    history: list[dict[str, Any]]

    @property
    def results_same(self) -> bool:
        """Whether arrays and history are bit-identical."""
        return not self.arrays and not self.history

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.results_same and not any(self.said.values())


def compare(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Differences:
    """Compare two checkpoints, or the best ones of runs. Raises `CheckpointError`."""
    return _compare(read_summary(a), read_summary(b))


def _compare(a: CheckpointSummary, b: CheckpointSummary) -> Differences:
    one, other = _comparable(a.manifest), _comparable(b.manifest)
    if one["spec"] != other["spec"]:  # fingerprints depend on the options
        for component in (*one["components"].values(), *other["components"].values()):
            del component["probes"]
    return Differences(
        {key: list(_changes(one[key], other[key], "$")) for key in one},
        [
            difference
            for name in dict.fromkeys([*a.arrays, *b.arrays])
            if name != "history"
            and (difference := _array_difference(name, a.arrays.get(name), b.arrays.get(name)))
        ],
        list(_history_difference(a, b)),
    )


def _comparable(manifest: Manifest) -> dict[str, Any]:
    """Return the values of a document that can be compared, independent of their order."""
    tree: dict[str, Any] = to_json(manifest, Registry())
    tree["components"] = {f"{c['kind']} {c['name']}": c for c in tree["components"]}
    for key in ("data", "started_from"):
        tree[key] = list(tree[key].values())  # the names depend on the directory
    return {key: value for key, value in tree.items() if key not in IGNORED_KEYS}


def _changes(a: Any, b: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield each difference between two JSON trees."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from _change(a, b, key, f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and any(map(_is_nested, [*a, *b])):
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


def _is_nested(value: Any) -> bool:
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
        larger = max(norm(one.reshape(-1)), norm(other.reshape(-1)))
        relative = norm(difference.reshape(-1)) / larger if larger else 0.0
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
