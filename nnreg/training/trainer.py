"""The training loop: a generator that yields one record per epoch.

Every random generator is derived from the seed and the epoch, so a run that was stopped after an
epoch resumes bit-identically; `EpochState` has what a stop in mid-epoch needs besides.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, blas_threads
from nnreg.builtin.schedules import Constant
from nnreg.errors import DataError, DivergedError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule
from nnreg.network.block_products import BlockProducts
from nnreg.network.network import Network
from nnreg.network.parameters import by_layer, norms_by_layer
from nnreg.ranks.group import ALONE, Ranks
from nnreg.tables.lazy import LazyArray
from nnreg.training.augment import Steps
from nnreg.training.batch_size import check_batches
from nnreg.training.compiled_chain import compiled_chain, plan_chain
from nnreg.training.divergence import check_losses, check_weights
from nnreg.training.epoch import (
    OPTIMIZER_STREAM,
    EpochTotals,
    begin_random_numbers,
    generator,
    mean_loss,
    order_of,
    points_of_training,
    unfinished_epoch,
)
from nnreg.training.epoch_metrics import training_metrics, validation_metrics
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import Batch, DataParallelGradient
from nnreg.training.inference import inference_network, refuse_two_averages
from nnreg.training.monitor import Monitor, require_no_validation, resume_monitor
from nnreg.training.parallelism import divide, pool_size
from nnreg.training.settings import Train
from nnreg.training.state import EpochState, Record, Snapshot, TrainingState, copy_into
from nnreg.training.step import TrainingStep
from nnreg.training.update import scheduler_of

_Position = tuple[int, int, EpochState | None]
"""The number of steps done, the number of steps averaged, and the unfinished epoch."""


class Trainer:
    """Trains a network in place.

    `train` and `validation` hold inputs and targets as the network takes them. `evaluation` has
    the loss and the metrics. `training_state` is what to resume from, and `epochs` the last epoch,
    by default that of the settings, by which the schedule goes in any case. If early
    stopping has ended an earlier training, it ends this one too, unless it is to `wait_again`.
    `ranks` are the processes that share the shards; each has a trainer of the same arguments.
    Raises `UsageError` if early stopping or the schedule monitors a metric of a missing validation
    split, or if the best epoch is one whose weights were not kept; `SpecError` if a layer cannot be
    trained on the smallest batch.
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
        wait_again: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        self.network = network
        self.ranks = ranks
        self.evaluation = evaluation
        self.settings = settings
        self.train = train
        self.validation = validation
        self.seed = seed
        self.training_state = training_state or TrainingState()
        self._points = points_of_training(evaluation, network, train)
        self.consistent = True
        """Whether the state is that between two steps; False after an exception within a step."""
        self.seen = 0
        """The examples done of an unfinished epoch; another thread may read it at any time."""
        self.on_batch: Callable[[Record], None] | None = None
        """Called with the record of each batch, after it changed the weights."""
        self._last_epoch = settings.epochs if epochs is None else epochs
        schedule = schedule or Constant()
        self._optimizer = optimizer
        refuse_two_averages(optimizer, settings)
        if validation is None:
            require_no_validation(self.monitor, schedule.monitored_metric())
        plan = plan_chain(network, evaluation, optimizer, settings, train, self.training_state)
        threaded = plan is not None and plan.is_threaded(network)
        self.division = divide(
            network, evaluation, settings, len(train), ranks, has_threaded_steps=threaded
        )
        """How each batch is divided, and by how many threads it is computed."""
        self._pool = ThreadPool(pool_size(network, optimizer, settings, self.division, ranks))
        division = self.shards, self._pool, self.threads or 1
        self._shards = DataParallelGradient(
            network, evaluation, *division, several=settings.accumulate > 1, ranks=ranks
        )
        self._steps = Steps(settings, network, evaluation, train, self._points, seed, self._shards)
        if self.division.blocks:
            self._shards.divide_products(BlockProducts(self._pool, self._pool.count))
        self._training_step = TrainingStep(
            network,
            self._shards,
            optimizer,
            settings,
            self.training_state,
            self._pool,
            functools.partial(generator, seed, OPTIMIZER_STREAM),
        )
        self._training_step.lr_scheduler = scheduler_of(
            schedule, evaluation, self._training_step.optimizer, settings, len(train)
        )
        self._step = self._training_step.apply
        self._chain = None
        if plan is not None:
            parts = self._training_step, self._shards, self.division, self._pool
            self._chain = compiled_chain(plan, network, settings, *parts)
        self._gradients = by_layer(self._shards.gradient, network.params)
        self._last_finite_state = self._snapshot()
        self._monitor = self._resume_monitor()
        if wait_again and self._waited_long_enough:
            self._monitor.improved_epoch = self.training_state.epoch
        if not self.finished:
            check_batches(network, optimizer, settings, len(train))

    def _snapshot(self) -> Snapshot:
        """Return a snapshot of everything that an epoch changes."""
        values, state = [self.network.vector, self.network.state_vector], self.training_state
        return Snapshot([*values, *(state.ema or ()), *state.optimizer_state.values()])

    @property
    def _inference_network(self) -> Network:
        """The network that is evaluated, and saved as the best."""
        return inference_network(self.network, self._optimizer, self.training_state)

    @property
    def monitor(self) -> str | None:
        """The metric that decides which epoch is the best; None if it is the last."""
        if self.settings.early_stopping:
            return self.settings.early_stopping.monitor
        return "val_loss" if self.validation else None

    @property
    def streaming(self) -> bool:
        """Whether the inputs stay in their file, which changes the order of the examples."""
        return isinstance(self.train.x, LazyArray)

    @property
    def shards(self) -> int:
        """The number of shards into which each batch is divided."""
        return self.division.shards

    @property
    def threads(self) -> int | None:
        """The most threads that training uses; None for no limit."""
        return self.division.threads

    @property
    def reproducible(self) -> bool:
        """Whether results have the same bits on any number of threads."""
        return self.division.reproducible

    def blas_threads(self) -> AbstractContextManager[Any]:
        """Limit the threads of BLAS to those of the training while the context is open."""
        return blas_threads(1 if self.reproducible else self.threads)

    def gradient_norms(self) -> dict[str, float]:
        """Return the norm of each layer's gradient in the last step, as the optimizer got it.

        That of an ensemble is of the gradients of all members.
        """
        with self.blas_threads(), np.errstate(over="ignore", invalid="ignore"):
            return norms_by_layer(self._gradients)

    def memory(self) -> dict[str, int]:
        """Return the bytes in use throughout training, by purpose.

        `copies` are averages, the state to restore after a failed epoch, and that of the best one.
        """
        values = self.network.vector.nbytes + self.network.state_vector.nbytes
        vectors = sum(vector.nbytes for vector in self.training_state.optimizer_state.values())
        return {
            "parameters": values,
            "gradient": self._shards.gradient_bytes,
            "optimizer": vectors,
            "copies": (2 if self._training_step.ema is None else 4) * values + vectors,
        }

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or early stopping applies."""
        return self.training_state.epoch >= self._last_epoch or self._waited_long_enough

    @property
    def _waited_long_enough(self) -> bool:
        """Whether the monitored metric has not improved for the patience of early stopping."""
        stopping, epoch = self.settings.early_stopping, self.training_state.epoch
        return stopping is not None and epoch - self._monitor.improved_epoch >= stopping.patience

    def epochs(self) -> Iterator[Record]:
        """Train until finished, yielding the record of each epoch.

        Raises `DivergedError` if a loss is not finite; the network then has the weights of the last
        epoch with finite values.
        """
        return (record for record in self.iterate(None) if record is not None)

    def iterate(
        self, pause: Callable[[], bool] | None, *, each_step: bool = True
    ) -> Generator[Record | None, None, None]:
        """Train as `epochs` does, and also yield None in mid-epoch, after each step if `pause()`.

        Without `each_step`, only every ten milliseconds if steps are shorter, or every tenth of a
        second if threads share them. Results are bit-identical with and without pauses.
        """
        with self._pool.open():
            while not self.finished:
                self._last_finite_state.take()
                before, record, number = self._position(), None, self.training_state.epoch + 1
                with closing(self._run_epoch(number, pause, each_step)) as epoch:
                    while record is None:
                        with self.blas_threads():
                            record = self._advance(epoch, before)
                        yield record

    def _position(self) -> _Position:
        state = self.training_state
        return state.step, state.ema_steps, state.epoch_state

    def _advance(self, epoch: Iterator[Record | None], before: _Position) -> Record | None:
        """Train to the next pause, or to the end of the epoch, with the lock of the state."""
        with self.training_state.lock.training():
            return self._advance_locked(epoch, before)

    def _advance_locked(self, epoch: Iterator[Record | None], before: _Position) -> Record | None:
        state = self.training_state
        self.consistent = False
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # DivergedError reports it
                record = next(epoch)
        except (DivergedError, DataError):
            self._last_finite_state.restore()
            state.step, state.ema_steps, state.epoch_state = before
            self.consistent = True
            raise
        if record is not None:
            self.seen = 0
            state.epoch, state.epoch_state = state.epoch + 1, None
            state.history.append(record)
            self._remember_best(record)
        self.consistent = True
        return record

    def _run_epoch(
        self, epoch: int, pause: Callable[[], bool] | None, each_step: bool
    ) -> Generator[Record | None, None, None]:
        """Train on the remaining examples of an epoch, then evaluate.

        Yields None at each pause, and the record at the end.
        """
        count = len(self.train)
        order = order_of(self.train, self.settings, self.seed, epoch, self.shards)
        totals = self._resume_epoch(epoch, count)
        each_step = self.on_batch is not None or (each_step and pause is not None)
        together = self._chain.steps_together if self._chain and not each_step else 1
        rest, first = order[totals.seen :], totals.seen // self.settings.step_size
        run = self._run_step if self._chain is None else self._run_chain
        lock = self.training_state.lock
        with closing(self._steps.of_epoch(epoch, first, rest, together)) as steps:
            for examples, rows in steps:
                run(examples, rows, epoch, totals)
                if totals.seen < count:
                    paused = pause is not None and pause()
                    wishes = paused + 2 * (lock.waiting > 0)
                    if self.ranks.size > 1:
                        wishes = self.ranks.any(wishes)
                    if wishes:
                        self._check_weights(examples.x[rows[:1]], epoch, totals)
                        state = totals.state(self.train, self._shards, self.ranks)
                        self.training_state.epoch_state = state
                        lock.let_others_read()
                    if wishes & 1:
                        yield None
        self._check_weights(examples.x[rows[:1]], epoch, totals)
        del examples  # it may be a chunk of a large file
        yield self._record(epoch, self._batches(totals), order, totals)

    def _batches(self, totals: EpochTotals) -> int:
        """Return the number of the last batch."""
        return math.ceil(totals.seen / self.settings.batch_size)

    def _run_chain(self, examples: Batch, rows: Array, epoch: int, totals: EpochTotals) -> None:
        """Make several steps; one whose loss is not finite layer by layer, which explains it."""
        assert self._chain is not None
        while len(rows):
            step = totals.seen // self.settings.batch_size
            done, loss = self._chain.run(rows, epoch - 1, step, totals)
            self.seen, rows = totals.seen, rows[done:]
            if done:
                self._report_batch(epoch, loss)
            if len(rows):
                self._run_step(examples, rows[: self.settings.batch_size], epoch, totals)
                rows = rows[self.settings.batch_size :]

    def _run_step(self, examples: Batch, rows: Array, epoch: int, totals: EpochTotals) -> None:
        """Make a step layer by layer."""
        step, results = totals.seen // self.settings.step_size, []
        if self._training_step.replays:
            self._training_step.begin(examples, rows)
        for found in self._shards.batches(examples, rows, self.settings.batch_size):
            totals.add(found)
            if not math.isfinite(totals.loss):
                check_losses(self.network, found, examples, epoch, self._batches(totals))
                self.ranks.wait_for_error()
            results += found
        self._step(epoch - 1, step)
        self.seen = totals.seen
        if self.on_batch is not None:
            self._report_batch(epoch, mean_loss(results))

    def _report_batch(self, epoch: int, loss: float) -> None:
        if self.on_batch is not None:
            record = {"epoch": epoch, "step": self.training_state.step, "loss": loss}
            self.on_batch(self._with_learning_rate(record))

    def _with_learning_rate(self, record: Record) -> Record:
        """Add the learning rate of the last step, if there is a schedule."""
        if self._training_step.lr_scheduler is not None:
            record["learning_rate"] = self._training_step.optimizer.learning_rate
        return record

    def _record(self, epoch: int, batch: int, order: Array, totals: EpochTotals) -> Record:
        """Return the metrics of a finished epoch, whose last batch has this number."""
        evaluation, ranks = self.evaluation, self.ranks
        record: Record = {"epoch": epoch, "loss": totals.loss / len(self.train)}
        record |= training_metrics(self.network, evaluation, self.train, order, totals, ranks)
        if self.validation:
            network, same = self._inference_network, self.reproducible
            record |= validation_metrics(
                network, evaluation, self.validation, epoch, batch, reproducible=same, ranks=ranks
            )
        return self._with_learning_rate(record)

    def _resume_epoch(self, epoch: int, count: int) -> EpochTotals:
        """Return the totals of an unfinished epoch, and restore the layers' random generators."""
        done = unfinished_epoch(self.training_state, self.train)
        begin_random_numbers(self._shards, done.streams, self.seed, epoch)
        self.seen = done.seen
        if not self.evaluation.keeps_scores:
            return EpochTotals(done, None, self._points)
        shape = (count, *self.network.scores_shape)
        return EpochTotals(done, np.empty(shape, self.network.dtype), self._points)

    def _check_weights(self, x: Any, epoch: int, totals: EpochTotals) -> None:
        """Raise `DivergedError` for weights or a state that the last steps made non-finite."""
        batch, context = self._batches(totals), self._shards.context
        check_weights(self.network, self.training_state, x, context, epoch, batch)

    def _resume_monitor(self) -> Monitor:
        """Return the monitor after the epochs of the history."""
        stopping, state, metric = self.settings.early_stopping, self.training_state, self.monitor
        monitor = Monitor(
            metric,
            higher_is_better=metric is not None and self.evaluation.higher_is_better(metric),
            min_delta=stopping.min_delta if stopping else 0.0,
        )
        if resume_monitor(monitor, state):
            self._keep_best(monitor)
        return monitor

    def _remember_best(self, record: Record) -> None:
        self._monitor.warn_not_finite(record)
        if self._monitor.add(record) or self.training_state.best_vector is None:
            self._keep_best(self._monitor)

    def _keep_best(self, monitor: Monitor) -> None:
        """Keep the current weights as those of the best epoch."""
        state, best = self.training_state, self._inference_network
        state.best_epoch, state.best_value = state.epoch, monitor.best_value
        state.best_vector = copy_into(state.best_vector, best.vector)
        state.best_state = copy_into(state.best_state, best.state_vector)
