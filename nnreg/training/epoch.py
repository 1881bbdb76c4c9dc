"""One epoch: its random generators, its steps, and the totals of the examples done so far."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError, NnregWarning
from nnreg.network.network import Network
from nnreg.ranks.group import Purpose, Ranks
from nnreg.tables.lazy import LazyArray, chunks_in_order
from nnreg.tables.padded import Padded
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import Batch, DataParallelGradient, Shard, shards_in_order
from nnreg.training.settings import Train
from nnreg.training.shard_results import MaskedResult, ShardResult, losses_of
from nnreg.training.state import EpochState, TrainingState

SHUFFLE_STREAM = 1
LAYER_STREAM = 2
OPTIMIZER_STREAM = 3
AUGMENTATION_STREAM = 4
"""The second number in the seed of a generator: the order of the examples is drawn from
[seed, SHUFFLE_STREAM, epoch], what the layers draw for a shard from
[seed, LAYER_STREAM, epoch, shard], what the optimizer draws from [seed, OPTIMIZER_STREAM, step],
what augmentations draw from [seed, AUGMENTATION_STREAM, epoch, step].
"""


def generator(*key: int) -> np.random.Generator:
    """Return the random generator seeded with these numbers."""
    return np.random.default_rng(np.random.SeedSequence(key))


def begin_random_numbers(
    shards: DataParallelGradient, streams: Sequence[Mapping[str, Any]], seed: int, epoch: int
) -> None:
    """Give each shard its random generator for an epoch, in the state that it had in mid-epoch."""
    if streams and len(streams) != shards.count:
        warnings.warn(
            f"epoch {epoch} was begun with {len(streams)} shards per batch, and continues with "
            f"{shards.count}; its last bits may differ from those of an uninterrupted run",
            NnregWarning,
            stacklevel=2,
        )
    for index, shard in zip(shards.own, shards, strict=True):
        shard.rng = generator(seed, LAYER_STREAM, epoch, index)
        if index < len(streams):
            shard.random_state = streams[index]


def unfinished_epoch(state: TrainingState, train: Examples) -> EpochState:
    """Return the state of an unfinished epoch.

    If it was begun on other examples, it starts again, with a warning.
    """
    done = state.epoch_state
    if done is None:
        return EpochState(len(train))
    if done.count == len(train) and done.examples in ("", train.digest):
        return done
    warnings.warn(
        f"epoch {state.epoch + 1} was begun on other examples; it starts again",
        NnregWarning,
        stacklevel=2,
    )
    return EpochState(len(train))


def order_of(train: Examples, settings: Train, seed: int, epoch: int, shards: int = 1) -> Array:
    """Return the numbers of the rows in the order of an epoch with this many shards per batch."""
    x, rng = train.x, generator(seed, SHUFFLE_STREAM, epoch)
    if not settings.shuffle:
        return np.arange(len(x))
    if isinstance(x, LazyArray):
        shards_of_rows = functools.partial(shards_in_order, settings.batch_size, shards)
        return x.shuffled(rng, settings.step_size, shards_of_rows)
    return rng.permutation(len(x))


def steps_of(
    train: Examples,
    order: Array,
    size: int,
    points: Array | None = None,
    needed: Array | None = None,
) -> Generator[tuple[Batch, Array], None, None]:
    """Yield for each step examples that are in memory, and the `size` rows of them to train on.

    With masks, `points` has the number of real points of each row in each output. For `needed`, see
    `chunks_in_order`.
    """
    with closing(chunks_in_order(train.x, order, size, needed)) as chunks:
        for chunk in chunks:
            own = None if train.weights is None else train.weights[chunk.positions]
            counts = None if points is None else points[chunk.positions]
            examples = Batch(chunk.values, train.targets[chunk.positions], own, counts)
            for start in range(0, len(chunk.order), size):
                yield examples, chunk.order[start : start + size]


def points_of_training(evaluation: Evaluation, network: Network, train: Examples) -> Array | None:
    """Return the number of real points of each row in each output; None without masks.

    Raises `DataError` for outputs of more steps than those that a checkpoint of the network has.
    """
    targets = train.targets
    if isinstance(targets, Padded) and targets.steps > network.output_shape[0]:
        raise DataError(
            f"the data: sequences of up to {targets.steps} steps, but the model was built for "
            f"{network.output_shape[0]}; build a new one to train on longer sequences"
        )
    return evaluation.points(targets)


def mean_loss(results: Sequence[ShardResult]) -> float:
    """Return the mean loss of the rows of all shards; with masks, of their real points."""
    if isinstance(results[0], MaskedResult):
        return float(losses_of(results)[0].sum())
    count = sum(len(result.rows) for result in results)
    return float(sum(result.loss * len(result.rows) for result in results) / count)


class EpochTotals:
    """The number of examples done, the sum of their losses, and their outputs if metrics need them.

    `outputs` are in the order of training. With masks, `points` has the number of real points of
    each row in each output; the loss of a shard then counts by its own.
    """

    def __init__(
        self, done: EpochState, outputs: Array | None, points: Array | None = None
    ) -> None:
        self.seen = done.seen
        self.loss = done.loss
        self._points_per_row = None if points is None else points.mean(axis=0)
        self.outputs = outputs
        self._computed = list[slice]()
        """The rows of the outputs that this rank computed, and that others may not have."""
        if outputs is not None and done.outputs is not None:
            outputs[: done.seen] = done.outputs

    def add(self, results: Sequence[ShardResult]) -> None:
        """Add the results of a batch."""
        for result in results:
            count = len(result.rows)
            if self._points_per_row is None:
                self.loss += result.loss * count
            elif isinstance(result, MaskedResult):
                self.loss += float(np.sum(result.losses * result.points / self._points_per_row))
            if self.outputs is not None and result.scores is not None:
                rows = slice(self.seen, self.seen + count)
                self.outputs[rows] = result.scores
                self._computed.append(rows)
            self.seen += count

    def gather_outputs(self, ranks: Ranks) -> None:
        """Get the outputs that other ranks computed."""
        if ranks.size > 1 and self.outputs is not None:
            own = [np.r_[rows] for rows in self._computed]
            rows = ranks.gather(Purpose.OUTPUTS, np.concatenate([np.empty(0, np.intp), *own]))
            values = ranks.gather(Purpose.OUTPUTS, self.outputs[rows[ranks.rank]].ravel())
            for there, found in zip(rows, values, strict=True):
                self.outputs[there] = found.reshape(len(there), *self.outputs.shape[1:])
        self._computed.clear()

    def add_steps(self, losses: Sequence[float], batch: int, rows: int) -> None:
        """Add the mean losses of consecutive batches of these rows, whose outputs are there."""
        end = self.seen + rows
        for loss in losses:
            count = min(batch, end - self.seen)
            self.loss += loss * count
            self.seen += count

    def state(self, examples: Examples, shards: Iterable[Shard], ranks: Ranks) -> EpochState:
        """Return the state from which an epoch on these examples resumes, given those here."""
        self.gather_outputs(ranks)
        done = None if self.outputs is None else self.outputs[: self.seen]
        own = [shard.random_state for shard in shards]
        streams = [state for states in ranks.gather_objects(own) for state in states]
        loss, digest = float(self.loss), examples.digest
        return EpochState(len(examples), self.seen, loss, done, streams, digest)
