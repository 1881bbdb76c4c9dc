"""Steps of the members of an ensemble by the function that makes those of one network.

A member makes all steps of a call before the next one begins, so that its values stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.dense_chain import ChainArrays, ChainSteps, DenseChain
from nnreg.training.state import Snapshot


class MemberSteps:
    """Makes steps of all members, whose scores are `(rows, members, units)`; a `ChainSteps`.

    `chain` is that of one member and `arrays` those of all. Members draw random numbers `at_once`,
    layer by layer, or one after the other.
    """

    def __init__(
        self,
        steps: Sequence[ChainSteps],
        chain: DenseChain,
        arrays: ChainArrays,
        batch_size: int,
        *,
        at_once: bool,
    ) -> None:
        self._steps, self._batch = steps, batch_size
        self._before = Snapshot([arrays.parameters, *arrays.state.values()])
        units = [layer.units for layer in chain.layers if layer.dropout]
        self._draws = units if at_once else [sum(units)] * bool(units)

    def __call__(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        """Make steps as `ChainSteps` does; without a finite loss of a member, none makes a step."""
        self._before.take()
        done = self._make(order, draws, rates, count, losses, scores)
        if done < len(rates):
            self._before.restore()
            rows = done * self._batch
            self._make(order[:rows], draws, rates[:done], count, losses[:done], scores[:rows])
        return done

    def _make(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        """Return how many steps all members made; some may have made more."""
        done, each = len(rates), np.zeros((len(self._steps), len(rates)))
        for index, steps in enumerate(self._steps):
            rows = order[: done * self._batch]
            z = np.empty((len(rows), *scores.shape[2:]), scores.dtype) if scores.size else scores
            drawn = self._of_member(index, draws, len(rows))
            done = steps(rows, drawn, rates[:done], count, each[index, :done], z)
            if scores.size:
                scores[: len(rows), index] = z
        losses[:] = each.mean(axis=0)
        return done

    def _of_member(self, index: int, draws: Array, rows: int) -> Array:
        """Return the random numbers of a member for this many rows, in the order of its layers."""
        if not self._draws:
            return draws
        found, start, members = list[Array](), 0, len(self._steps)
        for first in range(0, rows, self._batch):
            for units in self._draws:
                size = units * min(self._batch, rows - first)
                found.append(draws[start + index * size : start + (index + 1) * size])
                start += members * size
        return np.concatenate(found) if found else draws[:0]


def arrays_of_members(arrays: ChainArrays, members: int) -> list[ChainArrays]:
    """Return the arrays of each member, which are parts of those of all."""
    if members == 1:
        return [arrays]
    weights = arrays.weights
    parameters, gradient = (
        vector.reshape(members, -1) for vector in (arrays.parameters, arrays.gradient)
    )
    state = {name: vector.reshape(members, -1) for name, vector in arrays.state.items()}
    if weights is not None:
        weights = np.broadcast_to(weights.T, (members, len(weights)))
    return [
        replace(
            arrays,
            weights=None if weights is None else weights[index].copy(),
            parameters=parameters[index],
            gradient=gradient[index],
            state={name: rows[index] for name, rows in state.items()},
        )
        for index in range(members)
    ]
