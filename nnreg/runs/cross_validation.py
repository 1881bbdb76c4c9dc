"""Cross-validation: one run per fold of the data, and a summary of all.

Its directory has `spec.json` and `resolved.json`, a directory `fold-1`, `fold-2`, … for each run,
and `summary.json` with the results, which is updated after each of them.
"""

from __future__ import annotations

import functools
import math
import signal
import statistics
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from nnreg._utils.atomic_files import locked, remove_stale_temp_files
from nnreg._utils.formatting import number
from nnreg._utils.os_errors import os_errors_as
from nnreg.checkpoint.paths import fold_directory
from nnreg.data.loading import DataReader
from nnreg.errors import DataError, UsageError
from nnreg.model.model import Model
from nnreg.ranks.launcher import launched_ranks
from nnreg.runs.baseline import results_of
from nnreg.runs.directory import RunDirectory, write_spec
from nnreg.runs.prepare import PreparedRun, prepare_from_spec
from nnreg.runs.read_files import read_metrics
from nnreg.runs.run import OnEpoch, Run
from nnreg.runs.summary import FINISHED_OUTCOMES, STOPPED_BY_PLUGIN
from nnreg.spec.document import Document

Resume: TypeAlias = Callable[[Path], Run]
"""Prepares to resume the run in a directory."""


class CrossValidation:
    """Trains a spec once per fold, with that fold held out.

    `models` has the model of each fold that is done, with its best weights. `summary` has the
    number of `folds`, how many are `done`, and the metrics of the held-out `part`: their `mean`,
    their `std`, which is the sample standard deviation over the folds (with n - 1; None for one
    fold), and those of each fold in `runs`.
    """

    def __init__(
        self,
        document: Document,
        directory: RunDirectory | None,
        data: tuple[Any, Any] | None = None,
        resume: Resume | None = None,
        *,
        reader: DataReader,
        check: bool = True,
    ) -> None:
        self.document = document
        self.models: list[Model] = []
        self.summary: dict[str, Any] = {}
        self._count = document.spec.train.folds or 0
        self._directory = directory
        self._ranks = launched_ranks()
        self._data = data
        self._resume = resume
        self._reader = reader
        self._check = check
        self._done: list[Mapping[str, Any]] = []

    @property
    def directory(self) -> Path | None:
        """The directory with those of the folds; None if nothing is written."""
        return None if self._directory is None else self._directory.path

    def train(
        self, on_epoch: OnEpoch | None = None, *, signals: Iterable[int] = (signal.SIGINT,)
    ) -> CrossValidation:
        """Train the remaining folds, one after another; see `Run.train`."""
        with closing(self.runs()) as runs:
            for run in runs:
                run.train(on_epoch, signals=signals)
        return self

    def runs(self) -> Generator[Run, None, None]:
        """Yield the run of each remaining fold, to be trained before the next is requested."""
        self.models.clear()
        self._done.clear()
        with self._locked(), self._reader:
            for fold in range(1, self._count + 1):
                run = self._run(fold)
                if fold == 1:
                    self._describe()
                summary = self._ranks.of_first(functools.partial(_summary_of, run))
                if summary:
                    run.model.use_best()
                    run.model.training_state.evaluated = results_of(summary)
                    run.model.run_directory = run.directory
                else:
                    yield run
                    summary = run.summary
                self.models.append(run.model)
                self._done.append(summary)
                self._summarize(run.prepared.reported[0])

    def _run(self, fold: int) -> Run:
        """Prepare the run of a fold, or prepare to resume it."""
        directory = (
            None if self.directory is None else RunDirectory(fold_directory(self.directory, fold))
        )
        if directory and self._resume and directory.last.exists():
            return self._resume(directory.path)
        document = _with_fold(self.document, fold)
        prepared = prepare_from_spec(document, self._data, self._reader)
        return Run(prepared, directory, check=self._check)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the directory, if there is one."""
        with ExitStack() as stack:
            directory = self._directory
            if directory is not None:
                if self._ranks.is_first:
                    self._lock(directory, stack)
                directory.path = self._ranks.of_first(lambda: directory.path)
            yield

    def _lock(self, directory: RunDirectory, stack: ExitStack) -> None:
        """Create and lock the directory."""
        with os_errors_as(UsageError, directory.path):
            directory.create()
            folds = range(1, self._count + 1)
            directory.refuse_obstacles(fold_directory(directory.path, fold) for fold in folds)
            stack.enter_context(locked(directory.path))
            if self._resume is None:  # by another process, since it was checked
                directory.refuse_if_run(self.document.text)
            remove_stale_temp_files(directory.path)

    def _describe(self) -> None:
        if self.directory and self._ranks.is_first:
            with os_errors_as(UsageError, self.directory):
                write_spec(self.document, self.directory)

    def _summarize(self, split: str) -> None:
        """Write the summary of the folds that are done."""
        metrics = [summary[split] for summary in self._done]
        columns = {name: [one[name] for one in metrics] for name in metrics[0]}
        self.summary = {
            "name": self.document.name,
            "folds": self._count,
            "done": len(self._done),
            "part": split,
            "mean": {name: statistics.fmean(values) for name, values in columns.items()},
            "std": {name: _deviation(values) for name, values in columns.items()},
            "runs": [
                {"fold": fold, "epochs": one["epochs"], "best_epoch": one["best_epoch"]}
                | one[split]
                for fold, one in enumerate(self._done, 1)
            ],
            "seconds": round(sum(one["seconds"] for one in self._done), 3),
        }
        if self._directory and self._ranks.is_first:
            self._directory.write_summary(self.summary)

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows."""
        from nnreg.plotting.card import card, line  # only notebooks need it
        from nnreg.plotting.html import table

        runs, mean = self.summary.get("runs", ()), self.summary.get("mean", {})
        names, std = list(mean), self.summary.get("std", {})
        rows = [[f"fold {one['fold']}", *(one[name] for name in names)] for one in runs]
        rows += [["mean", *mean.values()]] if mean else []
        rows += [["std", *("" if std[n] is None else std[n] for n in names)]] if mean else []
        head = [self.summary.get("part", ""), *(name.replace("_", " ") for name in names)]
        where = "" if self.directory is None else f"run directory {self.directory}"
        done = f"{len(self._done)} of {self._count} folds"
        listed = table(head, rows, "metrics by fold") if rows else ""
        return card(self.document.name, line(done), listed, line(where))

    def __repr__(self) -> str:
        mean, std = self.summary.get("mean", {}), self.summary.get("std", {})
        metrics = [f"{name} {number(mean[name])} ± {number(std[name] or 0)}" for name in mean]
        done = f"{len(self._done)} of {self._count} folds"
        return f"CrossValidation({', '.join([repr(self.document.name), done, *metrics])})"


