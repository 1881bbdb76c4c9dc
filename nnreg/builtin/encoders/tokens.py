"""The encoder of text as a sequence of tokens."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.builtin.encoders.byte_pairs import BYTES, BytePairs, learn_merges, pieces_of
from nnreg.builtin.encoders.text import texts_of
from nnreg.errors import NnregWarning
from nnreg.interfaces.component import Count
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.tables.ragged import Ragged, of_consecutive

WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
LENGTH = 256
"""The most tokens of a text where the spec does not say."""

Token = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class Tokens(Encoder):
    """A text as the indices of its tokens, for an `embedding`: a sequence, as long as the text.

    y_t = k if the t-th token is the k-th of those that were learned, 0 if it is none

    Words, and every other mark but spaces, such as ".", are tokens, or characters are. The most
    frequent ones in the training rows have an index from 1 on; all others have the index 0. Byte
    pairs (Sennrich et al. 2016) are parts of words, learned from the training rows: the bytes of
    the text in UTF-8, and pairs of tokens that often follow each other, again and again. Every text
    can be written with them.

    It is the only column of its input. `embedding` has the same `vocabulary`.

    Options:
        tokens: "words", "characters" or "byte_pairs".
        vocabulary: How many different indices there are at most; 256 or more for byte pairs.
        length: How many tokens a text has at most; what follows is left out. null for 256, with a
            warning if texts of the training rows are longer.
        lowercase: Whether upper case is made lower case first.

    Learned:
        items: The words or characters from the index 1 on, the most frequent ones first.
        merges: The pairs of tokens that are the tokens from 256 on.
    """

    takes = "text"
    integer = True
    makes_sequences = True
    known_texts = ("",)
    replacement = ""

    tokens: Literal["words", "characters", "byte_pairs"] = "words"
    vocabulary: Annotated[int, Ge(2)] = 2000
    length: Count | None = None
    lowercase: bool = True
    items: tuple[str, ...] = learned(())
    merges: tuple[tuple[Token, Token], ...] = learned(())

    def __post_init__(self) -> None:
        if self.tokens == "byte_pairs" and self.vocabulary < BYTES:
            raise ValueError(f"vocabulary: must be {BYTES} or more for byte pairs")
        if len(self.items) >= self.vocabulary or len(self.merges) > max(self.vocabulary - BYTES, 0):
            raise ValueError("items, merges: have more tokens than 'vocabulary'")
        for number, pair in enumerate(self.merges, BYTES):
            if max(pair) >= number:
                raise ValueError(f"merges: token {number} is of later ones, {pair}")

    @property
    def shape(self) -> Shape:
        """A step is one index."""
        return ()

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the words, the characters or the pairs."""
        texts, number_of_row = texts_of(column.categories)
        repeats = np.bincount(number_of_row).tolist()
        counts: Counter[str] = Counter()
        for text, repeat in zip(texts, repeats, strict=True):
            for part in self._parts(text):
                counts[part] += repeat
        if self.tokens == "byte_pairs":
            found = replace(self, merges=tuple(learn_merges(counts, self.vocabulary - BYTES)))
        else:
            ordered = sorted(counts, key=lambda part: (-counts[part], part))
            found = replace(self, items=tuple(ordered[: self.vocabulary - 1]))
        if self.length is None:
            found._warn_of_cut(column, texts, repeats)
        return found

    def encode(self, column: RawColumn) -> Ragged:
        """Return the indices of each text, as integers."""
        texts, number_of_row = texts_of(column.categories)
        tokens_of = self._tokenizer()
        longest = self.length or LENGTH
        found = [tokens_of(text)[:longest] for text in texts]
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        steps = np.fromiter(chain.from_iterable(found), np.int64, int(lengths.sum()))
        return of_consecutive(steps, lengths)[number_of_row]

    @property
    def example_texts(self) -> Sequence[str]:
        """Texts of the words or characters."""
        some = [item for item in self.items[:100] if item.strip()]
        return ["", "?", *some, *(f"{one} {two.upper()}" for one, two in pairwise(some))]

    def infer_sequences(self, column: Any, steps: int) -> Any:
        """Return the number of tokens of each text, and their indices."""
        tokens_of, longest = self._tokenizer(), self.length or LENGTH

        def compute(texts: Sequence[str]) -> Array:
            found = np.zeros((len(texts), 1 + steps), np.int64)
            for row, text in zip(found, texts, strict=True):
                tokens = tokens_of(text)[:longest]
                row[0] = len(tokens)
                row[1 : len(tokens) + 1] = tokens[:steps]
            return found

        if self.tokens == "byte_pairs":
            return column.of_texts(
                "byte_pairs", compute, merges=self.merges, lowercase=self.lowercase,
                longest=longest, steps=steps,
            )  # fmt: skip
        return column.of_texts(
            "tokens", compute, items=self.items, parts=self.tokens, lowercase=self.lowercase,
            longest=longest, steps=steps,
        )  # fmt: skip

    def _tokenizer(self) -> Callable[[str], Sequence[int]]:
        """Return the function from a text to all its indices."""
        if self.tokens == "byte_pairs":
            byte_pairs = BytePairs(self.merges)
            return lambda text: [*chain.from_iterable(map(byte_pairs, self._parts(text)))]
        index = {item: number for number, item in enumerate(self.items, 1)}
        return lambda text: [index.get(part, 0) for part in self._parts(text)]

    def _parts(self, text: str) -> Iterable[str]:
        text = text.lower() if self.lowercase else text
        if self.tokens == "characters":
            return text
        return pieces_of(text) if self.tokens == "byte_pairs" else WORD_OR_MARK.findall(text)

    def _warn_of_cut(self, column: RawColumn, texts: Sequence[str], repeats: Sequence[int]) -> None:
        tokens_of = self._tokenizer()
        rows = sum(
            repeat
            for text, repeat in zip(texts, repeats, strict=True)
            if len(text.encode("utf-8", "replace")) > LENGTH and len(tokens_of(text)) > LENGTH
        )
        if rows:
            warnings.warn(
                f"{column.table.origin}: {rows:,} of {len(column):,} texts of column "
                f"{column.name!r} have more than {LENGTH} tokens, and what follows is left out; "
                'set "length" of its encoder in data.columns',
                NnregWarning,
                stacklevel=2,
            )
