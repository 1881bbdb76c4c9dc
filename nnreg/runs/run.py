"""A run: the training of a spec, from the beginning or resumed."""

from __future__ import annotations

import copy
import functools
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeAlias

from nnreg._utils.home import without_home
from nnreg._utils.signals import OnSignal, Stop, deferred_signals
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.paths import (
    fold_directory,
    refuse_directories_of_runs,
    refuse_links,
    run_directory_of,
)
from nnreg.checkpoint.save_load import check_saveable, from_file_content
from nnreg.data.loading import DataReader
from nnreg.errors import CheckpointError, DivergedError, NnregWarning, UsageError
from nnreg.model.model import Model
from nnreg.provenance.environment import differences, run_metadata
from nnreg.ranks.launcher import launched_ranks
from nnreg.registry.events import Listeners, StopReason
from nnreg.registry.registry import Registry
from nnreg.runs import log
from nnreg.runs.agreement import agree_to_stop, require_equal_ranks
from nnreg.runs.directory import RunDirectory
from nnreg.runs.numeric_environment import numeric_environment, threads_of
from nnreg.runs.prepare import PreparedRun, prepare_from_checkpoint, prepare_from_spec
from nnreg.runs.summary import FINISHED_OUTCOMES, outcome_of, summarize
from nnreg.runs.writer import RunWriter, open_run
from nnreg.spec.document import SpecSource, read_spec
from nnreg.spec.overrides import Overrides, leaves
from nnreg.training.state import Record

OnEpoch = Callable[[Record], None]
Out: TypeAlias = "str | os.PathLike[str] | RunDirectory | None"


def prepare_run(
    spec: SpecSource,
    *,
    out: Out = None,
    overrides: Overrides = (),
    data: tuple[Any, Any] | None = None,
    reader: DataReader | None = None,
    check: bool = True,
) -> Run:
    """Prepare a run: read, check and build everything, and write nothing.

    A `reader` caches the data that it read, for the next run. Without `check`, the components of
    plugins are not tested.
    """
    document, directory = read_spec(spec, overrides, run_plugin_file=True), directory_of(out)
    if directory:
        directory.refuse_if_run(document.text)
    return Run(prepare_from_spec(document, data, reader), directory, check=check)


def prepare_resume(
    path: str | os.PathLike[str],
    *,
    out: Out = None,
    overrides: Overrides = (),
    registry: Registry | None = None,
    allow_changed: bool = False,
    reader: DataReader | None = None,
    check: bool = True,
) -> Run:
    """Prepare to resume a run in its directory, or from a checkpoint file.

    A `reader` caches the data that it read, for the next fold.
    """
    file, directory = Path(path), directory_of(out) or run_folder(Path(path))
    refuse_directories_of_runs(file)
    if file.is_dir():
        file = file / "checkpoints" / "last.h5"
        refuse_links(file)
        if not file.exists():
            raise CheckpointError(
                f"{path}: the run has no checkpoints/last.h5 to resume from; start again with "
                f"nnreg run SPEC --out {path}"
            )
    if directory:
        directory.refuse_if_locked()
    model = from_file_content(
        read_checkpoint(file),
        str(file),
        overrides,
        registry,
        allow_changed=allow_changed,
        run_plugin_file=True,
    )
    if not model.resumable:
        raise UsageError(f"{file}: has the best weights only; resume its last.h5")
    return Run(prepare_from_checkpoint(model, reader), directory, check=check)


def run_folder(path: Path) -> RunDirectory | None:
    """Return the run directory at a path or around a checkpoint; None for a checkpoint alone."""
    if path.is_dir():
        return RunDirectory(path)
    directory = run_directory_of(path)
    return None if directory is None else RunDirectory(directory)


def directory_of(out: Out) -> RunDirectory | None:
    """Return the run directory to write to, if any."""
    return out if out is None or isinstance(out, RunDirectory) else RunDirectory(Path(out))


