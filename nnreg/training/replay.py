"""Repeats the passes of a step, for an optimizer that evaluates the loss again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.network.network import Network
from nnreg.training.epoch import mean_loss
from nnreg.training.gradient import Batch, DataParallelGradient
from nnreg.training.shard_results import ShardResult


class Replay:
    """Repeats the passes of a step with other weights.

    Each pass draws the same random numbers and begins with the same buffers; the generators and the
    buffers are left as the first pass left them.
    """

    def __init__(self, network: Network, gradient: DataParallelGradient, batch_size: int) -> None:
        self._network = network
        self._gradient = gradient
        self._batch_size = batch_size
        self._examples: tuple[Batch, Array] | None = None
        self._before: tuple[list[Any], Array] = [], np.empty(0)

    def begin(self, examples: Batch, rows: Array) -> None:
        """Remember a step before its first pass."""
        self._examples = examples, rows
        self._before = self._streams()

    def end(self) -> None:
        """Forget the examples of the step, which may be a chunk of a large file."""
        self._examples = None

    def run(self) -> float:
        """Write the gradient again, and return the loss that has it: the sum of those of members.

        If a loss is not finite, stop there.
        """
        assert self._examples is not None  # `begin` precedes every update
        examples, rows = self._examples
        after, total, all_shards = self._streams(), 0.0, list[ShardResult]()
        self._restore(*self._before)
        for shards in self._gradient.batches(examples, rows, self._batch_size):
            total += sum(shard.loss * len(shard.rows) for shard in shards)
            all_shards += shards
            if not math.isfinite(total):
                break
        self._restore(*after)
        loss = total / len(rows) if examples.points is None else mean_loss(all_shards)
        return loss * self._network.members

    def _streams(self) -> tuple[list[Any], Array]:
        """Return the states of the shards' random generators, and a copy of the buffers."""
        states = [shard.random_state for shard in self._gradient]
        return states, self._network.state_vector.copy()

    def _restore(self, streams: list[Any], buffers: Array) -> None:
        for shard, state in zip(self._gradient, streams, strict=True):
            shard.random_state = state
        np.copyto(self._network.state_vector, buffers)
