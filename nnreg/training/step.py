"""One training step: every change that a gradient makes to the weights."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.interfaces.optimizer import Optimizer
from nnreg.network.network import Network
from nnreg.training.settings import Train
from nnreg.training.state import TrainingState
from nnreg.training.update import (
    ExponentialMovingAverage,
    L1L2Penalty,
    LearningRateScheduler,
    OptimizerRunner,
    WeightDecay,
    clip,
)


class TrainingStep:
    """Applies penalties, clipping, the schedule, weight decay, the optimizer and the average.

    The optimizer's state and the averages are those in `training_state`; missing ones are created.
    """

    def __init__(
        self,
        network: Network,
        gradient: Array,
        optimizer: Optimizer,
        settings: Train,
        training_state: TrainingState,
        pool: ThreadPool,
    ) -> None:
        size, dtype = network.vector.size, network.dtype
        for name in optimizer.state_names:
            training_state.optimizer_state.setdefault(name, np.zeros(size, dtype))
        vectors = training_state.optimizer_state
        self.optimizer = OptimizerRunner(
            optimizer, network, gradient, vectors, pool, training_state.unfrozen
        )
        self.lr_scheduler: LearningRateScheduler | None = None
        self.ema = _prepare_ema(network, settings.ema, training_state)
        self._training_state = training_state
        self._gradient = gradient
        self._clip_norm, self._clip_value = settings.clip_norm, settings.clip_value
        l1, l2, decay = settings.l1, settings.l2, settings.weight_decay
        self._penalty = L1L2Penalty(network, gradient, l1, l2) if l1 or l2 else None
        self._weight_decay = WeightDecay(network, decay) if decay else None

    def apply(self, epoch: int, step: int) -> None:
        """Change the weights by the gradient; both numbers, the step's in its epoch, start at 0."""
        state = self._training_state
        if self._penalty is not None:
            self._penalty.add()
        clip(self._gradient, self._clip_norm, self._clip_value)
        if self.lr_scheduler is not None:
            self.lr_scheduler.set(epoch, step, state.history)
        if self._weight_decay is not None:
            self._weight_decay.apply(self.optimizer.learning_rate)
        state.step += 1
        self.optimizer.step(state.step)
        if self.ema is not None:
            state.ema_steps += 1
            self.ema.add(state.ema_steps)


def _prepare_ema(
    network: Network, decay: float | None, training_state: TrainingState
) -> ExponentialMovingAverage | None:
    """Continue the average in the training state, or begin one; without a decay, drop it."""
    if decay is None:
        training_state.ema_steps, training_state.ema = 0, None
        return None
    if training_state.ema is None:
        weights, state = np.zeros_like(network.vector), np.zeros_like(network.state_vector)
        training_state.ema = weights, state
    return ExponentialMovingAverage(network, decay, training_state.ema)
