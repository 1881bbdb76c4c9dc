"""Categorical columns: each category once, and a code per row."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape


@dataclass(frozen=True, eq=False)
class Categorical:
    """A categorical column: row i has `categories[codes[i]]`, or is missing if its code is -1.

    `codes` is an array of integers `(rows, ...)`; the categories are distinct. They are `ordered`
    if they are known to be in an order from low to high.
    """

    categories: tuple[str, ...]
    codes: Array
    ordered: bool = False

    @property
    def shape(self) -> Shape:
        """The shape of the whole column."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.codes.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of `text()`."""
        return np.dtype(object)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Categorical:
        return replace(self, codes=self.codes[rows])

    def without(self, marked: Collection[str]) -> Categorical:
        """Return the column with the `marked` categories missing."""
        if not marked or set(marked).isdisjoint(self.categories):
            return self
        kept = tuple(category for category in self.categories if category not in marked)
        number_of = {category: number for number, category in enumerate(kept)}
        codes = self.each([number_of.get(c, -1) for c in self.categories], -1, np.int32)
        return replace(self, categories=kept, codes=codes)

    def each(self, values: Iterable[Any], missing: Any, dtype: Any) -> Array:
        """Return for each row the item of `values` for its category, or `missing`."""
        of_category = np.empty(len(self.categories) + 1, dtype)
        of_category[:-1] = list(values)
        of_category[-1] = missing
        found: Array = of_category[self.codes]
        return found

    def counts(self) -> Array:
        """Return the number of rows of each category."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.categories))

    def text(self) -> Array:
        """Return an array of str, and None where missing."""
        return self.each(self.categories, None, object)


class CategoryCodes(dict[str | None, int]):
    """Codes of categories, in the order in which they are first looked up; None is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})

    def __missing__(self, category: str) -> int:
        code = self[category] = len(self) - 1
        return code

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, in the order of their codes."""
        return tuple(category for category in self if category is not None)


def categorical_of(text: Array) -> Categorical:
    """Return an array of str, and None where missing, as a `Categorical`."""
    code_of = CategoryCodes()
    flat = text.reshape(-1).tolist()
    codes = np.fromiter(map(code_of.__getitem__, flat), np.int32, len(flat))
    return Categorical(code_of.categories, codes.reshape(text.shape))
