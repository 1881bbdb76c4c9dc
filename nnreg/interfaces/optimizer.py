"""The base class of optimizers, and the vectors of one update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt

from nnreg._types import Array
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.kernels import Kernels


@dataclass(frozen=True)
class Optimizer(Component):
    """How a gradient changes the parameters."""

    kind = "optimizer"
    state_names: ClassVar[tuple[str, ...]] = ()
    """The vectors remembered from step to step, zero at first, each as long as the parameters."""
    elementwise: ClassVar[bool] = False
    """Whether each parameter's update depends on nothing but its own values, so that the vectors
    may be handed over in pieces that fit the processor's cache."""

    learning_rate: Annotated[float, Gt(0)] = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        """Change `parameters` in place; `gradient` is read only. Both are vectors."""
        raise NotImplementedError


@dataclass(slots=True)
class UpdateState:
    """What an optimizer knows of the step it makes: the count from 1, and its slots."""

    count: int
    vectors: Mapping[str, Array]
    workspace: Workspace

    @property
    def kernels(self) -> Kernels:
        """The inner loops, NumPy's or compiled ones."""
        return self.workspace.kernels

    def empty(self, like: Array) -> Array:
        """Return scratch of the size of `like`."""
        return self.workspace.empty(like.shape)
