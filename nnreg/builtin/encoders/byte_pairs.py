"""Byte pair encoding: tokens of bytes that often follow each other, learned from texts."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

BYTES = 256
"""The tokens below are single bytes; the next ones are merged pairs, in the order of `merges`."""

Pair: TypeAlias = tuple[int, int]

PIECE = re.compile(r"\s?\w{1,40}|\s?[^\w\s]{1,40}|\s{1,40}")
"""A text is cut into words with the space before them; a token is within one of these.

They are short, so that the time for a text without spaces stays in proportion to its length.
"""


def pieces_of(text: str) -> list[str]:
    """Return the pieces of a text, which together are all of it."""
    return PIECE.findall(text)


def learn_merges(pieces: Mapping[str, int], count: int) -> list[Pair]:
    """Return up to `count` pairs of tokens to merge, learned from pieces and their frequencies.

    Sennrich et al. 2016: the most frequent pair becomes a token, again and again. Of pairs that are
    equally frequent, the one with the smaller numbers is first; a pair that occurs once is none.
    """
    words = [list(_bytes(piece)) for piece in pieces]
    repeats = list(pieces.values())
    frequency: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for place, (word, repeat) in enumerate(zip(words, repeats, strict=True)):
        for pair in pairwise(word):
            frequency[pair] += repeat
            places[pair].add(place)
    queue = [(-often, pair) for pair, often in frequency.items()]
    heapq.heapify(queue)
    merges: list[Pair] = []
    while queue and len(merges) < count:
        often, pair = heapq.heappop(queue)
        if -often != frequency[pair]:  # it has changed since, and has a later entry
            continue
        if -often < 2:
            break
        token = BYTES + len(merges)
        merges.append(pair)
        changed: set[Pair] = set()
        for place in places.pop(pair):
            before, after = words[place], _merged(words[place], pair, token)
            for one in pairwise(before):
                frequency[one] -= repeats[place]
                changed.add(one)
            for one in pairwise(after):
                frequency[one] += repeats[place]
                places[one].add(place)
                changed.add(one)
            words[place] = after
        for one in changed:
            if frequency[one] > 0:
                heapq.heappush(queue, (-frequency[one], one))
    return merges


class BytePairs:
    """The tokens of pieces of text, by the pairs to merge."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        self._token_of = {pair: BYTES + number for number, pair in enumerate(merges)}
        self._known: dict[str, tuple[int, ...]] = {}

    def __call__(self, piece: str) -> tuple[int, ...]:
        """Return the tokens of a piece."""
        found = self._known.get(piece)
        if found is None:
            found = self._known[piece] = self._tokens(piece)
        return found

    def _tokens(self, piece: str) -> tuple[int, ...]:
        tokens = list(_bytes(piece))
        none = len(self._token_of) + BYTES
        while len(tokens) > 1:
            first = min(pairwise(tokens), key=lambda pair: self._token_of.get(pair, none))
            token = self._token_of.get(first)
            if token is None:
                break
            tokens = _merged(tokens, first, token)
        return tuple(tokens)


def _bytes(piece: str) -> bytes:
    return piece.encode("utf-8", "surrogatepass")


def _merged(tokens: list[int], pair: Pair, token: int) -> list[int]:
    """Return tokens with each occurrence of a pair, from the left, as one token."""
    first, second = pair
    merged: list[int] = []
    place, last = 0, len(tokens) - 1
    while place <= last:
        if tokens[place] == first and place < last and tokens[place + 1] == second:
            merged.append(token)
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged
