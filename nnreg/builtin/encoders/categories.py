"""Encoders of categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.interfaces.component import Count
from nnreg.interfaces.encoder import Encoder, Learner, RawColumn, learned
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import canonical, positions
from nnreg.tables.text_counts import MAX_TEXTS, TextCounts


@dataclass(frozen=True)
class Category(Encoder):
    """A category, one-hot encoded.

    y[k] = 1 for the k-th category, 0 for the others

    Categories that are not kept are one more, to which those belong that are not in the training
    rows. If all are kept, `unseen` decides what becomes of these. A missing value is refused, or
    becomes the most frequent category, or is 0 everywhere beside an indicator, as `data.missing`
    says.

    Options:
        max_categories: How many of the most frequent categories are kept; all others are one more.
            null for `data.max_categories`.
        unseen: Whether to "refuse" or "ignore" a category that is not in the training rows; null
            for `data.unseen`. An ignored one is 0 everywhere.
        min_rows: How many training rows a category must have to be kept; null for one.

    Learned:
        categories: The categories that are kept, sorted.
        other: Whether all others are one more.
        ignore_unseen: Whether unseen ones are ignored.
    """

    takes = "text"
    takes_missing = True  # 0 everywhere

    max_categories: Count | None = None
    unseen: Literal["refuse", "ignore"] | None = None
    categories: tuple[str, ...] = learned(())
    ignore_unseen: bool = learned(False)
    other: bool = learned(False, required=False)
    min_rows: Count | None = None

    def __post_init__(self) -> None:
        require_distinct("categories", self.categories, self.categories)

    @property
    def shape(self) -> Shape:
        """One number per category."""
        return (len(self.categories) + self.other,)

    @property
    def known_texts(self) -> Sequence[str]:
        """The categories."""
        return self.categories

    @property
    def ignores_unknown(self) -> bool:
        """Whether they are 0 everywhere, and not one more category."""
        return self.ignore_unseen and not self.other

    @property
    def refuses_unknown(self) -> bool:
        """Whether they are neither ignored nor one more category."""
        return not (self.ignore_unseen or self.other)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the categories."""
        return self.of_counts(category_counts(column.categories))

    def of_counts(self, counts: dict[str, int]) -> Self:
        """Return the encoder with the categories of which these are the numbers of rows."""
        kept = frequent(counts, self.max_categories, self.min_rows)
        return replace(
            self,
            categories=tuple(sorted(kept)),
            ignore_unseen=self.unseen == "ignore",
            other=len(kept) < len(counts),
        )

    def learner(self) -> Learner:
        """Return one that counts the rows of each category."""
        return CategoryLearner(self)

    def encode(self, column: RawColumn) -> Array:
        """Return the one-hot encoded categories."""
        cells = column.categories
        known = positions(cells.categories, self.categories)
        if self.other:
            known = tuple(len(self.categories) if place < 0 else place for place in known)
        unknown = cells.each(np.less(known, 0), False, bool)
        if not self.ignore_unseen and unknown.any():
            row = int(np.argmax(unknown))
            text = cells.categories[cells.codes[row]]
            raise DataError(
                f"{column.location(row)}: unknown category {text!r}"
                f'{suggest(text, self.categories)} (or set data.unseen to "ignore")'
            )
        chosen = cells.each(known, -1, np.intp)
        return np.equal(chosen[:, None], np.arange(*self.shape)).astype(np.float64)

    def infer(self, column: Any) -> Any:
        """Return the one-hot encoded categories."""
        known = column.positions(self.categories)
        if self.other:
            known = np.where((known < 0) & ~column.missing, len(self.categories), known)
        elif not self.ignore_unseen:
            column.require((known >= 0) | column.missing, f"one of {', '.join(self.categories)}")
        return np.equal(known[:, None], np.arange(*self.shape)[None]).astype(np.float64)

    def text_of(self, encoded: Array) -> str:
        """Return the category."""
        names = [*self.categories, *["(other)"] * self.other]
        return names[int(encoded.argmax())] if encoded.any() else "(unknown)"


