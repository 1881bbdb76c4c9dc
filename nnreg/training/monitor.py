"""The monitored metric: which epoch is the best so far, and how long it has not improved.

Both follow from the history, so that a resumed training continues with any settings.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping

from nnreg.errors import NnregWarning, UsageError
from nnreg.training.state import TrainingState


class Monitor:
    """Follows a metric over the epochs.

    The best epoch is the first one with the best value, however small the improvement is. Only an
    improvement by more than `min_delta` ends the wait of early stopping. A value
    that is not finite is worse than any number. Without a `metric`, the last epoch is the best.
    """

    def __init__(
        self, metric: str | None, *, higher_is_better: bool = False, min_delta: float = 0.0
    ) -> None:
        self.metric = metric
        self.best_epoch = 0
        self.best_value = math.inf
        """The value of the best epoch; with the opposite sign if higher values are better."""
        self.improved_epoch = 0
        """The epoch from which early stopping counts."""
        self._sign = -1 if higher_is_better else 1
        self._min_delta = min_delta
        self._reference = math.inf
        self._warned: set[str] = set()

    def add(self, record: Mapping[str, float]) -> bool:
        """Follow another epoch, and return True if it is the best so far."""
        epoch = int(record["epoch"])
        value = self._value(record)
        if value is None:
            if not self.best_epoch:
                self.improved_epoch = epoch
            return False
        if not self.best_epoch or value < self._reference - self._min_delta:
            self._reference, self.improved_epoch = value, epoch
        better = self.metric is None or not self.best_epoch or value < self.best_value
        if better:
            self.best_epoch, self.best_value = epoch, value
        return better

    def follow(self, records: Iterable[Mapping[str, float]]) -> None:
        """Follow the epochs of a history."""
        for record in records:
            self.add(record)

    def warn_not_finite(self, record: Mapping[str, float]) -> None:
        """Warn, once for each metric, if it is not a finite number."""
        wrong = {name for name, value in record.items() if not math.isfinite(value)} - self._warned
        self._warned |= wrong
        for name in sorted(wrong):
            text = f"{name} is {record[name]} in epoch {record['epoch']}"
            meaning = "which is not an improvement" if name == self.metric else "undefined there"
            warnings.warn(f"{text}, {meaning}", NnregWarning, stacklevel=2)

    def settle(self, record: Mapping[str, float]) -> None:
        """Take an epoch for the best one so far."""
        value = self._value(record)
        if value is not None:
            self.best_epoch, self.best_value = int(record["epoch"]), value

    def forget_best(self) -> None:
        """Take the next epoch in which the metric is measured for the best one so far."""
        self.best_epoch, self.best_value = 0, math.inf

    def _value(self, record: Mapping[str, float]) -> float | None:
        """Return the value to minimize of an epoch; None if the metric was not measured in it."""
        value = record.get(self.metric or "loss")
        if value is None:
            return None
        return self._sign * value if math.isfinite(value) else math.inf


def resume_monitor(monitor: Monitor, state: TrainingState) -> bool:
    """Follow the history of a training; return True if its weights are now the best.

    Raises `UsageError` if those of the best epoch were not kept: another metric was monitored.
    """
    kept, metric = state.best_epoch, monitor.metric
    if metric is None:  # the last epoch is the best
        return False
    monitor.follow(state.history)
    if not monitor.best_epoch:
        return False
    if monitor.best_epoch != kept and monitor.improved_epoch == kept:
        monitor.settle(state.history[kept - 1])  # an older version kept the best by min_delta
    if monitor.best_epoch == kept:
        state.best_value = monitor.best_value
        return False
    if monitor.best_epoch == state.epoch and state.epoch_state is None:
        return True
    if not kept or metric not in state.history[kept - 1]:
        monitor.forget_best()  # it was not measured, so that they cannot be compared
        return False
    raise UsageError(
        f"epoch {monitor.best_epoch} has the best {metric!r}, but the weights of epoch {kept} were "
        "kept, the best one by another metric; monitor that one, or start a new run"
    )


def require_no_validation(stopping: str | None, schedule: str | None) -> None:
    """Raise `UsageError` if early stopping or a schedule monitors the missing validation split."""
    for who, metric, option in (
        ("early stopping", stopping, "train.early_stopping.monitor"),
        ("the schedule", schedule, "its monitor"),
    ):
        if (metric or "").startswith("val_"):
            raise UsageError(
                f"{who} monitors {metric!r}, but there is no validation split; add one "
                f'(data.split.validation), or set {option} to "loss"'
            )
