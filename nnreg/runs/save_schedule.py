"""When a run saves its last checkpoint."""

from __future__ import annotations

import math
import time

from nnreg.spec.sections import Checkpoint
from nnreg.training.state import TrainingState

MAX_TIME_FRACTION = 0.03
"""The share of the time that saving may take: a checkpoint that cost 100 ms waits 3.3 s."""

SHORT_SAVE_SECONDS = 1.0
"""The seconds of work that are not worth a save: it would cost a short run more than its share."""

LONG_INTERVAL_SECONDS = 10.0
"""The seconds after which a run is saved in the middle of an epoch too."""


class SaveSchedule:
    """When to save: as the spec says, or as often as that takes its share of the time."""

    def __init__(self, settings: Checkpoint, progress: TrainingState) -> None:
        self._settings = settings
        self._progress = progress
        self.saved(0.0)

    def saved(self, cost: float) -> None:
        """Note that a save ended just now, which took `cost` seconds."""
        now, settings = time.perf_counter(), self._settings
        self._after_epoch = self._within_epoch = math.inf
        if settings.every_seconds:
            self._after_epoch = self._within_epoch = now + settings.every_seconds
        elif not (settings.every_epochs or settings.every_steps):
            self._after_epoch = now + max(cost / MAX_TIME_FRACTION, SHORT_SAVE_SECONDS)
            self._within_epoch = now + max(cost / MAX_TIME_FRACTION, LONG_INTERVAL_SECONDS)

    def after_epoch(self) -> bool:
        """Whether to save at the end of an epoch."""
        every = self._settings.every_epochs
        if every and self._progress.epoch % every == 0:
            return True
        return self._at_step() or time.perf_counter() >= self._after_epoch

    def within_epoch(self) -> bool:
        """Whether to save between two steps."""
        return time.perf_counter() >= self._within_epoch or self._at_step()

    def _at_step(self) -> bool:
        every = self._settings.every_steps
        return every is not None and self._progress.step % every == 0
