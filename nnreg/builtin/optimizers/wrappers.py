"""Optimizers around another one, which is an option."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import norm
from nnreg.builtin.optimizers.adam import Adam
from nnreg.builtin.optimizers.gradient_descent import Sgd
from nnreg.interfaces.component import Count, Positive, PositiveFraction
from nnreg.interfaces.optimizer import Optimizer, UpdateState


@dataclass(frozen=True)
class Wrapper(Optimizer):
    """An optimizer around another one, `base`, whose learning rate is the only one.

    What other optimizers declare for their class follows from `base`; its vectors of state have
    "base_" before their names.
    """

    own_state: ClassVar[tuple[str, ...]] = ()
    """The vectors of state besides those of `base`."""
    learning_rate: ClassVar[float] = property(lambda self: self.base.learning_rate)  # type: ignore[assignment, misc]
    base: Optimizer = Sgd()

    @classmethod
    def examples(cls) -> Iterable[Self]:
        return (cls(base=Adam()),)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.own_state + tuple(f"base_{name}" for name in self.base.state_names)

    @property
    def non_negative(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"base_{name}" for name in self.base.non_negative)

    @property
    def full_batch(self) -> bool:  # type: ignore[override]
        return self.base.full_batch

    def with_learning_rate(self, rate: float) -> Self:
        return dataclasses.replace(self, base=self.base.with_learning_rate(rate))

    def check_parameters(self, shapes: Mapping[str, Shape]) -> None:
        self.base.check_parameters(shapes)

    def state_of_base(self, state: UpdateState) -> UpdateState:
        """Return the state of an update by `base`."""
        vectors = {name: state.vectors[f"base_{name}"] for name in self.base.state_names}
        return dataclasses.replace(state, vectors=vectors)


@dataclass(frozen=True)
class Sam(Wrapper):
    """Sharpness-aware minimization: steps by the gradient at the worst point nearby.

    w = p + radius · g / ‖g‖; then a step of `base` from p along the gradient at w

    The gradient at w is that of the same examples and random numbers. Each step has a second
    forward and backward pass. Where the loss at w is not finite, the step is along g. Foret et al.
    2021.

    Options:
        base: optimizer that makes the step, with its learning rate
        radius: distance to the worst point, > 0
    """

    radius: Positive = 0.05

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        start, away = state.empty(parameters), state.empty(parameters)
        start[...] = parameters
        np.multiply(gradient, self.radius / (norm(gradient) + 1e-12), out=away)
        np.add(parameters, away, out=parameters)
        loss, worst = state.evaluate()
        parameters[...] = start
        direction = worst if math.isfinite(loss) else gradient
        self.base.update(parameters, direction, self.state_of_base(state))

    def evaluation_parameters(self, parameters: Array, state: UpdateState) -> Array:
        return self.base.evaluation_parameters(parameters, self.state_of_base(state))

    def overrides_evaluation_parameters(self) -> bool:
        return self.base.overrides_evaluation_parameters()


@dataclass(frozen=True)
class Lookahead(Wrapper):
    """Slow weights that follow the weights of another optimizer, which restarts from them.

    every `sync_period` steps of `base`: slow ← slow + slow_step_size · (p - slow); p ← slow

    The slow weights are validated, kept as the best and used for predictions. Zhang et al. 2019.

    Options:
        base: optimizer that makes the steps in between, with its learning rate
        sync_period: steps between changes of the slow weights, > 0
        slow_step_size: part of the way that they follow, in (0, 1]
    """

    own_state = ("slow",)
    sync_period: Count = 5
    slow_step_size: PositiveFraction = 0.5

    def __post_init__(self) -> None:
        if self.base.overrides_evaluation_parameters():
            raise ValueError("'base' has weights of its own for predictions; use it alone")

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        return self.base.elementwise

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        slow = state.vectors["slow"]
        if state.count == 1:
            slow[...] = parameters
        self.base.update(parameters, gradient, self.state_of_base(state))
        if state.count % self.sync_period == 0:
            np.subtract(parameters, slow, out=parameters)
            np.multiply(parameters, self.slow_step_size, out=parameters)
            np.add(slow, parameters, out=slow)
            parameters[...] = slow

    def evaluation_parameters(self, parameters: Array, state: UpdateState) -> Array:
        return state.vectors["slow"]
