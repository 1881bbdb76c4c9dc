"""The training loop: a generator that yields one record an epoch.

Every random stream is derived from the seed and the epoch, so that what was stopped after an
epoch goes on with the same bits; in mid-epoch, `Partial` has what else that takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Interval, Len

from nnreg.builtin.schedules import Constant
from nnreg.divergence import all_finite, explain
from nnreg.errors import DataError, DivergedError, UsageError
from nnreg.evaluation import Evaluation, Examples
from nnreg.gradient import LEAST_ROWS, InMemory, Lanes, Share
from nnreg.interfaces import (
    Array,
    Configurable,
    Count,
    NonNegative,
    Optimizer,
    Schedule,
)
from nnreg.kernels import Kernels
from nnreg.network import Network, by_layer
from nnreg.stored import Stored, windows
from nnreg.threads import Crew, available_threads, matrix_threads
from nnreg.update import Average, Decay, Penalty, Rate, Update, clip, divisions

SHUFFLE_STREAM = 1
LAYER_STREAM = 2
"""The streams of the order of examples, [seed, stream, epoch], and of the layers' own draws, which
have the number of the thread after that."""

GAINFUL = 8e6
"""Floating-point operations from which a matrix product gains by a second thread."""

DIVISIBLE = 250_000
"""Values that a batch makes on its way through a network, from which its threads gain by dividing
it among them. There must also be as many as parameters: each thread has a gradient to add."""

Record = dict[str, float]
"""What an epoch came to: `epoch`, `loss`, each metric, with validation `val_` of each, and with a
schedule the `learning_rate` of its last step."""


@dataclass(frozen=True)
class EarlyStopping(Configurable):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs."""

    patience: Count = 10
    monitor: str = "val_loss"
    min_delta: NonNegative = 0.0


@dataclass(frozen=True)
class StartFrom(Configurable):
    """Begin with the weights of another checkpoint, or of the best one of a run's folder.

    Of these `layers`, by default of all, every array is copied; names and shapes must be the same.
    What the columns of the data mean is not compared. A relative path starts at the spec's folder.
    """

    checkpoint: Annotated[str, Len(1)]
    layers: Annotated[tuple[str, ...], Len(1)] | None = None


@dataclass(frozen=True)
class Train(Configurable):
    """How to train.

    `accumulate` so many batches make one step, as a batch that many times as large would.

    `l1` and `l2` add l1 · Σ|w| + l2 · Σw² over the weights (not the biases) to what is minimized,
    not to the loss that is reported. `weight_decay` takes the share learning_rate · weight_decay
    off the weights at each step, whatever the gradient and the optimizer; for plain `sgd` that is
    an `l2` of half the size. `adamw` has one of its own, of the biases too, which adds to it.
    `clip_norm` scales a longer gradient down to this length; `clip_value` then limits each of its
    values.

    `ema` is the decay of an exponential moving average of the weights, such as 0.999: that is what
    is validated, kept as the best, and predicted with. `freeze` names layers, such as `layers/0`,
    whose weights stay as they are; in training they do what they do in prediction, so that a batch
    norm keeps its running statistics. `start_from` takes first weights from another checkpoint; a
    path alone means all of its layers.

    `threads` limits the threads of matrix products; by default small networks use one. `kernels`
    are the inner loops, by default those of an installed plugin.

    `folds` asks for cross-validation: the rows are divided into so many parts, and the network is
    trained once for each of them, with that one held out; `fold` trains the one of this number
    alone. What is held out is the validation part, or the test part where the split has another
    validation.
    """

    epochs: Count = 100
    batch_size: Count = 32
    accumulate: Count = 1
    shuffle: bool = True
    early_stopping: EarlyStopping | None = None
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    weight_decay: NonNegative = 0.0
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    ema: Annotated[float, Interval(gt=0, lt=1)] | None = None
    freeze: tuple[str, ...] = ()
    start_from: StartFrom | Annotated[str, Len(1)] | None = None
    threads: Count | None = None
    kernels: Kernels | None = None
    folds: Annotated[int, Ge(2)] | None = None
    fold: Count | None = None

    def __post_init__(self) -> None:
        if self.fold is not None and self.folds is None:
            raise ValueError("'fold' is one of 'folds'; say how many there are")
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            raise ValueError(f"there is no fold {self.fold} among {self.folds}")

    @property
    def start(self) -> StartFrom | None:
        """What `start_from` says, a path alone written out."""
        if isinstance(self.start_from, str):
            return StartFrom(self.start_from)
        return self.start_from

    @property
    def step_size(self) -> int:
        """How many examples a step goes by."""
        return self.batch_size * self.accumulate


