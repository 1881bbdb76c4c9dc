"""Ensembles: several networks of one plan side by side, which predict their mean.

Their parameters are one vector, in which those of a member are next to each other, so that all else
deals with an ensemble as with a network: an optimizer, a checkpoint, a penalty of a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.join import flat_inputs
from nnreg.interfaces.layer import LayerBackward
from nnreg.network.network import Network, Wrap
from nnreg.network.parameters import (
    MEMBERS,
    belongs_to,
    of_members,
    within_member,
    zeros_for,
)
from nnreg.network.stacked import Stacked, stackable, sum_of_members
from nnreg.tables.named import NamedArrays
from nnreg.tables.padded import Padded

Average: TypeAlias = Callable[[Array], Array]
"""From the outputs of members, `(rows, members, ...)`, to those of the ensemble."""


@dataclass(slots=True)
class EnsembleContext(Context):
    """The context of an ensemble, whose children are those of its members.

    `stacked` has the layers of all members with one call each, if they can do that.
    """

    stacked: Stacked | None = None


class Ensemble(Network):
    """Networks like `template`, each with values of its own, which predict their mean.

    A pass returns the scores of each, `(batch, members, *output_shape)`; `averages` makes outputs
    of theirs the output of the ensemble, for each output by its name. The arrays of a member are
    named `members/3/layers/0/weight`, while `plan` and `layers` are those of one member.
    """

    def __init__(self, template: Network, members: int, averages: Mapping[str, Average]) -> None:
        vars(self).update(template.__getstate__())
        self.members, self._template, self._averages = members, template, averages
        self.params = of_members(template.params, members)
        self.state_params = of_members(template.state_params, members)
        self.frozen = frozenset(
            name for name in self.params if belongs_to(within_member(name), self._frozen_layers)
        )
        self._stackable = stackable(template)
        arrays = self.params, self.state_params
        self._set_values(*(zeros_for(params, self.dtype) for params in arrays))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the members too, which are views."""
        state = super().__getstate__()
        state.pop("_members", None)
        return state

    def _set_values(self, vector: Array, state_vector: Array) -> None:
        parts = zip(self._split(vector), self._split(state_vector), strict=True)
        self._members = [self._template.with_values(*part) for part in parts]
        super()._set_values(vector, state_vector)

    def _split(self, vector: Array) -> Array:
        """Return a row for the values of each member."""
        return vector.reshape(self.members, len(vector) // self.members)

    def member(self, index: int) -> Network:
        """Return one of the networks, over the values of the ensemble."""
        return self._members[index]

    @property
    def scores_shape(self) -> Shape:
        """The shape of what `forward` returns for an example."""
        return (self.members, *self.output_shape)

    @property
    def activations_per_example(self) -> int:
        """The number of activations of one example in all layers of all members."""
        return self.members * self._template.activations_per_example

    def parts(self, context: Context) -> list[tuple[str, Network, Context]]:
        """Return each member with the prefix of its names and its context."""
        own = zip(context.children.items(), self._members, strict=True)
        return [(f"{name}/", member, child) for (name, child), member in own]

    def names_of(self, name: str) -> list[str]:
        """Return the names in all members of what has this name in one."""
        return [f"{MEMBERS}{index}/{name}" for index in range(self.members)]

    def products(self, batch_size: int) -> Iterator[tuple[float, bool]]:
        """Yield the operations of each product, and whether `Workspace.dot` computes it."""
        for product in self._template.products(batch_size):
            yield from [product] * self.members

    def check_input(self, x: Array | Padded | NamedArrays) -> None:
        """Raise `DataError` for values that the first layer does not accept."""
        self._members[0].check_input(x)

    def context(
        self,
        workspace: Workspace,
        gradient: Array | None = None,
        *,
        training: bool = False,
        wrap: Wrap | None = None,
        input_gradient: bool = False,
    ) -> Context:
        """Return the context of passes through all members; see `Network.context`."""
        gradients = [None] * self.members if gradient is None else self._split(gradient)
        children = {
            f"{MEMBERS}{index}": member.context(
                workspace, own, training=training, wrap=wrap, input_gradient=input_gradient
            )
            for index, (member, own) in enumerate(zip(self._members, gradients, strict=True))
        }
        root = EnsembleContext({}, {}, {}, children, workspace, training)
        if self._stackable and wrap is None:
            template = self._template
            values, changes = self.stack(self.vector), dict[str, Array]()
            if gradient is not None:
                changes = self.stack(gradient)
                changes |= {name: np.zeros_like(changes[name]) for name in template.frozen}
            arrays = values, changes, self._stack(self.state_vector, template.state_params)
            own = template.root(arrays, workspace, training, input_gradient)
            root.stacked = Stacked(template, own, list(children.values()))
        return root

    def stack(self, vector: Array) -> dict[str, Array]:
        """Return the parameters of a vector, each for all members: `(members, *shape)`."""
        return self._stack(vector, self._template.params)

    def _stack(self, vector: Array, params: Mapping[str, Param]) -> dict[str, Array]:
        found, start, rows = dict[str, Array](), 0, self._split(vector)
        for name, param in params.items():
            stop = start + math.prod(param.shape)
            found[name] = rows[:, start:stop].reshape(self.members, *param.shape)
            start = stop
        return found

    def at_once(self, context: Context) -> bool:
        """Return whether a pass computes a layer of all members before the next layer."""
        assert isinstance(context, EnsembleContext)
        return context.stacked is not None and context.workspace.dot is np.ndarray.dot

    def forward(self, x: Any, context: Context) -> tuple[Array, LayerBackward]:
        """Return the scores of each member, `(batch, members, *output_shape)`."""
        assert isinstance(context, EnsembleContext)
        if context.stacked is not None and self.at_once(context):
            y, backward_fn = context.stacked.forward(x)
        else:
            y, backward_fn = self._one_by_one(x, context)

        def backward(dy: Array) -> Any:
            return backward_fn(np.ascontiguousarray(dy.swapaxes(0, 1)))

        return y.swapaxes(0, 1), backward

    def _one_by_one(self, x: Any, context: Context) -> tuple[Array, LayerBackward]:
        """Run one member after the other; scores and gradients are `(members, batch, ...)`."""
        pairs = zip(self._members, context.children.values(), strict=True)
        passes = [member.forward(x, own) for member, own in pairs]
        shape = self.members, *passes[0][0].shape
        scores = np.stack([y for y, _ in passes], out=context.empty(shape))

        def backward(dy: Array) -> Any:
            found = [backward_fn(own) for (_, backward_fn), own in zip(passes, dy, strict=True)]
            gradients = [dx for dx in found if dx is not None]
            if gradients and isinstance(gradients[0], dict):  # of several inputs
                return sum_of_members({n: [dx[n] for dx in gradients] for n in gradients[0]})
            return sum_of_members(gradients) if gradients else None

        return scores, backward

    def outputs(self, z: Array, *, overwrite: bool = False) -> Any:
        """Return the mean outputs of the members; several outputs are by name."""
        y = self.mean(z)
        return self.split(y) if self.named_outputs else y

    def mean(self, z: Array) -> Array:
        """Return the mean outputs of the members for the result of `forward`, side by side."""
        named = self.members_outputs(z)
        if not isinstance(named, NamedArrays):
            return self._averages[""](named)
        return flat_inputs([self._averages[name](y) for name, y in named.arrays.items()])

    def members_outputs(self, z: Array) -> Any:
        """Return the outputs of each member, `(rows, members, ...)`; several are by name.

        `z` may be the scores of some members only.
        """
        rows, members = z.shape[:2]
        y = super().outputs(z.reshape(rows * members, *self.output_shape))

        def unfold(one: Array) -> Array:
            return one.reshape(rows, members, *one.shape[1:])

        return y.each(unfold) if isinstance(y, NamedArrays) else unfold(y)

    def without_activations(self) -> Network:
        """Return a network whose scores are outputs of the ensemble, to evaluate these."""
        other = self._template.with_values(self._members[0].vector, self._members[0].state_vector)
        other.output_activation = None
        named = self.named_outputs.items()
        other.named_outputs = {name: one._replace(activation=None) for name, one in named}
        other.reproducible = self.reproducible
        return other
