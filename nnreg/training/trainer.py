"""The training loop: a generator that yields one record an epoch.

Every random stream is derived from the seed and the epoch, so that what was stopped after an
epoch goes on with the same bits; in mid-epoch, `Partial` has what else that takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, available_threads, matrix_threads
from nnreg.builtin.schedules import Constant
from nnreg.errors import DataError, DivergedError, UsageError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.network.network import Network
from nnreg.network.parameters import by_layer
from nnreg.tables.lazy import Stored, windows
from nnreg.training.divergence import all_finite, explain
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import LEAST_ROWS, DataParallelGradient, InMemory, Share, Worker
from nnreg.training.settings import Train
from nnreg.training.state import Partial, Progress, Record
from nnreg.training.update import Average, Decay, Penalty, Rate, Update, clip, divisions

SHUFFLE_STREAM = 1
LAYER_STREAM = 2
"""The streams of the order of examples, [seed, stream, epoch], and of the layers' own draws, which
have the number of the thread after that."""

GAINFUL = 8e6
"""Floating-point operations from which a matrix product gains by a second thread."""

DIVISIBLE = 250_000
"""Values that a batch makes on its way through a network, from which its threads gain by dividing
it among them. There must also be as many as parameters: each thread has a gradient to add."""

_Place = tuple[int, int, Partial | None]
"""The steps that are done, those that are averaged, and the epoch under way."""


class Trainer:
    """Trains a network in place.

    `train` and `validation` hold inputs and targets as the network takes them. `evaluation`
    knows the loss and the metrics. `progress` is where to go on from, and `epochs` where to stop,
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
        progress: Progress | None = None,
        epochs: int | None = None,
    ) -> None:
        self.network = network
        self.evaluation = evaluation
        self.settings = settings
        self.train = train
        self.validation = validation
        self.seed = seed
        self.progress = progress or Progress()
        self.whole = True
        """Whether the state is that between two steps: an exception within one leaves it torn."""
        self.seen = 0
        """The examples done of the epoch under way; another thread may look at it meanwhile."""
        self._last = settings.epochs if epochs is None else epochs
        schedule = schedule or Constant()
        self._require_watched("early stopping", self.monitor, "train.early_stopping.monitor")
        self._require_watched("the schedule", schedule.watches(), "its monitor")
        size, dtype = network.vector.size, network.dtype
        for name in optimizer.slots:
            self.progress.slots.setdefault(name, np.zeros(size, dtype))
        workers = self._divisions()
        limit = self._threads_beside(workers) or available_threads()
        self._pool = ThreadPool(max(workers, divisions(optimizer, size, limit)))
        several = settings.accumulate > 1
        self._workers = DataParallelGradient(
            network, evaluation, workers, self._pool, several=several
        )
        self._gradient = self._workers.gradient
        self._gradients = by_layer(self._gradient, network.params)
        self._penalty = Penalty(network, self._gradient, settings.l1, settings.l2)
        self._decay = Decay(network, settings.weight_decay) if settings.weight_decay else None
        self._average = self._averaging(settings.ema)
        slots = self.progress.slots
        self._update = Update(optimizer, network, self._gradient, slots, self._pool)
        self._rate = None if isinstance(schedule, Constant) else self._scheduled(schedule)
        both = {network, self._answering}
        values = [array for one in both for array in (one.vector, one.state_vector)]
        self._good = _Snapshot([*values, *slots.values()])

    def _averaging(self, decay: float | None) -> Average | None:
        """Go on with the average in the progress, or begin one, or drop it."""
        progress, network = self.progress, self.network
        if decay is None:
            progress.averaged, progress.means = 0, None
            return None
        if progress.means is None:
            progress.means = np.zeros_like(network.vector), np.zeros_like(network.state_vector)
        return Average(network, decay, progress.means)

    @property
    def _answering(self) -> Network:
        """The network that is measured and kept: with averaged weights where there are any."""
        return self.network if self._average is None else self._average.network

    def _require_watched(self, who: str, figure: str | None, option: str) -> None:
        """Raise `UsageError` where someone watches a figure of a validation that there is not."""
        if self.validation is None and (figure or "").startswith("val_"):
            raise UsageError(
                f"{who} watches {figure!r}, but there is no validation part; give "
                f'one (data.split.validation), or set {option} to "loss"'
            )

    def _scheduled(self, schedule: Schedule) -> Rate:
        names = [f"{part}{name}" for part in ("", "val_") for name in self.evaluation.names]
        rising = frozenset(name for name in names if self.evaluation.higher_is_better(name))
        steps = math.ceil(len(self.train) / self.settings.step_size)
        return Rate(schedule, self._update, self.settings.epochs, steps, rising)

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
        return self._threads_beside(len(self._workers))

    def _threads_beside(self, workers: int) -> int | None:
        if workers > 1:
            return workers
        if self.settings.threads is not None:
            return self.settings.threads
        return 1 if self.network.largest_product(self.settings.batch_size) < GAINFUL else None

    @property
    def streamed(self) -> bool:
        """Whether the inputs stay in their file, which makes the order of examples another."""
        return isinstance(self.train.x, Stored)

    @property
    def divided(self) -> bool:
        """Whether threads divide each batch among them, rather than each matrix product."""
        return len(self._workers) > 1

    def gradient_norms(self) -> dict[str, float]:
        """Return the length of each layer's gradient as the optimizer was given it last."""
        return {layer: _length(gradient) for layer, gradient in self._gradients.items()}

    def memory(self) -> dict[str, int]:
        """Return the bytes that are kept from step to step, by what they are for.

        `copies` are the averages, where there are any, the state to go back to where an epoch
        fails, and that of the best epoch.
        """
        values = self.network.vector.nbytes + self.network.state_vector.nbytes
        slots = sum(slot.nbytes for slot in self.progress.slots.values())
        return {
            "parameters": values,
            "gradient": self._workers.gradient_bytes,
            "optimizer": slots,
            "copies": (2 if self._average is None else 4) * values + slots,
        }

    def _divisions(self) -> int:
        """Return how many threads the rows of a batch are divided among."""
        network, batch = self.network, min(self.settings.batch_size, len(self.train))
        least = max(DIVISIBLE, network.vector.size)
        if not network.independent or batch * network.values < least:
            return 1
        if network.steps > 1 and not network.kernels.few_calls:
            return 1
        return max(1, min(self.settings.threads or available_threads(), batch // LEAST_ROWS))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or early stopping has struck."""
        stopping, progress = self.settings.early_stopping, self.progress
        if progress.epoch >= self._last:
            return True
        return stopping is not None and progress.epoch - progress.best_epoch >= stopping.patience

    def epochs(self) -> Iterator[Record]:
        """Train until finished, yielding the record of each epoch.

        Raises `DivergedError` when a loss is not finite; the network then holds the weights it had
        after the last good epoch.
        """
        return (record for record in self.stretches(None) if record is not None)

    def stretches(self, pause: Callable[[], bool] | None) -> Generator[Record | None, None, None]:
        """Train as `epochs` does, and yield None in mid-epoch too, after each step if `pause()`.

        The bits are the same with and without pauses.
        """
        with self._pool.open():
            while not self.finished:
                self._good.take()
                before, record = self._place(), None
                with closing(self._pass(self.progress.epoch + 1, pause)) as passing:
                    while record is None:
                        with matrix_threads(1 if self.divided else self.threads):
                            record = self._stretch(passing, before)
                        yield record

    def _place(self) -> _Place:
        return self.progress.step, self.progress.averaged, self.progress.partial

    def _stretch(self, passing: Iterator[Record | None], before: _Place) -> Record | None:
        """Go on to the next pause, or to the end of the epoch."""
        progress = self.progress
        self.whole = False
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # told by DivergedError
                record = next(passing)
        except (DivergedError, DataError):
            self._good.restore()
            progress.step, progress.averaged, progress.partial = before
            self.whole = True
            raise
        if record is not None:
            self.seen = 0
            progress.epoch, progress.partial = progress.epoch + 1, None
            progress.history.append(record)
            self._remember_best(record)
        self.whole = True
        return record

    def _pass(
        self, epoch: int, pause: Callable[[], bool] | None
    ) -> Generator[Record | None, None, None]:
        """Go over the training examples that the epoch has left, then measure.

        Yields None at each pause, and the record at the end.
        """
        count, size = len(self.train), self.settings.step_size
        order, running = self._order(epoch), self._begin(epoch, count)
        step = running.seen // size
        batch = step * self.settings.accumulate
        with closing(self._steps_of(order[running.seen :])) as steps:
            for examples, rows in steps:
                for shares in self._workers.batches(examples, rows, self.settings.batch_size):
                    batch += 1
                    self._check_losses(shares, epoch, batch)
                    running.add(shares)
                self._step(epoch - 1, step)
                step += 1
                self.seen = running.seen
                if pause is not None and running.seen < count and pause():
                    self._check_weights(shares, epoch, batch)
                    self.progress.partial = running.partial(count, self._workers)
                    yield None
        del examples  # it may be a window of a large file
        self._check_weights(shares, epoch, batch)
        record: Record = {"epoch": epoch, "loss": running.loss / count}
        if running.outputs is not None:
            seen = replace(self.train, truth=self.train.truth[order])
            record |= self.evaluation.metrics(self.network.outputs(running.outputs), seen)
        if self.validation:
            record |= self._validate(self.validation, epoch, batch)
        if self._rate is not None:
            record["learning_rate"] = self._update.learning_rate
        yield record

    def _validate(self, validation: Examples, epoch: int, batch: int) -> Record:
        """Return what the validation comes to after an epoch and its last batch."""
        answering = self._answering
        measured = self.evaluation.measure(answering, validation)
        if not math.isfinite(measured["loss"]):
            passing = answering.context(answering.workspace(reuse=False))
            explain(answering, passing, validation.x, epoch, batch, "the validation loss")
        return {f"val_{name}": value for name, value in measured.items()}

    def _order(self, epoch: int) -> Array:
        """Return the rows in the order in which an epoch goes over them."""
        x, rng = self.train.x, _stream(self.seed, SHUFFLE_STREAM, epoch)
        if not self.settings.shuffle:
            return np.arange(len(x))
        if isinstance(x, Stored):
            return x.shuffled(rng, self.settings.step_size)
        return rng.permutation(len(x))

    def _steps_of(self, order: Array) -> Generator[tuple[InMemory, Array], None, None]:
        """Yield examples that are in memory, and the rows of them that make a step."""
        size, weights = self.settings.step_size, self.train.weights
        with closing(windows(self.train.x, order, size)) as stretches:
            for window in stretches:
                own = None if weights is None else weights[window.places]
                examples = InMemory(window.values, self.train.t[window.places], own)
                for start in range(0, len(window.order), size):
                    yield examples, window.order[start : start + size]

    def _begin(self, epoch: int, count: int) -> _Running:
        """Return what is done of an epoch, and put the layers' random streams where they were.

        An epoch that was begun on other examples begins anew.
        """
        partial = self.progress.partial
        if partial is None or partial.count != count:
            partial = Partial(count)
        for index, worker in enumerate(self._workers):
            worker.workspace.rng = _stream(self.seed, LAYER_STREAM, epoch, index)
            if index < len(partial.streams):
                worker.workspace.rng.bit_generator.state = partial.streams[index]
        self.seen = partial.seen
        if not self.evaluation.named_metrics:
            return _Running(partial, None)
        shape = (count, *self.network.output_shape)
        return _Running(partial, np.empty(shape, self.network.dtype))

    def _check_weights(self, shares: Sequence[Share], epoch: int, batch: int) -> None:
        """Find values that the last step spoiled, before anyone saves or measures them."""
        if not (all_finite(self.network.vector) and all_finite(self.network.state_vector)):
            explain(self.network, shares[0].worker.context, shares[-1].x[-1:], epoch, batch)

    def _check_losses(self, shares: Sequence[Share], epoch: int, batch: int) -> None:
        for share in shares:
            if not math.isfinite(share.loss):
                explain(self.network, share.worker.context, share.x, epoch, batch)

    def _step(self, epoch: int, step: int) -> None:
        """Change the weights by the gradient; epoch and step in it are counted from 0."""
        progress = self.progress
        self._penalty.add()
        clip(self._gradient, self.settings.clip_norm, self.settings.clip_value)
        if self._rate is not None:
            self._rate.set(epoch, step, progress.history)
        if self._decay is not None:
            self._decay.apply(self._update.learning_rate)
        progress.step += 1
        self._update.step(progress.step)
        if self._average is not None:
            progress.averaged += 1
            self._average.add(progress.averaged)

    def _remember_best(self, record: Record) -> None:
        progress, monitor = self.progress, self.monitor
        if monitor is None:
            better = True
            value = record["loss"]
        else:
            value = record[monitor] * (-1 if self.evaluation.higher_is_better(monitor) else 1)
            stopping = self.settings.early_stopping
            better = value < progress.best_value - (stopping.min_delta if stopping else 0)
        if better or progress.best_vector is None:
            progress.best_epoch, progress.best_value = progress.epoch, value
            best = self._answering
            progress.best_vector = _copied(best.vector, progress.best_vector)
            progress.best_state = _copied(best.state_vector, progress.best_state)


class _Running:
    """What the examples of an epoch came to so far.

    That is how many they are, the sum of their losses, and in `outputs`, where metrics need it,
    what the network made of them.
    """

    def __init__(self, begun: Partial, outputs: Array | None) -> None:
        self.seen = begun.seen
        self.loss = begun.loss
        self.outputs = outputs
        if outputs is not None and begun.outputs is not None:
            outputs[: begun.seen] = begun.outputs

    def add(self, shares: Sequence[Share]) -> None:
        """Add what the workers made of a batch."""
        for share in shares:
            count = len(share.rows)
            self.loss += share.loss * count
            if self.outputs is not None:
                self.outputs[self.seen : self.seen + count] = share.scores
            self.seen += count

    def partial(self, count: int, workers: Iterable[Worker]) -> Partial:
        """Return what the epoch, of so many examples, goes on from."""
        done = None if self.outputs is None else self.outputs[: self.seen]
        streams = [worker.context.rng.bit_generator.state for worker in workers]
        return Partial(count, self.seen, float(self.loss), done, streams)


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


def _length(vector: Array) -> float:
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
