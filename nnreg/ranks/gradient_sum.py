"""The sum of the gradients of all shards, with the same bits on any number of ranks.

The gradients are added as a binary tree over the shards' numbers. Each rank first makes the
additions of its own shards; of what is then left, each adds one slice, which all others send to it,
and sends the sum of its slice to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import tree_additions
from nnreg._utils.threads import split_evenly
from nnreg.ranks.group import Ranks


class GradientSum:
    """Adds the gradients of `count` shards, of which each rank has those in `shards_of`.

    `gradients` are those of this rank, after the additions in `additions_within`; the sum is
    written to the first of them.
    """

    def __init__(self, ranks: Ranks, count: int, gradients: Sequence[Array]) -> None:
        parts = shards_of(count, ranks.size)
        done = {pair for part in parts for pair in additions_within(count, part)}
        added = {other for _, other in done}
        left = [[shard for shard in part if shard not in added] for part in parts]
        self._ranks, self._vector = ranks, gradients[0]
        self._slices = split_evenly(self._vector.size, ranks.size)
        part = self._slices[ranks.rank]
        sums = {
            shard: np.empty(part.stop - part.start, self._vector.dtype)
            for shards in left
            for shard in shards
        }
        self._sum = sums[0]
        self._additions = [
            (sums[one], sums[other])
            for one, other, _ in tree_additions(count)
            if (one, other) not in done
        ]
        first = parts[ranks.rank].start
        self._rounds = list[tuple[Array | None, list[Array | None]]]()
        """The gradient that this rank gives at a time, and where those of all are received."""
        for given in zip_longest(*left):
            own = given[ranks.rank]
            vector = None if own is None else gradients[own - first]
            self._rounds.append((vector, [None if k is None else sums[k] for k in given]))

    @property
    def nbytes(self) -> int:
        """The bytes of the slices of all ranks that this one adds."""
        return sum(one.nbytes for _, row in self._rounds for one in row if one is not None)

    def run(self) -> None:
        """Write the sum of all gradients."""
        for vector, received in self._rounds:
            self._ranks.exchange_slices(vector, self._slices, received)
        for one, other in self._additions:
            np.add(one, other, out=one)
        self._ranks.gather_slices(self._sum, self._slices, self._vector)


def shards_of(count: int, ranks: int) -> list[range]:
    """Return the numbers of the shards of each rank."""
    return [range(part.start, part.stop) for part in split_evenly(count, ranks)]


def additions_within(count: int, part: range) -> list[tuple[int, int]]:
    """Return the additions of `tree_additions` whose sums are of shards in this part only."""
    return [
        (one, other) for one, other, end in tree_additions(count) if one in part and end - 1 in part
    ]
