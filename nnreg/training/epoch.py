"""One epoch: its random generators, and the totals of the examples done so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nnreg._types import Array
from nnreg.training.evaluation import Examples
from nnreg.training.gradient import ShardResult, Worker
from nnreg.training.state import EpochState

SHUFFLE_STREAM = 1
LAYER_STREAM = 2
"""The second number in the seed of a generator: the order of the examples is drawn from
[seed, SHUFFLE_STREAM, epoch], what the layers of a worker draw from
[seed, LAYER_STREAM, epoch, worker]."""


def generator(*key: int) -> np.random.Generator:
    """Return the random generator seeded with these numbers."""
    return np.random.default_rng(np.random.SeedSequence(key))


class EpochTotals:
    """The number of examples done, the sum of their losses, and their outputs if metrics need them.

    `outputs` are in the order of training.
    """

    def __init__(self, done: EpochState, outputs: Array | None) -> None:
        self.seen = done.seen
        self.loss = done.loss
        self.outputs = outputs
        if outputs is not None and done.outputs is not None:
            outputs[: done.seen] = done.outputs

    def add(self, shards: Sequence[ShardResult]) -> None:
        """Add the results of a batch."""
        for shard in shards:
            count = len(shard.rows)
            self.loss += shard.loss * count
            if self.outputs is not None:
                self.outputs[self.seen : self.seen + count] = shard.scores
            self.seen += count

    def state(self, examples: Examples, workers: Iterable[Worker]) -> EpochState:
        """Return the state from which an epoch on these examples resumes."""
        done = None if self.outputs is None else self.outputs[: self.seen]
        streams = [worker.context.rng.bit_generator.state for worker in workers]
        loss, digest = float(self.loss), examples.digest
        return EpochState(len(examples), self.seen, loss, done, streams, digest)