@dataclass(frozen=True)
class Index(Encoder):
    """A category as its position, for a trained vector of each.

    y = k for the k-th category

    The network begins with `column_embedding`, which replaces positions by vectors and leaves
    numbers and one-hot encoded categories of the same input as they are. After the positions of the
    categories there is one for all that are rare or not in the training rows, and one for missing
    values where `data.missing` is "indicate".

    Options:
        max_categories: How many of the most frequent categories have a position of their own; null
            for all.
        min_rows: How many training rows a category must have for a position of its own; null for
            one.

    Learned:
        categories: The categories with a position of their own, sorted.
    """

    takes = "text"
    takes_missing = True

    max_categories: Count | None = None
    min_rows: Count | None = None
    categories: tuple[str, ...] = learned(())

    def __post_init__(self) -> None:
        require_distinct("categories", self.categories, self.categories)

    @property
    def index_count(self) -> int:
        """One position per category, one for others, one for missing values."""
        return len(self.categories) + 2

    @property
    def known_texts(self) -> Sequence[str]:
        """The categories."""
        return self.categories

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the categories."""
        return self.of_counts(category_counts(column.categories))

    def of_counts(self, counts: dict[str, int]) -> Self:
        """Return the encoder with the categories of which these are the numbers of rows."""
        kept = frequent(counts, self.max_categories, self.min_rows)
        return replace(self, categories=tuple(sorted(kept)))

    def learner(self) -> Learner:
        """Return one that counts the rows of each category."""
        return CategoryLearner(self)

    def encode(self, column: RawColumn) -> Array:
        """Return the positions."""
        missing = len(self.categories) + 1
        return positions_of_rows(column.categories, self.categories, missing).astype(np.float64)

    def infer(self, column: Any) -> Any:
        """Return the positions."""
        known, others = column.positions(self.categories), len(self.categories)
        found = np.where(known < 0, others, known)
        return np.where(column.missing, others + 1, found).astype(np.float64)

    def text_of(self, encoded: Array) -> str:
        """Return the category."""
        return [*self.categories, "(other)", "(missing)"][int(encoded[0])]

    def places_of(self, other: Index) -> tuple[list[int], list[int]]:
        """Return the positions of what both have, here and in the other encoder."""
        its = len(other.categories)
        found = [*positions(self.categories, other.categories), its, its + 1]
        both = [(here, there) for here, there in enumerate(found) if there >= 0]
        return [here for here, _ in both], [there for _, there in both]


class CategoryLearner:
    """Counts the categories of rows that are read in parts."""

    def __init__(self, known: Category | Index) -> None:
        self.known = known
        self.counts = TextCounts()

    def add(self, column: RawColumn) -> None:
        """Count more rows."""
        self.counts.add(column.categories)
        if self.counts.too_many:
            raise DataError(
                f"{column.table.origin}: column {column.name!r} has more than {MAX_TEXTS:,} "
                'different texts, which are not counted in a file; set it to {"type": "hashed"} in '
                "data.columns, or list it in 'exclude'"
            )

    def encoder(self) -> Category | Index:
        """Return the encoder with the categories."""
        return self.known.of_counts(category_counts(self.counts.counted))


def positions_of_rows(cells: Categorical, names: tuple[str, ...], missing: int) -> Array:
    """Return the position of each row's category among these names; their count for others.

    `missing` is that of a row without a value.
    """
    found = positions(cells.categories, names)
    return cells.each([len(names) if k < 0 else k for k in found], missing, np.intp)


def frequent(counts: dict[str, int], max_categories: int | None, min_rows: int | None) -> list[str]:
    """Return the most frequent categories, without those of fewer rows."""
    kept = most_frequent(counts)[:max_categories]
    return [name for name in kept if counts[name] >= (min_rows or 1)]


def category_counts(cells: Categorical) -> dict[str, int]:
    """Return the number of rows of each category, without categories that do not occur."""
    counts = cells.counts().tolist()
    present = {name: count for name, count in zip(cells.categories, counts, strict=True) if count}
    spelled = Counter(map(canonical, present))
    merged: Counter[str] = Counter()
    for text, count in present.items():  # 1 and 1.0 are one number
        number = canonical(text)
        merged[number if spelled[number] > 1 else text] += count
    return merged


def most_frequent(counts: dict[str, int]) -> list[str]:
    """Return categories by how often they occur, then by name."""
    return sorted(counts, key=lambda name: (-counts[name], name))


def require_distinct(field: str, names: Sequence[str], values: Sequence[Hashable]) -> None:
    """Raise ValueError for the first of these names that stands for the same value as another."""
    count = Counter(values)
    for name, value in zip(names, values, strict=True):
        if count[value] > 1:
            raise ValueError(f"{field}: must be distinct, found {name!r} twice")
