"""The assignment of rows to splits and folds."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnreg._types import Array
from nnreg.data.settings import Split
from nnreg.errors import DataError, Problem, SpecError
from nnreg.tables.lazy import row_numbers
from nnreg.tables.table import Table

SPLITS = ("train", "validation", "test")
"""The names of the splits; the last one available is reported."""

CHUNK = 2**16
"""The rows whose numbers are computed with at once, as there may be more than of any column."""

SPLIT_STREAM = 3
FOLD = 1
MEMBER = 2
"""The seeds of random numbers: [seed, SPLIT_STREAM] for splits, with FOLD appended for folds, and
MEMBER for those of the members of an ensemble."""


def reported_split(available: Container[str]) -> str | None:
    """Return the split to report: test, else validation, else train."""
    return next((name for name in reversed(SPLITS) if name in available), None)


@dataclass(frozen=True)
class Splits:
    """The training rows, and the held-out rows.

    `holders` has for each training row the member of an ensemble that does not train on it.
    """

    train: Table
    validation: Table | None = None
    test: Table | None = None
    holders: Array | None = None


@dataclass(frozen=True)
class Fold:
    """One of several folds, counted from 1."""

    number: int
    count: int


@dataclass(frozen=True)
class Rows:
    """Rows to split, by labels, and by groups or times, not both.

    `labels` are class numbers; each split has the same class proportions. `groups` are group
    numbers; each group is in one split. With `times`, the latest rows are held out, and rows of the
    same time stay together.
    """

    count: int
    labels: Array | None = None
    groups: Array | None = None
    times: Array | None = None

    def split(self, fractions: Sequence[float], seed: int) -> list[Array]:
        """Return the rows of the training split, then of each held-out split, in ascending order.

        `fractions` are the fractions of all rows that are held out. Groups, and rows of the same
        time, stay whole, so their fractions are approximate.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM]))
        if self.groups is not None:
            splits = self._assign_groups(self.groups, [1 - sum(fractions), *fractions], rng)
        elif self.times is not None:
            ends = self.count * np.cumsum([1 - sum(fractions), *fractions[:-1]])
            splits = _ordered_segments(self.times, ends)
        else:
            splits = self._draw_random(fractions, rng)
        if not len(splits[0]):
            raise DataError(f"the split leaves none of {self.count} rows to train on")
        return splits

    def folds(self, count: int, seed: int, stream: int = FOLD) -> list[tuple[Array, Array]]:
        """Return the training rows and the held-out rows of each fold, in ascending order.

        Each row is held out once. With times, the rows are cut into one segment more than there
        are folds; each fold holds one segment out and trains on all earlier ones.
        """
        if self.count < count:
            raise DataError(f"{self.count} rows are too few for {count} folds")
        if self.times is not None:
            ends = self.count * np.arange(1, count + 1) / (count + 1)
            first, *others = _ordered_segments(self.times, ends)
            train = [np.sort(np.concatenate([first, *others[:n]])) for n in range(count)]
            return list(zip(train, others, strict=True))
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM, stream]))
        if self.groups is not None:
            held_out = self._assign_groups(self.groups, [1 / count] * count, rng)
        else:
            order = self._order(rng)
            held_out = [np.sort(order[number::count]) for number in range(count)]
        return [(np.delete(np.arange(self.count), rows), rows) for rows in held_out]

    def take(self, rows: Array) -> Rows:
        """Return these rows with their labels, groups and times."""
        selected = {
            name: values[rows]
            for name in ("labels", "groups", "times")
            if (values := getattr(self, name)) is not None
        }
        return replace(self, count=len(rows), **selected)

    def _order(self, rng: np.random.Generator) -> Array:
        """Return the rows in random order, sorted by class."""
        order = rng.permutation(row_numbers(self.count))
        if self.labels is not None:
            order = order[np.argsort(self.labels[order], kind="stable")]
        return order

    def _draw_random(self, fractions: Sequence[float], rng: np.random.Generator) -> list[Array]:
        """Draw each held-out split from the remaining rows."""
        order = self._order(rng)
        held_out = []
        remaining = 1.0
        for fraction in fractions:
            chosen = _evenly_spaced(len(order), fraction / remaining)
            held_out.append(np.sort(order[chosen]))
            order = order[~chosen]
            remaining -= fraction
            if not len(held_out[-1]):
                raise DataError(
                    f"a fraction of {fraction} of {self.count} rows is less than one row"
                )
        return [np.sort(order), *held_out]

    def _assign_groups(
        self, groups: Array, fractions: Sequence[float], rng: np.random.Generator
    ) -> list[Array]:
        """Assign whole groups, the largest first, to splits of these fractions of the rows.

        Each group is assigned to the split where it adds the least to Σ n²/fraction, summed over
        splits and classes, with n the fraction of a class's rows that a split has. For groups of
        equal size and a single class this is Webster's method of apportionment (1832).

        Ties are frequent, so rounding decides. It is the same on all processors: numbers of rows
        are integers, and each sum is rounded once.
        """
        _, members = np.unique(groups, return_inverse=True)
        labels = np.zeros(self.count, np.intp) if self.labels is None else self.labels
        shape = (members.max(initial=-1) + 1, labels.max(initial=0) + 1)
        counts = np.zeros(shape, np.int64)
        np.add.at(counts, (members, labels), 1)
        if len(counts) < len(fractions):
            raise DataError(f"{len(counts)} groups are too few for {len(fractions)} splits")
        order = rng.permutation(len(counts))
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
        squares = np.maximum(counts.sum(axis=0), 1) ** 2
        wanted, assigned = (
            np.array(fractions),
            np.zeros((len(fractions), counts.shape[1]), np.int64),
        )
        split_of = np.empty(len(counts), np.intp)
        for position, group in enumerate(order):
            added = counts[group]
            increase = (2 * assigned + added) * added / squares
            cost = np.array([math.fsum(row) for row in increase]) / wanted
            empty = ~assigned.any(axis=1)
            if len(counts) - position == np.count_nonzero(empty):
                cost[~empty] = np.inf
            split = split_of[group] = np.argmin(cost)
            assigned[split] += added
        return [np.flatnonzero(split_of[members] == split) for split in range(len(fractions))]


