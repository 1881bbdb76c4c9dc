"""The training loop: a generator that yields one record an epoch.

Every random stream is derived from the seed and the epoch, so that what was stopped after an
epoch goes on with the same bits; in mid-epoch, `EpochState` has what else that takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, available_threads, blas_threads
from nnreg.builtin.schedules import Constant
from nnreg.errors import DataError, DivergedError, UsageError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.network.network import Network
from nnreg.network.parameters import by_layer
from nnreg.tables.lazy import LazyArray, chunks_in_order
from nnreg.training.divergence import all_finite, explain
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import MIN_SHARD_ROWS, Batch, DataParallelGradient, ShardResult, Worker
from nnreg.training.settings import Train
from nnreg.training.state import EpochState, Record, TrainingState
from nnreg.training.update import (
    ExponentialMovingAverage,
    L1L2Penalty,
    LearningRateScheduler,
    OptimizerRunner,
    WeightDecay,
    clip,
    update_threads,
)

SHUFFLE_STREAM = 1
LAYER_STREAM = 2
"""The streams of the order of examples, [seed, stream, epoch], and of the layers' own draws, which
have the number of the thread after that."""

MIN_FLOPS_FOR_THREADS = 8e6
"""Floating-point operations from which a matrix product gains by a second thread."""

MIN_ACTIVATIONS_FOR_SHARDING = 250_000
"""Values that a batch makes on its way through a network, from which its threads gain by dividing
it among them. There must also be as many as parameters: each thread has a gradient to add."""

_Position = tuple[int, int, EpochState | None]
"""The steps that are done, those that are averaged, and the epoch under way."""


class Trainer:
    """Trains a network in place.

    `train` and `validation` hold inputs and targets as the network takes them. `evaluation` knows
    the loss and the metrics. `training_state` is where to go on from, and `epochs` where to stop,
    by default those of the settings, which the schedule goes by in any case. Raises `UsageError`
    where early stopping or the schedule watches a validation that there is none of.
    """

    def __init__(
        self,
        network: Network,
        evaluation: Evaluation,
        optimizer: Optimizer,
        settings: Train,
        train: Examples,
        validation: Examples | None = None,
        *,
        schedule: Schedule | None = None,
        seed: int = 0,
        training_state: TrainingState | None = None,
        epochs: int | None = None,
    ) -> None:
        self.network = network
        self.evaluation = evaluation
        self.settings = settings
        self.train = train
        self.validation = validation
        self.seed = seed
        self.training_state = training_state or TrainingState()
        self.consistent = True
        """Whether the state is that between two steps: an exception within one leaves it torn."""
        self.seen = 0
        """The examples done of the epoch under way; another thread may look at it meanwhile."""
        self._last_epoch = settings.epochs if epochs is None else epochs
        schedule = schedule or Constant()
        self._require_monitored("early stopping", self.monitor, "train.early_stopping.monitor")
        self._require_monitored("the schedule", schedule.monitored_metric(), "its monitor")
        size, dtype = network.vector.size, network.dtype
        for name in optimizer.state_names:
            self.training_state.optimizer_state.setdefault(name, np.zeros(size, dtype))
        workers = self._worker_count()
        limit = self._threads_beside(workers) or available_threads()
        self._pool = ThreadPool(max(workers, update_threads(optimizer, size, limit)))
        several = settings.accumulate > 1
        self._shards = DataParallelGradient(
            network, evaluation, workers, self._pool, several=several
        )
        self._gradient = self._shards.gradient
        self._gradients = by_layer(self._gradient, network.params)
        self._regularization = L1L2Penalty(network, self._gradient, settings.l1, settings.l2)
        self._weight_decay = (
            WeightDecay(network, settings.weight_decay) if settings.weight_decay else None
        )
        self._ema = self._prepare_ema(settings.ema)
        slots = self.training_state.optimizer_state
        self._optimizer = OptimizerRunner(optimizer, network, self._gradient, slots, self._pool)
        self._lr_scheduler = (
            None if isinstance(schedule, Constant) else self._learning_rate_scheduler(schedule)
        )
        both = {network, self._inference_network}
        values = [array for one in both for array in (one.vector, one.state_vector)]
        self._last_finite_state = _Snapshot([*values, *slots.values()])

    def _prepare_ema(self, decay: float | None) -> ExponentialMovingAverage | None:
        """Go on with the average in the progress, or begin one, or drop it."""
        progress, network = self.training_state, self.network
        if decay is None:
            progress.ema_steps, progress.ema = 0, None
            return None
        if progress.ema is None:
            progress.ema = np.zeros_like(network.vector), np.zeros_like(network.state_vector)
        return ExponentialMovingAverage(network, decay, progress.ema)

    @property
    def _inference_network(self) -> Network:
        """The network that is measured and kept: with averaged weights where there are any."""
        return self.network if self._ema is None else self._ema.network

    def _require_monitored(self, who: str, figure: str | None, option: str) -> None:
        """Raise `UsageError` where someone watches a figure of a validation that there is not."""
        if self.validation is None and (figure or "").startswith("val_"):
            raise UsageError(
                f"{who} watches {figure!r}, but there is no validation part; give "
                f'one (data.split.validation), or set {option} to "loss"'
            )

    def _learning_rate_scheduler(self, schedule: Schedule) -> LearningRateScheduler:
        names = [f"{part}{name}" for part in ("", "val_") for name in self.evaluation.names]
        rising = frozenset(name for name in names if self.evaluation.higher_is_better(name))
        steps = math.ceil(len(self.train) / self.settings.step_size)
        return LearningRateScheduler(schedule, self._optimizer, self.settings.epochs, steps, rising)

    @property
    def monitor(self) -> str | None:
        """The figure that decides which epoch was the best; None where the last one is."""
        if self.settings.early_stopping:
            return self.settings.early_stopping.monitor
        return "val_loss" if self.validation else None

    @property
    def threads(self) -> int | None:
        """The most threads that training uses; None leaves that to the matrix products' library.

        They divide each batch where that gains, and each matrix product otherwise. One, unless the
        settings say otherwise, where the network gains from neither: threads that have nothing to
        gain still wait for each other on a busy machine.
        """
        return self._threads_beside(len(self._shards))

    def _threads_beside(self, workers: int) -> int | None:
        if workers > 1:
            return workers
        if self.settings.threads is not None:
            return self.settings.threads
        return (
            1
            if self.network.largest_product(self.settings.batch_size) < MIN_FLOPS_FOR_THREADS
            else None
        )

    @property
    def streaming(self) -> bool:
        """Whether the inputs stay in their file, which makes the order of examples another."""
        return isinstance(self.train.x, LazyArray)

    @property
    def data_parallel(self) -> bool:
        """Whether threads divide each batch among them, rather than each matrix product."""
        return len(self._shards) > 1

    def gradient_norms(self) -> dict[str, float]:
        """Return the length of each layer's gradient as the optimizer was given it last."""
        return {layer: _norm(gradient) for layer, gradient in self._gradients.items()}

    def memory(self) -> dict[str, int]:
        """Return the bytes that are kept from step to step, by what they are for.

        `copies` are the averages, where there are any, the state to go back to where an epoch
        fails, and that of the best epoch.
        """
        values = self.network.vector.nbytes + self.network.state_vector.nbytes
        slots = sum(slot.nbytes for slot in self.training_state.optimizer_state.values())
        return {
            "parameters": values,
            "gradient": self._shards.gradient_bytes,
            "optimizer": slots,
            "copies": (2 if self._ema is None else 4) * values + slots,
        }

    def _worker_count(self) -> int:
        """Return how many threads the rows of a batch are divided among."""
        network, batch = self.network, min(self.settings.batch_size, len(self.train))
        least = max(MIN_ACTIVATIONS_FOR_SHARDING, network.vector.size)
        if not network.independent or batch * network.activations_per_example < least:
            return 1
        if network.max_sequence_length > 1 and not network.kernels.few_calls:
            return 1
        return max(1, min(self.settings.threads or available_threads(), batch // MIN_SHARD_ROWS))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or early stopping has struck."""
        stopping, progress = self.settings.early_stopping, self.training_state
        if progress.epoch >= self._last_epoch:
            return True
        return stopping is not None and progress.epoch - progress.best_epoch >= stopping.patience

    def epochs(self) -> Iterator[Record]:
        """Train until finished, yielding the record of each epoch.

        Raises `DivergedError` when a loss is not finite; the network then holds the weights it had
        after the last good epoch.
        """
        return (record for record in self.iterate(None) if record is not None)

    def iterate(self, pause: Callable[[], bool] | None) -> Generator[Record | None, None, None]:
        """Train as `epochs` does, and yield None in mid-epoch too, after each step if `pause()`.

        The bits are the same with and without pauses.
        """
        with self._pool.open():
            while not self.finished:
                self._last_finite_state.take()
                before, record = self._position(), None
                with closing(self._run_epoch(self.training_state.epoch + 1, pause)) as passing:
                    while record is None:
                        with blas_threads(1 if self.data_parallel else self.threads):
                            record = self._advance(passing, before)
                        yield record

    def _position(self) -> _Position:
        return (
            self.training_state.step,
            self.training_state.ema_steps,
            self.training_state.epoch_state,
        )

    def _advance(self, passing: Iterator[Record | None], before: _Position) -> Record | None:
        """Go on to the next pause, or to the end of the epoch."""
        progress = self.training_state
        self.consistent = False
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # told by DivergedError
                record = next(passing)
        except (DivergedError, DataError):
            self._last_finite_state.restore()
            progress.step, progress.ema_steps, progress.epoch_state = before
            self.consistent = True
            raise
        if record is not None:
            self.seen = 0
            progress.epoch, progress.epoch_state = progress.epoch + 1, None
            progress.history.append(record)
            self._remember_best(record)
        self.consistent = True
        return record

    def _run_epoch(
        self, epoch: int, pause: Callable[[], bool] | None
    ) -> Generator[Record | None, None, None]:
        """Go over the training examples that the epoch has left, then measure.

        Yields None at each pause, and the record at the end.
        """
        count, size = len(self.train), self.settings.step_size
        order, running = self._order(epoch), self._resume_epoch(epoch, count)
        step = running.seen // size
        batch = step * self.settings.accumulate
        with closing(self._steps_of(order[running.seen :])) as steps:
            for examples, rows in steps:
                for shares in self._shards.batches(examples, rows, self.settings.batch_size):
                    batch += 1
                    self._check_losses(shares, epoch, batch)
                    running.add(shares)
                self._step(epoch - 1, step)
                step += 1
                self.seen = running.seen
                if pause is not None and running.seen < count and pause():
                    self._check_weights(shares, epoch, batch)
                    self.training_state.epoch_state = running.epoch_state(count, self._shards)
                    yield None
        del examples  # it may be a window of a large file
        self._check_weights(shares, epoch, batch)
        record: Record = {"epoch": epoch, "loss": running.loss / count}
        if running.outputs is not None:
            seen = replace(self.train, raw_targets=self.train.raw_targets[order])
            record |= self.evaluation.metrics(self.network.outputs(running.outputs), seen)
        if self.validation:
            record |= self._validate(self.validation, epoch, batch)
        if self._lr_scheduler is not None:
            record["learning_rate"] = self._optimizer.learning_rate
        yield record

    def _validate(self, validation: Examples, epoch: int, batch: int) -> Record:
        """Return what the validation comes to after an epoch and its last batch."""
        answering = self._inference_network
        measured = self.evaluation.evaluate(answering, validation)
        if not math.isfinite(measured["loss"]):
            passing = answering.context(answering.workspace(reuse=False))
            explain(answering, passing, validation.x, epoch, batch, "the validation loss")
        return {f"val_{name}": value for name, value in measured.items()}

    def _order(self, epoch: int) -> Array:
        """Return the rows in the order in which an epoch goes over them."""
        x, rng = self.train.x, _stream(self.seed, SHUFFLE_STREAM, epoch)
        if not self.settings.shuffle:
            return np.arange(len(x))
        if isinstance(x, LazyArray):
            return x.shuffled(rng, self.settings.step_size)
        return rng.permutation(len(x))

    def _steps_of(self, order: Array) -> Generator[tuple[Batch, Array], None, None]:
        """Yield examples that are in memory, and the rows of them that make a step."""
        size, weights = self.settings.step_size, self.train.weights
        with closing(chunks_in_order(self.train.x, order, size)) as segments:
            for window in segments:
                own = None if weights is None else weights[window.positions]
                examples = Batch(window.values, self.train.targets[window.positions], own)
                for start in range(0, len(window.order), size):
                    yield examples, window.order[start : start + size]

    def _resume_epoch(self, epoch: int, count: int) -> EpochTotals:
        """Return what is done of an epoch, and put the layers' random streams where they were.

        An epoch that was begun on other examples begins anew.
        """
        partial = self.training_state.epoch_state
        if partial is None or partial.count != count:
            partial = EpochState(count)
        for index, worker in enumerate(self._shards):
            worker.workspace.rng = _stream(self.seed, LAYER_STREAM, epoch, index)
            if index < len(partial.streams):
                worker.workspace.rng.bit_generator.state = partial.streams[index]
        self.seen = partial.seen
        if not self.evaluation.named_metrics:
            return EpochTotals(partial, None)
        shape = (count, *self.network.output_shape)
        return EpochTotals(partial, np.empty(shape, self.network.dtype))

    def _check_weights(self, shares: Sequence[ShardResult], epoch: int, batch: int) -> None:
        """Find values that the last step spoiled, before anyone saves or measures them."""
        if not (all_finite(self.network.vector) and all_finite(self.network.state_vector)):
            explain(self.network, shares[0].worker.context, shares[-1].x[-1:], epoch, batch)

    def _check_losses(self, shares: Sequence[ShardResult], epoch: int, batch: int) -> None:
        for share in shares:
            if not math.isfinite(share.loss):
                explain(self.network, share.worker.context, share.x, epoch, batch)

    def _step(self, epoch: int, step: int) -> None:
        """Change the weights by the gradient; epoch and step in it are counted from 0."""
        progress = self.training_state
        self._regularization.add()
        clip(self._gradient, self.settings.clip_norm, self.settings.clip_value)
        if self._lr_scheduler is not None:
            self._lr_scheduler.set(epoch, step, progress.history)
        if self._weight_decay is not None:
            self._weight_decay.apply(self._optimizer.learning_rate)
        progress.step += 1
        self._optimizer.step(progress.step)
        if self._ema is not None:
            progress.ema_steps += 1
            self._ema.add(progress.ema_steps)

    def _remember_best(self, record: Record) -> None:
        progress, monitor = self.training_state, self.monitor
        if monitor is None:
            better = True
            value = record["loss"]
        else:
            value = record[monitor] * (-1 if self.evaluation.higher_is_better(monitor) else 1)
            stopping = self.settings.early_stopping
            better = value < progress.best_value - (stopping.min_delta if stopping else 0)
        if better or progress.best_vector is None:
            progress.best_epoch, progress.best_value = progress.epoch, value
            best = self._inference_network
            progress.best_vector = _copied(best.vector, progress.best_vector)
            progress.best_state = _copied(best.state_vector, progress.best_state)


class EpochTotals:
    """What the examples of an epoch came to so far.

    That is how many they are, the sum of their losses, and in `outputs`, where metrics need it,
    what the network made of them.
    """

    def __init__(self, begun: EpochState, outputs: Array | None) -> None:
        self.seen = begun.seen
        self.loss = begun.loss
        self.outputs = outputs
        if outputs is not None and begun.outputs is not None:
            outputs[: begun.seen] = begun.outputs

    def add(self, shares: Sequence[ShardResult]) -> None:
        """Add what the workers made of a batch."""
        for share in shares:
            count = len(share.rows)
            self.loss += share.loss * count
            if self.outputs is not None:
                self.outputs[self.seen : self.seen + count] = share.scores
            self.seen += count

    def epoch_state(self, count: int, workers: Iterable[Worker]) -> EpochState:
        """Return what the epoch, of so many examples, goes on from."""
        done = None if self.outputs is None else self.outputs[: self.seen]
        streams = [worker.context.rng.bit_generator.state for worker in workers]
        return EpochState(count, self.seen, float(self.loss), done, streams)


class _Snapshot:
    """Copies of arrays to go back to, made in the same memory each time."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._pairs = [(array, np.empty_like(array)) for array in arrays]

    def take(self) -> None:
        for array, copy in self._pairs:
            np.copyto(copy, array)

    def restore(self) -> None:
        for array, copy in self._pairs:
            np.copyto(array, copy)


def _norm(vector: Array) -> float:
    """Return the Euclidean norm, in float64 where squares leave the range of the vector's type."""
    with np.errstate(over="ignore"):
        squares = float(np.dot(vector, vector))
    if 0 < squares < math.inf:
        return math.sqrt(squares)
    return float(np.linalg.norm(vector.astype(np.float64)))


def _copied(array: Array, copy: Array | None) -> Array:
    """Return a copy, in the memory of the one before where there was one."""
    copy = np.empty_like(array) if copy is None else copy
    np.copyto(copy, array)
    return copy


def _stream(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))
