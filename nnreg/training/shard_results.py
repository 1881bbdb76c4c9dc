"""The results of the shards of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of a shard of a batch: the mean loss over its rows, and the network's scores.

    `context` is that of its pass. Of a shard of another rank, there are the rows and the loss only.
    """

    context: Context | None
    rows: Array
    loss: float
    scores: Array | None


@dataclass(frozen=True, slots=True)
class MaskedResult(ShardResult):
    """The result of a shard with masks: for each output its loss and its number of real points."""

    losses: Array
    points: Array


def losses_of(results: Sequence[ShardResult]) -> tuple[Array, Array]:
    """Return the loss of each output over the real points of several shards, and their number."""
    masked = [result for result in results if isinstance(result, MaskedResult)]
    points = np.sum([result.points for result in masked], axis=0)
    sums = np.sum([result.losses * result.points for result in masked], axis=0)
    return sums / np.maximum(points, 1), points
