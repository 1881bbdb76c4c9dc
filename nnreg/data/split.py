"""Which rows are trained on and which are held out."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError

SPLITS = ("train", "validation", "test")
"""The names of the splits, the one whose metrics say most last."""

SPLIT_STREAM = 3
FOLD = 1
"""The random streams of the parts, [seed, stream], and of the folds, which have a 1 after that."""


def reported_split(available: Container[str]) -> str | None:
    """Return the split to report: test, else validation, else train."""
    return next((name for name in reversed(SPLITS) if name in available), None)


@dataclass(frozen=True)
class Rows:
    """What a division of rows goes by; at most one of groups and times.

    `labels` are class numbers, of which each part has its proportion. `groups` are numbers of
    groups, none of which is in two parts. Of rows with `times`, the latest are held out, and rows
    of the same time stay together.
    """

    count: int
    labels: Array | None = None
    groups: Array | None = None
    times: Array | None = None

    def split(self, shares: Sequence[float], seed: int) -> list[Array]:
        """Return the rows of the training part, then of each held-out part, in ascending order.

        `shares` are the held-out parts' shares of all rows; whole groups, or rows of the same
        time, come as near to them as they allow.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM]))
        if self.groups is not None:
            parts = self._assign_groups(self.groups, [1 - sum(shares), *shares], rng)
        elif self.times is not None:
            places = self.count * np.cumsum([1 - sum(shares), *shares[:-1]])
            parts = _ordered_segments(self.times, places)
        else:
            parts = self._draw_random(shares, rng)
        if not len(parts[0]):
            raise DataError(f"of {self.count} rows, the split leaves none to train on")
        return parts

    def folds(self, count: int, seed: int) -> list[tuple[Array, Array]]:
        """Return the rows to train on and the rows held out, in ascending order, of each fold.

        Each row is held out once. In time, the rows are divided into one stretch more than there
        are folds; each fold holds one out, and trains on those before it.
        """
        if self.count < count:
            raise DataError(f"{self.count} rows are too few for {count} folds")
        if self.times is not None:
            places = self.count * np.arange(1, count + 1) / (count + 1)
            first, *others = _ordered_segments(self.times, places)
            known = [np.sort(np.concatenate([first, *others[:n]])) for n in range(count)]
            return list(zip(known, others, strict=True))
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM, FOLD]))
        if self.groups is not None:
            parts = self._assign_groups(self.groups, [1 / count] * count, rng)
        else:
            order = self._order(rng)
            parts = [np.sort(order[number::count]) for number in range(count)]
        return [(np.delete(np.arange(self.count), part), part) for part in parts]

    def take(self, rows: Array) -> Rows:
        """Return what is known of these rows."""
        known = {
            name: values[rows]
            for name in ("labels", "groups", "times")
            if (values := getattr(self, name)) is not None
        }
        return replace(self, count=len(rows), **known)

    def _order(self, rng: np.random.Generator) -> Array:
        """Return the rows in random order, those of each class together."""
        order = rng.permutation(self.count)
        if self.labels is not None:
            order = order[np.argsort(self.labels[order], kind="stable")]
        return order

    def _draw_random(self, shares: Sequence[float], rng: np.random.Generator) -> list[Array]:
        """Draw each held-out part from the rows that are left."""
        order = self._order(rng)
        held_out = []
        left = 1.0
        for share in shares:
            chosen = _evenly_spaced(len(order), share / left)
            held_out.append(np.sort(order[chosen]))
            order = order[~chosen]
            left -= share
            if not len(held_out[-1]):
                raise DataError(f"a share of {share} of {self.count} rows is less than one row")
        return [np.sort(order), *held_out]

    def _assign_groups(
        self, groups: Array, shares: Sequence[float], rng: np.random.Generator
    ) -> list[Array]:
        """Deal whole groups, the largest first, to parts of these shares of the rows.

        Each goes where it adds the least to Σ n²/share over parts and classes, n the share of a
        class's rows that a part has. For groups of one size and one class this is Webster's method
        of apportionment (1832).

        Many groups can go to several parts equally well, so the rounding decides. It is the same on
        all processors: numbers of rows are whole, and each sum is rounded once.
        """
        _, members = np.unique(groups, return_inverse=True)
        labels = np.zeros(self.count, np.intp) if self.labels is None else self.labels
        shape = (members.max(initial=-1) + 1, labels.max(initial=0) + 1)
        counts = np.zeros(shape, np.int64)
        np.add.at(counts, (members, labels), 1)
        if len(counts) < len(shares):
            raise DataError(f"{len(counts)} groups are too few for {len(shares)} parts")
        order = rng.permutation(len(counts))
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
        squares = np.maximum(counts.sum(axis=0), 1) ** 2
        weights, have = np.array(shares), np.zeros((len(shares), counts.shape[1]), np.int64)
        part_of = np.empty(len(counts), np.intp)
        for place, group in enumerate(order):
            added = counts[group]
            more = (2 * have + added) * added / squares
            cost = np.array([math.fsum(row) for row in more]) / weights
            empty = ~have.any(axis=1)
            if len(counts) - place == np.count_nonzero(empty):
                cost[~empty] = np.inf
            part = part_of[group] = np.argmin(cost)
            have[part] += added
        return [np.flatnonzero(part_of[members] == part) for part in range(len(shares))]


def _ordered_segments(times: Array, places: Array) -> list[Array]:
    """Cut the rows, in the order of their times, near these places."""
    order = np.argsort(times, kind="stable")
    later = np.flatnonzero(np.diff(times[order])) + 1  # where another time begins
    if len(later) < len(places):
        raise DataError(f"{len(later) + 1} different times are too few for this split")
    cuts = [int(later[np.argmin(np.abs(later - place))]) for place in places]
    if len(set(cuts)) < len(cuts):
        raise DataError("too many rows have the same time for this split")
    return [np.sort(part) for part in np.split(order, cuts)]


def _evenly_spaced(count: int, share: float) -> Array:
    """Mark `share` of the positions, evenly spaced, so that each stretch has its share."""
    marks = np.floor(np.arange(count + 1) * share + 0.5)
    chosen: Array = np.diff(marks) > 0
    return chosen
