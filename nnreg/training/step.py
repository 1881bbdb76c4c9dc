"""One training step: every change that a gradient makes to the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array
from nnreg._utils.aligned import aligned, aligned_zeros
from nnreg._utils.denormals import zero_tiny
from nnreg._utils.threads import ThreadPool
from nnreg.interfaces.optimizer import Optimizer
from nnreg.network.network import Network
from nnreg.training.gradient import Batch, DataParallelGradient
from nnreg.training.patterns import by_parameter, check_patterns
from nnreg.training.penalties import Constraints, L1L2Penalty, Regularizers, WeightDecay
from nnreg.training.replay import Replay
from nnreg.training.settings import Train
from nnreg.training.state import TrainingState
from nnreg.training.update import (
    CLEARED_EVERY,
    ExponentialMovingAverage,
    LearningRateScheduler,
    OptimizerRunner,
    clip,
)


class TrainingStep:
    """Applies penalties, clipping, schedule, weight decay, optimizer, constraints and average.

    The optimizer's state and the averages are those in `training_state`; missing ones are created.
    `generator` returns the random generator of the optimizer in a step.
    """

    def __init__(
        self,
        network: Network,
        gradient: DataParallelGradient,
        optimizer: Optimizer,
        settings: Train,
        training_state: TrainingState,
        pool: ThreadPool,
        generator: Callable[[int], np.random.Generator],
    ) -> None:
        check_patterns(network, settings, optimizer)
        vector = gradient.gradient
        rates = by_parameter(settings.learning_rates, network.params)
        vectors = training_state.optimizer_state
        for name in optimizer.state_names:
            found = vectors.get(name)
            vectors[name] = (
                aligned_zeros(network.vector.shape, network.dtype)
                if found is None
                else aligned(found)  # that of a file begins anywhere
            )
        self._replay = Replay(network, gradient, settings.batch_size)
        self.replays = not optimizer.elementwise
        self.optimizer = OptimizerRunner(
            optimizer,
            network,
            vector,
            vectors,
            pool,
            training_state.unfrozen,
            self._repeat,
            generator,
            rates,
        )
        self.lr_scheduler: LearningRateScheduler | None = None
        self.ema = _prepare_ema(network, settings.ema, training_state)
        self.training_state = training_state
        self._gradient = vector
        self._statistics = network.state_vector
        self._clip_norm, self._clip_value = settings.clip_norm, settings.clip_value
        l1, l2, decay = settings.l1, settings.l2, settings.weight_decay
        self._penalties: list[L1L2Penalty | Regularizers] = []
        if l1 or l2:
            self._penalties.append(L1L2Penalty(network, vector, l1, l2))
        if settings.regularize:
            named = by_parameter(settings.regularize, network.params)
            self._penalties.append(Regularizers(network, vector, named))
        self._limits = bool(self._penalties) or settings.clip_norm or settings.clip_value
        self._weight_decay = WeightDecay(network, decay, rates) if decay else None
        constrained = by_parameter(settings.constrain, network.params)
        self._constraints = Constraints(network, constrained) if settings.constrain else None

    def begin(self, examples: Batch, rows: Array) -> None:
        """Prepare a step on these rows, before the first pass, if it `replays` them."""
        self._replay.begin(examples, rows)

    def apply(self, epoch: int, step: int) -> None:
        """Change the weights by the gradient; both numbers, the step's in its epoch, start at 0."""
        state = self.training_state
        if self._limits:
            self._limit()
        if self.lr_scheduler is not None:
            self.lr_scheduler.set(epoch, step, state.history)
        if self._weight_decay is not None:
            self._weight_decay.apply(self.optimizer.learning_rate)
        state.step += 1
        self.optimizer.step(state.step)
        if self._statistics.size and state.step % CLEARED_EVERY == 0:
            zero_tiny(self._statistics, np.empty_like(self._statistics))
        if self.replays:
            self._replay.end()
        if self._constraints is not None:
            self._constraints.apply()
        if self.ema is not None:
            state.ema_steps += 1
            self.ema.add(state.ema_steps)

    def learning_rates(self, epoch: int, step: int, count: int) -> Array:
        """Return the learning rates of consecutive steps, for those that `apply` does not make."""
        if self.lr_scheduler is None:
            return np.full(count, self.optimizer.learning_rate)
        rates = np.empty(count)
        for k in range(count):
            self.lr_scheduler.set(epoch, step + k, self.training_state.history)
            rates[k] = self.optimizer.learning_rate
        return rates

    def _limit(self) -> None:
        """Add the gradient of the penalties, then clip."""
        for penalty in self._penalties:
            penalty.add()
        clip(self._gradient, self._clip_norm, self._clip_value)

    def _repeat(self) -> float:
        """Write the gradient of the step again, and return the loss with its penalties."""
        loss = self._replay.run()
        self._limit()
        return loss + sum(penalty.value() for penalty in self._penalties)


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