@dataclass(frozen=True)
class Partial:
    """An epoch of `count` examples in which the first `seen` are done.

    `loss` is the sum over them, `outputs` what the network made of them, in the order of training,
    where metrics need it. `streams` are the states of the layers' random generators, one a lane.
    """

    count: int
    seen: int = 0
    loss: float = 0.0
    outputs: Array | None = None
    streams: Sequence[Mapping[str, Any]] = ()


@dataclass
class Progress:
    """Everything besides the weights that training goes on from.

    `epoch` and `step` count what is done; `partial` is there in the middle of an epoch only.
    `means` are the averages of the weights and of the state over `averaged` steps.
    """

    epoch: int = 0
    step: int = 0
    partial: Partial | None = None
    slots: dict[str, Array] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = math.inf
    best_vector: Array | None = None
    best_state: Array | None = None
    averaged: int = 0
    means: tuple[Array, Array] | None = None


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
        lanes = self._divisions()
        limit = self._threads_beside(lanes) or available_threads()
        self._crew = Crew(max(lanes, divisions(optimizer, size, limit)))
        several = settings.accumulate > 1
        self._lanes = Lanes(network, evaluation, lanes, self._crew, several=several)
        self._gradient = self._lanes.gradient
        self._gradients = by_layer(self._gradient, network.params)
        self._penalty = Penalty(network, self._gradient, settings.l1, settings.l2)
        self._decay = Decay(network, settings.weight_decay) if settings.weight_decay else None
        self._average = self._averaging(settings.ema)
        slots = self.progress.slots
        self._update = Update(optimizer, network, self._gradient, slots, self._crew)
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
        return self._threads_beside(len(self._lanes))

    def _threads_beside(self, lanes: int) -> int | None:
        if lanes > 1:
            return lanes
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
        return len(self._lanes) > 1

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
            "gradient": self._lanes.gradient_bytes,
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
        with self._crew.open():
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
        order = self._order(epoch)
        begun = self._begin(epoch, count)
        total, step = begun.loss, begun.seen // size
        batch = step * self.settings.accumulate
        outputs = None
        if self.evaluation.named_metrics:
            outputs = np.empty((count, *self.network.output_shape), self.network.dtype)
            if begun.outputs is not None:
                outputs[: begun.seen] = begun.outputs
        place = self.seen = begun.seen
        with closing(self._steps_of(order[place:])) as steps:
            for examples, rows in steps:
                for shares in self._lanes.batches(examples, rows, self.settings.batch_size):
                    batch += 1
                    self._check_losses(shares, epoch, batch)
                    for share in shares:
                        total += share.loss * len(share.rows)
                        if outputs is not None:
                            outputs[place : place + len(share.rows)] = share.scores
                        place += len(share.rows)
                self._step(epoch - 1, step)
                step += 1
                self.seen = place
                if pause is not None and place < count and pause():
                    self._check_weights(shares, epoch, batch)
                    done = None if outputs is None else outputs[:place]
                    streams = [lane.context.rng.bit_generator.state for lane in self._lanes]
                    self.progress.partial = Partial(count, place, float(total), done, streams)
                    yield None
        del examples  # it may be a window of a large file
        self._check_weights(shares, epoch, batch)
        record: Record = {"epoch": epoch, "loss": total / count}
        if outputs is not None:
            seen = replace(self.train, truth=self.train.truth[order])
            record |= self.evaluation.metrics(self.network.outputs(outputs), seen)
        if self.validation:
            answering = self._answering
            measured = self.evaluation.measure(answering, self.validation)
            if not math.isfinite(measured["loss"]):
                passing = answering.context(answering.workspace(reuse=False))
                explain(answering, passing, self.validation.x, epoch, batch, "the validation loss")
            record |= {f"val_{name}": value for name, value in measured.items()}
        if self._rate is not None:
            record["learning_rate"] = self._update.learning_rate
        yield record

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

    def _begin(self, epoch: int, count: int) -> Partial:
        """Return what is done of an epoch, and put the layers' random streams where they were.

        An epoch that was begun on other examples begins anew.
        """
        partial = self.progress.partial
        if partial is None or partial.count != count:
            partial = Partial(count)
        for index, lane in enumerate(self._lanes):
            lane.workspace.rng = _stream(self.seed, LAYER_STREAM, epoch, index)
            if index < len(partial.streams):
                lane.workspace.rng.bit_generator.state = partial.streams[index]
        return partial

    def _check_weights(self, shares: Sequence[Share], epoch: int, batch: int) -> None:
        """Find values that the last step spoiled, before anyone saves or measures them."""
        if not (all_finite(self.network.vector) and all_finite(self.network.state_vector)):
            explain(self.network, shares[0].lane.context, shares[-1].x[-1:], epoch, batch)

    def _check_losses(self, shares: Sequence[Share], epoch: int, batch: int) -> None:
        for share in shares:
            if not math.isfinite(share.loss):
                explain(self.network, share.lane.context, share.x, epoch, batch)

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
