"""Columns of words that repeat: each word once, and a number a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape


@dataclass(frozen=True, eq=False)
class Categorical:
    """Words by number: row i has the word `categories[codes[i]]`, or none where the code is -1.

    `codes` is an array of integers `(rows, ...)`; every category is another word.
    """

    categories: tuple[str, ...]
    codes: Array

    @property
    def shape(self) -> Shape:
        """The shape of all rows together."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.codes.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of `text()`."""
        return np.dtype(object)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Categorical:
        return Categorical(self.categories, self.codes[rows])

    def each(self, values: Iterable[Any], missing: Any, dtype: Any) -> Array:
        """Return for each row what `values` has for its category, and `missing` where it is."""
        of_category = np.empty(len(self.categories) + 1, dtype)
        of_category[:-1] = list(values)
        of_category[-1] = missing
        found: Array = of_category[self.codes]
        return found

    def text(self) -> Array:
        """Return an array of str, and None where missing."""
        return self.each(self.categories, None, object)


class CategoryCodes(dict[str | None, int]):
    """Numbers words in the order in which they are first asked for; None is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})

    def __missing__(self, word: str) -> int:
        place = self[word] = len(self) - 1
        return place

    @property
    def categories(self) -> tuple[str, ...]:
        """The words, in the order of their numbers."""
        return tuple(word for word in self if word is not None)


def categorical_of(words: Array) -> Categorical:
    """Return a column of an array of str, and None where missing."""
    places = CategoryCodes()
    flat = words.reshape(-1).tolist()
    codes = np.fromiter(map(places.__getitem__, flat), np.int32, len(flat))
    return Categorical(places.categories, codes.reshape(words.shape))