def check_folds(
    document: Document,
    data: tuple[Any, Any] | None = None,
    reader: DataReader | None = None,
    *,
    begun: int = 0,
    check: bool = True,
) -> PreparedRun:
    """Read, check and build everything for every fold, so that none fails after hours.

    The first `begun` folds, which are resumed, are left out. Returns the prepared run of the first
    of the others. A `reader` caches the data for training the folds.
    """
    count, reader = document.spec.train.folds or 0, reader or DataReader()
    for fold in range(count, begun, -1):
        try:
            prepared = prepare_from_spec(_with_fold(document, fold), data, reader)
            Run(prepared, None, check=check)
        except DataError as error:
            raise DataError(f"fold {fold} of {count}: {error}") from error
    return prepared


def without_fold(document: Document) -> Document:
    """Return the spec of all folds, given that of one."""
    return _with_fold(document, None)


def _with_fold(document: Document, fold: int | None) -> Document:
    """Return a spec with another `train.fold`, or without one."""
    train = {name: value for name, value in document.tree["train"].items() if name != "fold"}
    if fold is not None:
        train["fold"] = fold
    spec = replace(document.spec, train=replace(document.spec.train, fold=fold))
    return replace(document, spec=spec, tree={**document.tree, "train": train})


def _summary_of(run: Run) -> Mapping[str, Any]:
    """Return the summary of a finished run; an empty one if it is unfinished or has no summary.

    A fold that a plugin stopped is finished, as one that stopped early is.
    """
    if run.directory is None:
        return {}
    summary, state = read_metrics(run.directory / "summary.json"), run.model.training_state
    if not (run.finished or summary.get("stopped") == STOPPED_BY_PLUGIN):
        return {}
    current = {"epochs": state.epoch, "best_epoch": state.best_epoch}
    metrics = summary.get(run.prepared.reported[0])
    valid = (
        summary.get("stopped") in FINISHED_OUTCOMES
        and {name: summary.get(name) for name in current} == current
        and isinstance(metrics, dict)
        and metrics.keys() == set(run.model.evaluation.names)
        and all(isinstance(value, float) for value in (*metrics.values(), summary.get("seconds")))
    )
    return summary if valid else {}


def _deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
