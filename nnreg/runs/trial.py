"""Comparing several specs for the same data by cross-validation."""

from __future__ import annotations

import math
import signal
import statistics
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnreg.data.loading import DataReader
from nnreg.data.streaming import InMemory
from nnreg.errors import DivergedError
from nnreg.interfaces.source import Source
from nnreg.runs.cross_validation import CrossValidation, check_folds
from nnreg.runs.estimate import estimate
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import Document
from nnreg.tables.table import Table

ESTIMATE_SECONDS = 0.3
"""The time for which each spec is trained to estimate how long all takes."""

SAMPLE_STREAM = 21
"""The second seed of the sample of rows, after 0."""


@dataclass(frozen=True)
class Trial:
    """The score of a spec on the held-out rows of each fold, higher is better.

    `scores` is empty if a training diverged. `parameters` is the size of its network, and `seconds`
    the time of all folds.
    """

    name: str
    scores: tuple[float, ...]
    parameters: int
    seconds: float

    @property
    def mean(self) -> float:
        """The mean score; minus infinity if it has none."""
        return statistics.fmean(self.scores) if self.scores else -math.inf

    @property
    def standard_error(self) -> float:
        """The standard error of the mean over the folds."""
        return _standard_error(self.scores)

    def as_good_as(self, best: Trial) -> bool:
        """Return whether the best one is better by no more than a standard error.

        It is that of the differences in each fold, as some folds are harder for all of them.
        """
        if not self.scores:
            return False
        differences = [a - b for a, b in zip(best.scores, self.scores, strict=True)]
        return statistics.fmean(differences) <= _standard_error(differences)


def chosen_of(trials: Collection[Trial]) -> Trial | None:
    """Return the smallest network that is as good as the best one; None if all diverged."""
    best = max(trials, key=lambda one: one.mean)
    smallest = sorted(trials, key=lambda one: one.parameters)
    return next((one for one in smallest if one.as_good_as(best)), None)


class Comparison:
    """Specs with `train.folds` of the same data, of which a `metric` is compared.

    Of a file of more than `max_rows` rows, as many are drawn at random.
    """

    def __init__(self, documents: Mapping[str, Document], metric: str, max_rows: int) -> None:
        self.documents = documents
        self.metric = metric
        self._reader = _SampleReader(max_rows)

    def seconds(self) -> float:
        """Return about how long all trainings take at most, from a few steps of each."""
        total = 0.0
        for document in self.documents.values():
            prepared = prepare_from_spec(document, None, self._reader)
            folds = document.spec.train.folds or 1
            total += folds * estimate(prepared, ESTIMATE_SECONDS).seconds
        return total

    def trials(self, signals: Iterable[int] = (signal.SIGINT,)) -> Iterator[Trial]:
        """Train each spec once per fold, and yield its scores.

        Raises `DataError` if the rows cannot be divided into folds, before any is trained, and
        KeyboardInterrupt at one of the `signals`.
        """
        check_folds(next(iter(self.documents.values())), reader=self._reader)
        for name, document in self.documents.items():
            began = time.perf_counter()
            folds = CrossValidation(document, None, reader=self._reader)
            scores, parameters = [], 0
            try:
                with closing(folds.runs()) as runs:
                    for run in runs:
                        parameters = run.model.network.vector.size
                        run.train(signals=signals)
                scores = [one[self.metric] for one in folds.summary["runs"]]
            except DivergedError:
                pass
            if not all(map(math.isfinite, scores)):
                scores = []
            yield Trial(name, tuple(scores), parameters, time.perf_counter() - began)


class _SampleReader(DataReader):
    """Reads each file once for all specs, and of larger ones a sample of the rows."""

    def __init__(self, max_rows: int) -> None:
        super().__init__()
        self._max_rows = max_rows

    def table(
        self, source: Source, path: Path, text: Collection[str], kept: InMemory | None = None
    ) -> Table:
        table = super().table(source, path, text, kept)
        if len(table) <= self._max_rows:
            return table
        rng = np.random.default_rng(np.random.SeedSequence([0, SAMPLE_STREAM]))
        return table.take(np.sort(rng.permutation(len(table))[: self._max_rows]))

    def __exit__(self, *_: object) -> None:
        """Keep the tables for the next spec."""


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