class Run:
    """A run that is ready to be trained or resumed, by `train`."""

    def __init__(
        self, prepared: PreparedRun, directory: RunDirectory | None, *, check: bool = True
    ) -> None:
        self.ranks = launched_ranks()
        self.prepared = prepared
        self._directory = directory
        self._writer: RunWriter | None = None
        self._stop_reason: StopReason | None = None
        self.summary: dict[str, Any] = {}
        if directory is not None:  # before anything is trained or written
            check_saveable(prepared.model, directory.path)
        self._trainer = prepared.model.trainer(
            prepared.train, prepared.validation, check=check, ranks=self.ranks
        )

    @property
    def model(self) -> Model:
        """The model that is trained."""
        return self.prepared.model

    @property
    def directory(self) -> Path | None:
        """The run directory; None if nothing is written."""
        return None if self._directory is None else self._directory.path

    @property
    def saved(self) -> str:
        """The position of the last checkpoint, as in `after epoch 3`; empty if there is none."""
        return "" if self._writer is None else self._writer.saved

    @property
    def name(self) -> str:
        """The name of the directory, or that of the spec if nothing is written.

        For a fold, it includes the directory of the cross-validation, as in `penguins-001/fold-2`.
        """
        if self.directory is None:
            return self.model.document.name
        directory, fold = self.directory.resolve(), self.model.spec.train.fold
        if fold is not None and directory == fold_directory(directory.parent, fold):
            return f"{directory.parent.name}/{directory.name}"
        return directory.name

    @property
    def finished(self) -> bool:
        """Whether the training is finished."""
        return self._trainer.finished

    @property
    def monitor(self) -> str | None:
        """The metric that decides which epoch is the best; None if it is the last."""
        return self._trainer.monitor

    @property
    def epochs_done(self) -> float:
        """The number of epochs done, including the fraction of an unfinished one.

        Another thread may read it during training.
        """
        done, seen = self.model.training_state.epoch, self._trainer.seen
        return done + min(seen / len(self.prepared.train), 1.0)

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as JSON; a copy."""
        return copy.deepcopy(self.model.document.tree)

    @property
    def settings(self) -> Mapping[str, str | float | bool | None]:
        """The values of the spec by their paths, as in `--set`."""
        return dict(leaves(self.model.document.tree))

    def train(
        self,
        on_epoch: OnEpoch | None = None,
        *,
        signals: Iterable[int] = (signal.SIGINT,),
        on_signal: OnSignal | None = None,
    ) -> Model:
        """Train to the end, notify plugins, and return the model with its best weights.

        At one of the `signals` it stops after the current step, saves, and raises KeyboardInterrupt
        with the signal's number; a second signal stops it immediately. `on_signal` is called with
        the first signal when it arrives, see `signals.OnSignal`.
        """
        with self.ranks.together():
            self._train_together(on_epoch, signals, on_signal)
        return self.model

    def _train_together(
        self, on_epoch: OnEpoch | None, signals: Iterable[int], on_signal: OnSignal | None
    ) -> None:
        """Train as `train` does; of several ranks, the first writes and notifies."""
        first = self.ranks.is_first
        here = numeric_environment(self.model, self._trainer)
        require_equal_ranks(self.ranks, self.model, here)
        changes = differences(self.model.environment, here)
        if changes and first:
            text = "results may not be bit-identical to those of an uninterrupted run: "
            warnings.warn(f"{text}{'; '.join(changes)}", NnregWarning, stacklevel=4)
        with ExitStack() as stack:
            stop = stack.enter_context(deferred_signals(signals, on_signal))
            directory = self._directory
            if directory is not None:
                if first:
                    opened = open_run(directory, self.model, here, self._metadata())
                    self._writer = stack.enter_context(opened)
                directory.path = self.ranks.of_first(lambda: directory.path)
                self.model.run_directory = directory.path
            listeners = Listeners(self, self.model.document.registry, enabled=first)
            stack.enter_context(log.logged(self, enabled=first))
            try:
                listeners.started()
                self._train(listeners, log.with_epochs(self, on_epoch) if first else None, stop)
            finally:
                listeners.ended(self.summary.get("stopped", "failed"))

    def _metadata(self) -> dict[str, Any]:
        """Return the data about a run on which its results do not depend."""
        document, here = self.model.document, run_metadata()
        plugins = [one for one in document.registry.plugins.values() if not one.blocked_by]
        here["distributions"] |= {one.distribution: one.version for one in plugins}
        here |= threads_of(self._trainer)
        if self.ranks.size > 1:
            here["ranks"] = self.ranks.size
        overrides = [without_home(one) for one in document.overrides]
        data = dict(self.model.data_digests)
        return {**here, "overrides": overrides, "data": data}

    def _train(self, listeners: Listeners, on_epoch: OnEpoch | None, stop: Stop) -> None:
        began = time.perf_counter() - self._earlier_seconds()
        stopped = "failed"
        self._trainer.on_batch, self._stop_reason = listeners.on_batch, None
        try:
            pause = self._pause_between_steps(stop)
            each_step = self.model.spec.checkpoint.every_steps is not None
            with closing(self._trainer.iterate(pause, each_step=each_step)) as records:
                for record, gradients in self._with_gradient_norms(records):
                    agree_to_stop(self.ranks, stop)
                    if record is not None:
                        self._report_epoch(record, gradients, listeners, on_epoch)
                    elif self._writer and not stop.requested:
                        self._writer.save()
                    if stop.requested:
                        break
                    if record is not None and not self.finished:
                        ended = functools.partial(listeners.stop_reason, record)
                        self._stop_reason = self.ranks.of_first(ended)
                        if self._stop_reason:
                            break
            stopped = outcome_of(self.prepared, self._trainer, self._stop_reason)
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        except DivergedError:
            stopped = "diverged"
            raise
        finally:
            finished = stopped in FINISHED_OUTCOMES
            writer = self._writer if self._trainer.consistent else None
            if writer:
                writer.close(needed=stopped not in ("diverged", "failed"), best=not finished)
            try:
                if finished:
                    self.model.use_best()
                with self._trainer.blas_threads():
                    self.summary = summarize(
                        self.prepared,
                        self._trainer,
                        self.ranks,
                        stopped=stopped,
                        reason=self._stop_reason,
                        seconds=time.perf_counter() - began,
                    )
            finally:
                if writer and finished:
                    writer.write_best()  # once, with the results; without if they failed
            if self._directory and self.ranks.is_first:
                self._directory.write_summary(self.summary)

    def _earlier_seconds(self) -> float:
        """Return the duration of the earlier parts of a resumed run, as far as they are known."""
        if self._directory is None or not self.model.training_state.step:
            return 0.0
        seconds = self._directory.read_summary().get("seconds")
        return seconds if isinstance(seconds, float) and 0 <= seconds < math.inf else 0.0

    def _pause_between_steps(self, stop: Stop) -> Callable[[], bool]:
        """Return the function that decides between steps whether to pause."""
        if self._writer is None:
            return lambda: stop.requested
        due = self._writer.schedule.within_epoch
        return lambda: stop.requested or due()

    def _with_gradient_norms(
        self, records: Iterator[Record | None]
    ) -> Iterator[tuple[Record | None, Mapping[str, float]]]:
        """Yield what the trainer does, with the norms of the gradients if they are written.

        The threads of BLAS are limited once for both: that takes as long as several short steps.
        """
        while True:
            gradients: Mapping[str, float] = {}
            with self._trainer.blas_threads():
                try:
                    record = next(records)
                except StopIteration:
                    return
                if record is not None and self._writer:
                    gradients = self._trainer.gradient_norms()
            yield record, gradients

    def _report_epoch(
        self,
        record: Record,
        gradients: Mapping[str, float],
        listeners: Listeners,
        on_epoch: OnEpoch | None,
    ) -> None:
        if self._writer:
            self._writer.epoch(record, gradients)
            if listeners.read_epochs:
                self._writer.write_records()
        listeners.epoch(record)
        if on_epoch:
            on_epoch(record)
