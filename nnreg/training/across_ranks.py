"""The results and the gradients of a batch whose shards are divided among ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnreg._types import Array
from nnreg.network.network import Network
from nnreg.ranks.gradient_sum import GradientSum
from nnreg.ranks.group import Purpose, Ranks
from nnreg.training.shard_results import MaskedResult, ShardResult


class AcrossRanks:
    """Combines what the ranks computed for a batch of `count` shards.

    `gradients` are those of the shards of this rank; the first of them gets the sum of all.
    """

    def __init__(
        self, ranks: Ranks, network: Network, count: int, gradients: Sequence[Array]
    ) -> None:
        self._ranks, self._gradient = ranks, gradients[0]
        self._sum = GradientSum(ranks, count, gradients)
        self._statistics = network.state_vector

    @property
    def nbytes(self) -> int:
        """The bytes of the parts of gradients that this rank adds."""
        return self._sum.nbytes

    def combine(self, parts: Sequence[Array], own: Sequence[ShardResult]) -> list[ShardResult]:
        """Return the results of all shards, with these rows, and write the sum of the gradients.

        A batch of a single part is one that the first rank has computed alone. If a loss is not
        finite, the gradient is arbitrary.
        """
        results = self._results(parts, own)
        if self._statistics.size:  # which only the first shard updates
            self._ranks.broadcast(self._statistics)
        if all(math.isfinite(result.loss) for result in results):
            if len(parts) == 1:
                self._ranks.broadcast(self._gradient)
            else:
                self._sum.run()
        return results

    def _results(self, parts: Sequence[Array], own: Sequence[ShardResult]) -> list[ShardResult]:
        """Return the results of all shards: those of this rank, and what is known of the others."""
        numbers = [number for result in own for number in _numbers(result)]
        found = self._ranks.gather(Purpose.RESULTS, np.array(numbers, np.float64))
        table = np.concatenate(found).reshape(len(parts), -1)
        results = [_read(row, part) for row, part in zip(table, parts, strict=True)]
        first = sum(map(len, found[: self._ranks.rank])) // table.shape[1]
        results[first : first + len(own)] = own
        return results


def _numbers(result: ShardResult) -> list[float]:
    """Return what the other ranks get of a result."""
    if isinstance(result, MaskedResult):
        return [result.loss, *result.losses, *result.points]
    return [result.loss]


def _read(numbers: Array, rows: Array) -> ShardResult:
    """Return the result of another rank."""
    loss, *others = numbers.tolist()
    if not others:
        return ShardResult(None, rows, loss, None)
    losses, points = np.split(numbers[1:], 2)
    return MaskedResult(None, rows, loss, None, losses, points.astype(np.int64))
