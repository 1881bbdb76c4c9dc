"""The runs of a sweep in the order in which they are executed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nnreg.sweeps.plan import PlannedRun
from nnreg.sweeps.results import RunResult


@dataclass(frozen=True)
class Queued:
    """A run to execute, and what its process needs to prune it."""

    run: PlannedRun
    trial: Mapping[str, Any] | None = None


class Queue(Protocol):
    """Gives out runs and takes their results, which may decide on later runs."""

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs that are known."""

    def next(self) -> Queued | None:
        """Return the next run; None if there is none until another one has ended."""

    def ended(self, queued: Queued, result: RunResult) -> None:
        """Take the result of a run."""

    def again(self, queued: Queued) -> None:
        """Take back a run that could not be executed yet."""


class FixedQueue:
    """The runs of a plan whose points are known before the start."""

    def __init__(self, runs: tuple[PlannedRun, ...]) -> None:
        self.runs = runs
        self._waiting = deque(Queued(run) for run in runs)

    def next(self) -> Queued | None:
        """Return the next run."""
        return self._waiting.popleft() if self._waiting else None

    def ended(self, queued: Queued, result: RunResult) -> None:
        """Do nothing: no other run depends on it."""

    def again(self, queued: Queued) -> None:
        """Put a run at the end."""
        self._waiting.append(queued)
