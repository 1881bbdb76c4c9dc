"""Encoders of categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.interfaces.component import Count
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import canonical, positions


@dataclass(frozen=True)
class Category(Encoder):
    """A category, one-hot encoded.

    y[k] = 1 for the k-th category, 0 for the others

    Options:
        max_categories: How many of the most frequent categories are kept; all others are one more.
            null for `data.max_categories`.
        unseen: Whether to "refuse" or "ignore" a category that is not in the training rows; null
            for `data.unseen`. An ignored one is 0 everywhere.

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

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the categories."""
        counts = category_counts(column.categories)
        kept = most_frequent(counts)[: self.max_categories]
        return replace(
            self,
            categories=tuple(sorted(kept)),
            ignore_unseen=self.unseen == "ignore",
            other=len(kept) < len(counts),
        )

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


def category_counts(cells: Categorical) -> dict[str, int]:
    """Return the number of rows of each category, without categories that do not occur."""
    known = cells.codes[cells.codes >= 0]
    counts = np.bincount(known, minlength=len(cells.categories)).tolist()
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