def rows_of_splits(rows: Rows, split: Split, seed: int, fold: Fold | None) -> dict[str, Array]:
    """Return the rows of the training split and of each split held out from this table."""
    fractions = {
        name: fraction
        for name in ("validation", "test")
        if isinstance(fraction := getattr(split, name), float)
    }
    nothing = fold is None and not fractions and not split.member_folds
    if nothing and (split.group or split.order):
        problem = "no rows are held out; set validation or test to a fraction, or set train.folds"
        raise SpecError([Problem("$.data.split", problem)])
    splits = _split_by_fractions(rows, fractions, seed)
    if fold is None:
        return splits
    pool = np.delete(np.arange(rows.count), splits.get("test", []))
    train, held_out = rows.take(pool).folds(fold.count, seed)[fold.number - 1]
    if split.validation is None and not split.member_folds:
        return {"train": pool[train], "validation": pool[held_out]}
    train = pool[train]
    fractions.pop("test", None)
    inner = _split_by_fractions(rows.take(train), fractions, seed)
    return {"test": pool[held_out], **{name: train[chosen] for name, chosen in inner.items()}}


def _split_by_fractions(rows: Rows, fractions: dict[str, float], seed: int) -> dict[str, Array]:
    if not fractions:
        return {"train": row_numbers(rows.count)}
    names = ["train", *fractions]
    return dict(zip(names, rows.split(list(fractions.values()), seed), strict=True))


def member_of_rows(rows: Rows, members: int, seed: int) -> Array:
    """Return for each training row the member of an ensemble that holds it out, from 0."""
    holders = np.empty(rows.count, np.intp)
    for member, (_, held_out) in enumerate(rows.folds(members, seed, MEMBER)):
        holders[held_out] = member
    return holders


def _ordered_segments(times: Array, ends: Array) -> list[Array]:
    """Cut the rows, sorted by time, at the changes of time nearest to `ends`."""
    order = np.argsort(times, kind="stable")
    changes = np.flatnonzero(np.diff(times[order])) + 1
    if len(changes) < len(ends):
        raise DataError(f"{len(changes) + 1} distinct times are too few for this split")
    cuts = [int(changes[np.argmin(np.abs(changes - end))]) for end in ends]
    if len(set(cuts)) < len(cuts):
        raise DataError("too many rows have the same time for this split")
    return [np.sort(segment) for segment in np.split(order, cuts)]


def _evenly_spaced(count: int, fraction: float) -> Array:
    """Return a mask of a fraction of the positions, evenly spaced."""
    chosen: Array = np.empty(count, bool)
    for start in range(0, count, CHUNK):
        positions = np.arange(start, min(start + CHUNK, count) + 1)
        marks = np.floor(positions * fraction + 0.5)
        chosen[start : start + CHUNK] = np.diff(marks) > 0
    return chosen
