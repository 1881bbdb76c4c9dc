"""The context of a forward pass: mode, random generator, kernels and reusable arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg._utils.statistics import tree_sum
from nnreg.interfaces.features import Features
from nnreg.interfaces.kernels import Kernels


class ShardMember(Protocol):
    """A shard of a batch that exchanges arrays with the others."""

    index: int

    def gather(self, array: Array) -> Sequence[Array]:
        """Return the arrays that all shards give, in the order of the shards."""


class Workspace:
    """The arrays of one pass through a network, and its random generator.

    With `reuse`, each pass gets the arrays of the previous pass, in the order of its requests, so
    that a training loop allocates nothing after its first step.
    """

    def __init__(
        self, dtype: npt.DTypeLike, *, reuse: bool, kernels: Kernels | None = None
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.kernels = kernels or Kernels()
        self.rng: np.random.Generator | None = None
        self.masks: Mapping[str, Array] = {}
        """Which steps are real, `(batch, steps)`, for each input of the network with a mask."""
        own = type(self.kernels).matmul is not Kernels.matmul
        self.dot: Callable[..., Array] = self.kernels.matmul if own else np.dot
        """Multiplies two matrices into `out`. Layers with weights use it, so that training can
        divide large products."""
        self.divides_products = False
        """Whether threads share large products."""
        self.shard: ShardMember | None = None
        """The shard of the batch that the pass computes, if layers combine values of all shards."""
        self._buffers: dict[Any, Array] | None = {} if reuse else None
        self._requests = 0
        self._ones: dict[int, Array] = {}
        self._scalars: dict[tuple[int, int], tuple[Array, list[Array]]] = {}

    def temporary(self) -> Workspace:
        """Return a workspace for arrays of shapes that differ at each pass: it keeps none."""
        other = copy(self)
        other._buffers, other._ones, other._scalars = None, {}, {}
        return other

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays that are kept for the next pass."""
        return sum(one.nbytes for one in (self._buffers or {}).values())

    def rewind(self) -> None:
        """Begin a pass that reuses the same arrays."""
        self._requests = 0

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array whose values are arbitrary."""
        if self._buffers is None:
            return self.allocate(shape, dtype)
        self._requests += 1
        key = (self._requests, shape, dtype)
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = self.allocate(shape, dtype)
        return buffer

    def ones(self, count: int) -> Array:
        """Return a vector of ones, which must not be modified."""
        vector = self._ones.get(count)
        if vector is None:
            vector = self.allocate((count,), None)
            vector[...] = 1
            if self._buffers is not None:
                self._ones[count] = vector
        return vector

    def scalars(self, *values: float) -> Sequence[Array]:
        """Return these numbers as arrays without axes, which NumPy takes faster than numbers."""
        self._requests += 1
        key = (self._requests, len(values))
        found = self._scalars.get(key)
        if found is None:
            vector = self.allocate((len(values),), None)
            found = vector, [vector[k, ...] for k in range(len(values))]
            if self._buffers is not None:
                self._scalars[key] = found
        vector, arrays = found
        vector[...] = values
        return arrays

    def allocate(self, shape: Shape, dtype: npt.DTypeLike | None) -> Array:
        """Allocate a new array. Override it for another array library."""
        return np.empty(shape, self.dtype if dtype is None else dtype)


class Read(NamedTuple):
    """What an entry of a graph reads: a value by its number, or a part of it by name."""

    value: int
    part: str | None = None


@dataclass(slots=True)
class Node:
    """An entry of a graph with the arrays of a pass.

    `shared` has, for each further use of its layer, the gradients of its parameters and those that
    the use computes, which are added to them. `only` is the number of the value that it reads; None
    if there are several, or a part of one.
    """

    layer: Any
    inputs: tuple[Read, ...]
    joins: bool
    shared: list[tuple[Array, Array]] = field(default_factory=list)
    only: int | None = field(init=False)

    def __post_init__(self) -> None:
        value, part = self.inputs[0]
        self.only = None if self.joins or part is not None else value

    def read(self, values: Sequence[Any]) -> Any:
        """Return the input of the layer, or the list of its inputs if it is a join."""
        if self.joins:
            return [values[i] if part is None else values[i][part] for i, part in self.inputs]
        ((value, part),) = self.inputs
        return values[value] if part is None else values[value][part]


@dataclass(slots=True)
class Context:
    """The arrays and state of one layer during one pass; the arrays are views of its own only.

    `node` has the connections of an entry of a graph; it is None in a chain. `mask_names` are the
    masks of the layer's inputs, see `LayerBuilder.masks`, and `features` says what the features of
    the first are, None if unknown. With `only_forward`, no backward function of a layer with
    parameters is called.
    """

    params: Mapping[str, Array]
    gradients: Mapping[str, Array]
    state: Mapping[str, Array]
    children: Mapping[str, Context]
    workspace: Workspace
    training: bool = False
    needs_input_gradient: bool = True
    node: Node | None = None
    mask_names: tuple[str | None, ...] = ()
    features: Features | None = None
    only_forward: bool = False

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array of arbitrary values, valid until the next pass."""
        return self.workspace.empty(shape, dtype)

    def copy(self, values: Array) -> Array:
        """Return a copy in the order of its axes, which is faster to read than a transposed view.

        It is valid until the next pass.
        """
        copied = self.workspace.empty(values.shape, values.dtype)
        copied[...] = values
        return copied

    @property
    def mask(self) -> Array | None:
        """Which steps of the first input are real, bool `(batch, steps)`; None if all are."""
        if not self.mask_names or self.mask_names[0] is None:
            return None
        return self.workspace.masks[self.mask_names[0]]

    @property
    def masks(self) -> tuple[Array | None, ...]:
        """The mask of each input; empty for a layer that was built without."""
        found = self.workspace.masks
        return tuple(None if name is None else found[name] for name in self.mask_names)

    @property
    def divided(self) -> bool:
        """Whether `x` is a shard of the batch, and `gather` returns the arrays of all shards."""
        return self.workspace.shard is not None

    def gather(self, array: Array) -> Sequence[Array]:
        """Return the array that each shard of the batch gives here, in the order of the shards.

        For a layer that declares `combines_shards`. Every shard waits here for the others, so that
        all must make the same calls. Without shards, the result is the array alone.
        """
        shard = self.workspace.shard
        return (array,) if shard is None else shard.gather(array)

    def sum_over_shards(self, array: Array) -> Array:
        """Return the sum of the arrays that `gather` returns, the same bits in each shard."""
        arrays = self.gather(array)
        return arrays[0] if len(arrays) == 1 else tree_sum([one.copy() for one in arrays])

    @property
    def updates_buffers(self) -> bool:
        """Whether the layer may write its buffers: in one of the shards, which share them."""
        return self.workspace.shard is None or self.workspace.shard.index == 0

    @property
    def kernels(self) -> Kernels:
        """The kernels, those of NumPy or compiled ones."""
        return self.workspace.kernels

    @property
    def rng(self) -> np.random.Generator:
        """The random generator of this epoch of training."""
        if self.workspace.rng is None:
            raise RuntimeError("this pass has no random generator; only training may draw numbers")
        return self.workspace.rng
