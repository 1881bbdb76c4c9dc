"""The base class of optimizers, and the state of one update."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import PluginError
from nnreg.interfaces.component import Component, Positive
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
    full_batch: ClassVar[bool] = False
    """Whether it is meant for the gradient of all examples; smaller batches give a warning."""

    learning_rate: Positive = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        """Update `parameters` in place; `gradient` is read-only. Both are vectors."""
        raise NotImplementedError

    def evaluation_parameters(self, parameters: Array, state: UpdateState) -> Array:
        """Return the values to validate, to keep as the best and to predict with.

        Override it if they differ from those that are trained, as with averages. It is called only
        after an update, with vectors as `update` gets them, and must not change any of them.
        """
        return parameters

    def overrides_evaluation_parameters(self) -> bool:
        """Return True if there are parameters to evaluate besides those that are trained."""
        return type(self).evaluation_parameters is not Optimizer.evaluation_parameters

    def with_learning_rate(self, rate: float) -> Self:
        """Return this optimizer with another learning rate, as a schedule gives it."""
        return dataclasses.replace(self, learning_rate=rate)

    def check_parameters(self, shapes: Mapping[str, Shape]) -> None:
        """Raise `ValueError` if the options do not fit the parameters of a network, by name."""


@dataclass(slots=True)
class UpdateState:
    """The state of one update: the number of the step, from 1, and the optimizer's vectors.

    An optimizer that is not elementwise gets all trained parameters at once, and may use `each`,
    `evaluate` and `rng`; `shapes`, `repeat` and `generator` are what these need.
    """

    count: int
    vectors: Mapping[str, Array]
    workspace: Workspace
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    repeat: Callable[[], tuple[float, Array]] | None = None
    generator: Callable[[], np.random.Generator] | None = None

    @property
    def kernels(self) -> Kernels:
        """The kernels, those of NumPy or compiled ones."""
        return self.workspace.kernels

    def empty(self, like: Array) -> Array:
        """Return a temporary array of the shape of `like`."""
        return self.workspace.empty(like.shape)

    def each(self, *vectors: Array) -> Iterator[tuple[Any, ...]]:
        """Yield the name of each trained parameter, and its shaped views of these vectors.

        The order is that of the vectors. Writing into a view changes its vector.
        """
        size = sum(map(math.prod, self.shapes.values()))
        if not self.shapes or any(vector.shape != (size,) for vector in vectors):
            raise _unavailable("each", "vectors of all trained parameters, with their shapes")
        start = 0
        for name, shape in self.shapes.items():
            span = slice(start, start + math.prod(shape))
            yield name, *(vector[span].reshape(shape) for vector in vectors)
            start = span.stop

    def evaluate(self) -> tuple[float, Array]:
        """Return the loss of this step's examples at the current `parameters`, and its gradient.

        They are computed as for `gradient`: in training mode, with the same random numbers, with
        the penalties of `train.l1` and `train.l2`, and clipped. Running statistics do not change.
        The gradient is a vector that is valid until the end of the update; if the loss is not
        finite, its values are arbitrary.
        """
        if self.repeat is None:
            raise _unavailable("evaluate", "all trained parameters")
        return self.repeat()

    @property
    def rng(self) -> np.random.Generator:
        """The random generator of this step, derived from the seed and the number of the step."""
        if self.generator is None:
            raise _unavailable("rng", "all trained parameters, as chunks would draw the same")
        return self.generator()


def _unavailable(name: str, needed: str) -> PluginError:
    return PluginError(
        f"UpdateState.{name} needs {needed}; an optimizer with elementwise = True gets chunks "
        "instead: set it to False"
    )
