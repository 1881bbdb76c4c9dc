"""Encoders of text as the counts of its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Gt, Len

from nnreg._types import Array, Shape
from nnreg.errors import DataError
from nnreg.interfaces.component import Count, PositiveFraction
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.tables.categorical import Categorical

WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class _Words(Encoder):
    """The words of a text, and what is learned of them."""

    takes = "text"
    known_texts = ("",)
    replacement = ""

    max_words: Count | None = 2000
    ngrams: Annotated[tuple[Count, ...], Len(2, 2)] = (1, 1)
    min_rows: Count = 1
    max_fraction: PositiveFraction = 1.0
    stop_words: tuple[str, ...] = ()
    lowercase: bool = True
    binary: bool = False
    words: tuple[str, ...] = learned(())

    def __post_init__(self) -> None:
        low, high = self.ngrams
        if low > high:
            raise ValueError(f"ngrams: the first must not be larger, found {low} and {high}")

    @property
    def shape(self) -> Shape:
        """One number per word."""
        return (len(self.words),)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the words."""
        return replace(self, words=self._learn_words(column)[0])

    @property
    def example_texts(self) -> Sequence[str]:
        """Some of the words, and texts of several."""
        words = self.words[:100]
        return ["", *words, *(f"{one}, {two.upper()} {one}." for one, two in pairwise(words))]

    def encode(self, column: RawColumn) -> Array:
        """Return the counts of the words."""
        return self._counts(column)

    def infer(self, column: Any) -> Any:
        """Return the counts of the words."""
        return self._inferred_counts(column)

    def _learn_words(self, column: RawColumn) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the words that are kept, sorted, and how many rows have each."""
        total: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        texts, number_of_row = texts_of(column.categories)
        for text, repeat in zip(texts, np.bincount(number_of_row).tolist(), strict=True):
            for word, count in Counter(self._terms(text)).items():
                total[word] += repeat * (1 if self.binary else count)
                rows[word] += repeat
        most = self.max_fraction * len(column)
        kept = [word for word, count in rows.items() if self.min_rows <= count <= most]
        kept.sort(key=lambda word: (-total[word], word))
        found = tuple(sorted(kept[: self.max_words]))
        if not found:
            raise DataError(
                f"{column.table.origin}: no word of column {column.name!r} is left for its encoder "
                "to count; check its options in data.columns, or list the column in 'exclude'"
            )
        return found, tuple(map(rows.__getitem__, found))

    def _counts(self, column: RawColumn) -> Array:
        """Return how often each row has each word, `(rows, words)`; with `binary`, 0 or 1."""
        texts, number_of_row = texts_of(column.categories)
        return self._counts_of(texts)[number_of_row]

    def _counts_of(self, texts: Sequence[str]) -> Array:
        number_of = {word: number for number, word in enumerate(self.words)}
        found = [[number_of.get(word, -1) for word in self._terms(text)] for text in texts]
        rows = np.repeat(np.arange(len(texts)), [len(numbers) for numbers in found])
        words = np.fromiter(chain.from_iterable(found), np.intp, len(rows))
        known = words >= 0
        counts = np.zeros((len(texts), len(self.words)))
        np.add.at(counts, (rows[known], words[known]), 1)
        if self.binary:
            np.minimum(counts, 1, out=counts)
        return counts

    def _inferred_counts(self, column: Any) -> Any:
        """Record the counts for an export."""
        low, high = self.ngrams
        found = column.of_texts(
            "count_terms", self._counts_of, terms=self.words, lowercase=self.lowercase,
            stop_words=self.stop_words, low=low, high=high,
        )  # fmt: skip
        return np.minimum(found, 1) if self.binary else found

    def _terms(self, text: str) -> Iterator[str]:
        """Yield the words of a text, and the sequences of words that `ngrams` asks for."""
        found = WORD.findall(text.lower() if self.lowercase else text)
        if self.stop_words:
            left_out = frozenset(self.stop_words)
            found = [word for word in found if word not in left_out]
        low, high = self.ngrams
        for size in range(low, min(high, len(found)) + 1):
            if size == 1:
                yield from found
            else:
                yield from map(" ".join, zip(*(found[i:] for i in range(size)), strict=False))


@dataclass(frozen=True)
class BagOfWords(_Words):
    """A text as the number of times that it has each word.

    y[k] = count of the k-th word

    A word is two or more letters, digits or underscores in any script. The order of words is lost,
    unless `ngrams` counts sequences of them. Words that are not in the training rows are left out.

    Options:
        max_words: How many words are kept, the most frequent ones in the training rows; null for
            all of them.
        ngrams: The least and the greatest length of the sequences of words that are counted:
            `[1, 2]` for single words and pairs.
        min_rows: A word that is in fewer training rows is left out.
        max_fraction: So is a word that is in a greater fraction of the training rows.
        stop_words: Words that are left out before sequences are made, in lower case.
        lowercase: Whether upper case is made lower case first.
        binary: Whether y[k] is 1 for a word that occurs, however often.

    Learned:
        words: The words and sequences that are kept, sorted.
    """


@dataclass(frozen=True)
class TfIdf(_Words):
    """A text as the frequencies of its words, rare words weighted more: tf-idf.

    y[k] = tf[k] * idf[k] / norm,  idf[k] = ln((1 + n) / (1 + rows[k])) + 1

    tf[k] is the number of times that the text has the k-th word, and rows[k] the number of the n
    training rows with it. See `bag_of_words` for what a word is. A text without any of the words
    is 0 everywhere.

    Options:
        max_words: How many words are kept, the most frequent ones in the training rows; null for
            all of them.
        ngrams: The least and the greatest length of the sequences of words that are counted:
            `[1, 2]` for single words and pairs.
        min_rows: A word that is in fewer training rows is left out.
        max_fraction: So is a word that is in a greater fraction of the training rows.
        stop_words: Words that are left out before sequences are made, in lower case.
        lowercase: Whether upper case is made lower case first.
        binary: Whether tf[k] is 1 for a word that occurs, however often.
        sublinear_tf: Whether tf[k] is 1 + ln(tf[k]) instead, for a word that occurs.
        smooth_idf: Whether 1 is added to n and to rows[k], as above.
        norm: "l2" for rows of Euclidean length 1, "l1" for rows of sum 1, "none" for neither.

    Learned:
        words: The words and sequences that are kept, sorted.
        idf: The weight of each.
    """

    sublinear_tf: bool = False
    smooth_idf: bool = True
    norm: Literal["l2", "l1", "none"] = "l2"
    idf: tuple[Annotated[float, Gt(0)], ...] = learned(())

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.idf) != len(self.words):
            raise ValueError(f"idf: has {len(self.idf)} weights for {len(self.words)} words")

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the words and their weights."""
        words, rows = self._learn_words(column)
        one = int(self.smooth_idf)
        idf = np.log((len(column) + one) / (np.array(rows) + one)) + 1
        return replace(self, words=words, idf=tuple(idf.tolist()))

    def encode(self, column: RawColumn) -> Array:
        """Return the weighted frequencies."""
        y: Array = self._weighted(self._counts(column))
        return y

    def infer(self, column: Any) -> Any:
        """Return the weighted frequencies."""
        return self._weighted(self._inferred_counts(column))

    def _weighted(self, y: Any) -> Any:
        if self.sublinear_tf:
            y = np.where(y > 0, np.log(np.maximum(y, 1)) + 1, 0)
        y *= np.array(self.idf)
        if self.norm == "none":
            return y
        size = np.abs(y).sum(1) if self.norm == "l1" else np.sqrt(np.square(y).sum(1))
        y /= np.where(size > 0, size, 1)[:, None]
        return y


def texts_of(cells: Categorical) -> tuple[list[str], Array]:
    """Return the distinct texts of a column, and the number of its text for each row.

    A missing text is the empty one. Categories without a row are left out: those of a chunk of
    rows are the categories of the whole column.
    """
    used, number_of_row = np.unique(cells.codes, return_inverse=True)
    return [cells.categories[code] if code >= 0 else "" for code in used.tolist()], number_of_row
