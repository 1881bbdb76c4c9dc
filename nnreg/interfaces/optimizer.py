"""The base class of optimizers, and the state of one update."""

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
    """The rule by which a gradient updates the parameters."""

    kind = "optimizer"
    state_names: ClassVar[tuple[str, ...]] = ()
    """The vectors of state kept between steps, initially zero, each as long as the parameters."""
    non_negative: ClassVar[tuple[str, ...]] = ()
    """Those vectors of state whose values are never below 0, such as a mean of squares."""
    elementwise: ClassVar[bool] = False
    """Whether the update of each parameter depends only on its own values, so that the vectors may
    be passed in chunks that fit the processor's cache."""

    learning_rate: Annotated[float, Gt(0)] = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        """Update `parameters` in place; `gradient` is read-only. Both are vectors."""
        raise NotImplementedError


@dataclass(slots=True)
class UpdateState:
    """The state of one update: the number of the step, from 1, and the optimizer's vectors."""

    count: int
    vectors: Mapping[str, Array]
    workspace: Workspace

    @property
    def kernels(self) -> Kernels:
        """The kernels, those of NumPy or compiled ones."""
        return self.workspace.kernels

    def empty(self, like: Array) -> Array:
        """Return a temporary array of the shape of `like`."""
        return self.workspace.empty(like.shape)
