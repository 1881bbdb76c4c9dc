"""The schedule by which a run saves its last checkpoint."""

from __future__ import annotations

import math
import time

from nnreg.spec.sections import Checkpoint
from nnreg.training.state import TrainingState

MAX_TIME_FRACTION = 0.025
"""The fraction of a run's time that checkpoints may take, with the first and the last one.

Another 0.5 % is for what is written or measured after each epoch.
"""

SHORT_SAVE_SECONDS = 1.0
"""The least seconds between two saves, however short they are."""

LONG_INTERVAL_SECONDS = 10.0
"""The least seconds before a save in mid-epoch."""


class SaveSchedule:
    """Decides when to save: as the spec says, or as often as `MAX_TIME_FRACTION` allows."""

    def __init__(self, settings: Checkpoint, training_state: TrainingState) -> None:
        self._settings = settings
        self._training_state = training_state
        self._began, self._spent = time.perf_counter(), 0.0
        self.saved(0.0, 0.0)

    def saved(self, cost: float, next_cost: float) -> None:
        """Record that a save has just ended: its seconds, and those that the next one may take.

        By default, the next one waits until it and another one, that of the end, are within the
        fraction of the time, together with all before: the run may end soon after it.
        """
        now, settings = time.perf_counter(), self._settings
        self._spent += cost
        self._after_epoch = self._within_epoch = math.inf
        if settings.every_seconds:
            self._after_epoch = self._within_epoch = now + settings.every_seconds
        elif not (settings.every_epochs or settings.every_steps):
            due = self._began + (self._spent + 2 * next_cost) / MAX_TIME_FRACTION
            self._after_epoch = max(due, now + SHORT_SAVE_SECONDS)
            self._within_epoch = max(due, now + LONG_INTERVAL_SECONDS)

    def after_epoch(self) -> bool:
        """Whether to save at the end of an epoch."""
        every = self._settings.every_epochs
        if every and self._training_state.epoch % every == 0:
            return True
        return self._at_step() or time.perf_counter() >= self._after_epoch

    def within_epoch(self) -> bool:
        """Whether to save between two steps."""
        return time.perf_counter() >= self._within_epoch or self._at_step()

    def _at_step(self) -> bool:
        every = self._settings.every_steps
        return every is not None and self._training_state.step % every == 0
