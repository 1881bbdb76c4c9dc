"""The training state: everything that resuming needs besides the weights."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._types import Array

Record = dict[str, float]
"""The metrics of an epoch: `epoch`, `loss`, each metric, with validation `val_` of each, and with a
schedule the `learning_rate` of its last step."""


@dataclass(frozen=True)
class EpochState:
    """An epoch of `count` examples in which the first `seen` are done.

    `loss` is the sum of their losses, `outputs` the outputs for them, in the order of training, if
    metrics need these. `streams` are the states of the layers' random generators, one per shard.
    `examples` is the digest of the examples, if it is known.
    """

    count: int
    seen: int = 0
    loss: float = 0.0
    outputs: Array | None = None
    streams: Sequence[Mapping[str, Any]] = ()
    examples: str = ""


class StepLock:
    """Lets other threads read what training changes between two steps, never within one.

    Training holds the lock. Between two steps it only looks whether a thread is waiting, because a
    lock that is released and acquired at once hardly ever goes to another thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counting = threading.Lock()
        self.waiting = 0
        self.in_training = False
        """Whether training holds the lock, or lets others read between two steps."""

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the lock for a number of steps."""
        with self._changed:
            before, self.in_training = self.in_training, True
            try:
                yield
            finally:
                self.in_training = before

    def let_others_read(self) -> None:
        """Release the lock, between two steps, until no thread is waiting."""
        self._changed.wait_for(lambda: not self.waiting)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock to read, as soon as a step is complete."""
        self._count(1)
        try:
            with self._changed:
                yield
        finally:
            self._count(-1)
            with self._changed:
                self._changed.notify_all()

    def _count(self, change: int) -> None:
        with self._counting:
            self.waiting += change

    def __reduce__(self) -> tuple[type[StepLock], tuple[()]]:
        """Give a copy a lock of its own."""
        return StepLock, ()


@dataclass
class TrainingState:
    """Everything besides the weights from which training resumes.

    `epoch` and `step` count what is done; `epoch_state` is set in mid-epoch only. `ema` are the
    averages of the weights and of the network's state over `ema_steps` steps. `unfrozen` has the
    step after which the optimizer began with a parameter, by its name, if it was frozen before.
    `evaluated` has the metrics of each split and of the baseline, measured at the end of a run.
    """

    epoch: int = 0
    step: int = 0
    epoch_state: EpochState | None = None
    optimizer_state: dict[str, Array] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = math.inf
    best_vector: Array | None = None
    best_state: Array | None = None
    ema_steps: int = 0
    ema: tuple[Array, Array] | None = None
    unfrozen: dict[str, int] = field(default_factory=dict)
    evaluated: dict[str, dict[str, float]] = field(default_factory=dict)
    lock: StepLock = field(default_factory=StepLock, repr=False, compare=False)

    def results(self, *, last: bool) -> dict[str, dict[str, float]]:
        """Return what is `evaluated`, else the validation metrics of the last or the best epoch.

        Empty if there are none, as of weights in the middle of an epoch.
        """
        if self.evaluated:
            return {split: dict(metrics) for split, metrics in self.evaluated.items()}
        epoch = self.epoch if last else self.best_epoch
        if self.epoch_state is not None or not 0 < epoch <= len(self.history):
            return {}
        record = self.history[epoch - 1].items()
        found = {name.removeprefix("val_"): v for name, v in record if name.startswith("val_")}
        return {"validation": found} if found else {}


class Snapshot:
    """Copies of arrays that can be restored, always in the same memory."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._pairs = [(array, np.empty_like(array)) for array in arrays]

    def take(self) -> None:
        """Copy the arrays."""
        for array, copy in self._pairs:
            np.copyto(copy, array)

    def restore(self) -> None:
        """Write the copies back."""
        for array, copy in self._pairs:
            np.copyto(array, copy)


def copy_into(copy: Array | None, array: Array) -> Array:
    """Return a copy of an array, in the memory of an earlier one if given."""
    copy = np.empty_like(array) if copy is None else copy
    np.copyto(copy, array)
    return copy
