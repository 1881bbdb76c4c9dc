"""A search by Optuna: each trial is a point, whose seeds are trained one after another."""

from __future__ import annotations

import json
import math
import statistics
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils import json_text
from nnreg._utils.atomic_files import locked
from nnreg._utils.extras import installed
from nnreg._utils.os_errors import os_errors_as
from nnreg.errors import UsageError
from nnreg.sweeps.outcomes import DIVERGED, DONE, PRUNED, WAITING, outcome_of
from nnreg.sweeps.plan import Plan, PlannedRun
from nnreg.sweeps.queue import Queued
from nnreg.sweeps.results import RunResult
from nnreg.sweeps.settings import Axis, Optuna, Point, Range
from nnreg.sweeps.space import rounded
from nnreg.sweeps.study import NAME, open_storage, pruner

STREAM = 42
"""The second seed of the sampler, which has a generator of its own for each trial."""


class OptunaQueue:
    """The runs of a search. Trials that ran when the search was killed are run again.

    A trial is pruned by the run of its first seed.
    """

    def __init__(self, plan: Plan, directory: Path) -> None:
        import optuna

        assert plan.settings.optuna is not None
        self._plan, self._directory = plan, directory
        self._settings: Optuna = plan.settings.optuna
        self._study = optuna.create_study(
            storage=open_storage(directory),
            study_name=NAME,
            direction="maximize" if plan.higher_is_better else "minimize",
            pruner=pruner(self._settings.prune),
            load_if_exists=True,
        )
        self._distributions = {
            path: _distribution(axis) for path, axis in self._settings.space.items()
        }
        self._values: dict[int, list[float]] = {}
        running = [one for one in self._study.trials if one.state.name == "RUNNING"]
        self._ready = deque((one.number, self._point(one.params)) for one in running)

    def next(self) -> Queued | None:
        """Return the next seed of a trial, or the first one of a new trial."""
        if not self._ready:
            count = len(self._study.trials)
            if count >= self._settings.trials:
                return None
            self._study.sampler = self._sampler(count)
            trial = self._study.ask(self._distributions)
            self._ready.append((trial.number, self._point(trial.params)))
        number, point = self._ready.popleft()
        index = len(self._values.setdefault(number, []))
        run = PlannedRun(number + 1, point, self._plan.seeds[index])
        prune = index == 0 and self._settings.prune != "none"
        return Queued(run, self._trial(number) if prune else None)

    def ended(self, queued: Queued, result: RunResult) -> None:
        """Tell Optuna of a trial that has ended, or continue with its next seed."""
        import optuna

        number, states = queued.run.number - 1, optuna.trial.TrialState
        if result.outcome == PRUNED:
            self._study.tell(number, state=states.PRUNED)
        elif result.outcome == DIVERGED or (result.outcome == DONE and not _finite(result.value)):
            self._study.tell(number, state=states.FAIL)
        elif result.outcome == DONE:
            values = self._values[number]
            values.append(result.value or 0.0)
            if len(values) < len(self._plan.seeds):
                self._ready.appendleft((number, queued.run.point))
            else:
                self._study.tell(number, statistics.fmean(values))

    def again(self, queued: Queued) -> None:
        """Take back a run that another process trained."""
        self._ready.append((queued.run.number - 1, queued.run.point))

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """The runs of all trials so far; those of a trial that was pruned end with that."""
        runs = (
            PlannedRun(trial.number + 1, self._point(trial.params), seed)
            for trial in self._study.trials
            for seed in self._plan.seeds
        )
        return tuple(run for run in runs if outcome_of(self._directory / run.name) != WAITING)

    def _sampler(self, count: int) -> Any:
        """Return a sampler for the next trial, which depends on the earlier ones alone."""
        import optuna

        sequence = np.random.SeedSequence([self._settings.seed, STREAM, count])
        return optuna.samplers.TPESampler(seed=int(sequence.generate_state(1)[0]))

    def _point(self, params: Mapping[str, Any]) -> Point:
        """Return the values of a trial, which are texts of JSON for lists, and have few digits."""
        found = {}
        for path, axis in self._settings.space.items():
            value = params[path]
            if not isinstance(axis, Range):
                value = json.loads(value)
            elif not axis.whole:
                value = min(max(rounded(value), axis.ends[0]), axis.ends[1])
            found[path] = value
        return found

    def _trial(self, number: int) -> Mapping[str, Any]:
        return {
            "directory": str(self._directory.resolve()),
            "number": number,
            "metric": self._plan.metric,
            "prune": self._settings.prune,
        }


@contextmanager
def searching(plan: Plan, directory: Path) -> Iterator[OptunaQueue]:
    """Open the search of a plan. Raises `UsageError` if another process has opened it."""
    with os_errors_as(UsageError, directory), locked(directory):
        yield OptunaQueue(plan, directory)


def require_optuna() -> None:
    """Raise `UsageError` if Optuna is not installed."""
    if not installed("optuna"):
        raise UsageError("a search by Optuna needs Optuna: pip install 'nnreg[sweep]'")


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _distribution(axis: Axis) -> Any:
    """Return the distribution of an axis in Optuna."""
    import optuna

    if not isinstance(axis, Range):
        return optuna.distributions.CategoricalDistribution([json_text.dumps(one) for one in axis])
    low, high = axis.ends
    if axis.whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=axis.logarithmic)
    return optuna.distributions.FloatDistribution(low, high, log=axis.logarithmic)
