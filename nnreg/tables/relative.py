"""Targets that a network predicts as differences from other values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnreg._types import Array


class RelativeTargets:
    """Targets `points`, and the values `base` that predictions are relative to, `(rows, columns)`.

    Slices and arrays of row numbers select rows.
    """

    __slots__ = ("base", "points")

    def __init__(self, points: Array, base: Array) -> None:
        self.points = points
        self.base = base

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: slice | Array) -> RelativeTargets:
        """Return these rows."""
        return RelativeTargets(self.points[rows], self.base[rows])

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.points.nbytes + self.base.nbytes


def concatenate_relative(parts: Sequence[RelativeTargets]) -> RelativeTargets:
    """Return the rows of all parts."""
    points, base = ([getattr(part, name) for part in parts] for name in ("points", "base"))
    return RelativeTargets(np.concatenate(points), np.concatenate(base))
