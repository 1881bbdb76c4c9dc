"""How far a training is: all that it goes on from besides the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnreg._types import Array

Record = dict[str, float]
"""What an epoch came to: `epoch`, `loss`, each metric, with validation `val_` of each, and with a
schedule the `learning_rate` of its last step."""


@dataclass(frozen=True)
class EpochState:
    """An epoch of `count` examples in which the first `seen` are done.

    `loss` is the sum over them, `outputs` what the network made of them, in the order of training,
    where metrics need it. `streams` are the states of the layers' random generators, one a worker.
    """

    count: int
    seen: int = 0
    loss: float = 0.0
    outputs: Array | None = None
    streams: Sequence[Mapping[str, Any]] = ()


@dataclass
class TrainingState:
    """Everything besides the weights that training goes on from.

    `epoch` and `step` count what is done; `epoch_state` is there in the middle of an epoch only.
    `ema` are the averages of the weights and of the state over `ema_steps` steps.
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
