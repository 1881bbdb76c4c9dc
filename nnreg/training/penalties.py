"""What the settings of training do to the weights besides the optimizer: penalties and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.regularizer import Regularizer
from nnreg.network.network import Network
from nnreg.network.parameters import views


class L1L2Penalty:
    """Adds the gradient of l1 · Σ|w| + l2 · Σw² over the weights, not the biases."""

    def __init__(self, network: Network, gradient: Array, l1: float, l2: float) -> None:
        self._l1, self._l2 = l1, l2
        weights, gradients = network.stack(network.vector), network.stack(gradient)
        self._weights = [(weights[name], gradients[name]) for name in _weights_of(network)]

    def add(self) -> None:
        """Change the gradient in place."""
        for weight, gradient in self._weights:
            if self._l2:
                np.add(gradient, (2 * self._l2) * weight, out=gradient)
            if self._l1:
                np.add(gradient, self._l1 * np.sign(weight), out=gradient)

    def value(self) -> float:
        """Return the penalty."""
        return sum(
            self._l1 * float(np.sum(np.abs(weight))) + self._l2 * float(np.sum(np.square(weight)))
            for weight, _ in self._weights
        )


class Regularizers:
    """Adds the gradients of the penalties of single parameters, by their names."""

    def __init__(
        self, network: Network, gradient: Array, by_name: Mapping[str, Regularizer | None]
    ) -> None:
        gradients = views(gradient, network.params)
        self._pairs = [
            (regularizer, network.parameters[name], gradients[name])
            for name, regularizer in by_name.items()
            if regularizer is not None and name not in network.frozen
        ]

    def add(self) -> None:
        """Change the gradient in place."""
        for regularizer, weight, gradient in self._pairs:
            np.add(gradient, regularizer.forward(weight)[1](), out=gradient)

    def value(self) -> float:
        """Return the penalty."""
        return sum(float(regularizer.forward(weight)[0]) for regularizer, weight, _ in self._pairs)


class Constraints:
    """Makes parameters meet the constraints of their names."""

    def __init__(self, network: Network, by_name: Mapping[str, Constraint | None]) -> None:
        self._pairs = [
            (constraint, network.parameters[name])
            for name, constraint in by_name.items()
            if constraint is not None and name not in network.frozen
        ]

    def apply(self) -> None:
        """Change the weights in place."""
        for constraint, weight in self._pairs:
            np.copyto(weight, constraint.project(weight))


class WeightDecay:
    """Subtracts the fraction learning_rate · decay from the weights, not the biases, before a step.

    It is not part of the gradient, so the optimizer does not scale it. Loshchilov and Hutter 2019.
    `rates` has the factors of the learning rate of single parameters.
    """

    def __init__(self, network: Network, decay: float, rates: Mapping[str, float]) -> None:
        weights = network.stack(network.vector)
        self._weights = [
            (weights[name], decay * _rate(network, name, rates)) for name in _weights_of(network)
        ]

    def apply(self, learning_rate: float) -> None:
        """Change the weights in place."""
        for weight, decay in self._weights:
            np.multiply(weight, 1 - learning_rate * decay, out=weight)


def _weights_of(network: Network) -> list[str]:
    """Return the names of the weights that are trained, in one member of an ensemble."""
    one = network.member(0)
    return [n for n, param in one.params.items() if param.regularized and n not in one.frozen]


def _rate(network: Network, name: str, rates: Mapping[str, float]) -> Any:
    """Return the factor of the learning rate of a weight, or an array with that of each member."""
    found = [rates.get(one, 1.0) for one in network.names_of(name)]
    if len(set(found)) == 1:
        return found[0]
    axes = [1] * len(network.member(0).params[name].shape)
    return np.array(found, network.dtype).reshape(-1, *axes)
