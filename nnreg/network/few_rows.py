"""Predictions for few rows by a chain of dense layers: the calls of NumPy, and little between them.

The arithmetic of one row takes a few microseconds, as much as asking each layer what to do.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import Identity, Relu
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context
from nnreg.network.dense_chain import dense_chain
from nnreg.network.network import Network

FEW_ROWS = 32
"""Up to how many rows NumPy's calls take about as long as their arithmetic."""


class FewRows:
    """What a network returns for few rows; `steps` is empty if it is no chain of dense layers.

    The results are those of `Network.predict`, with all arrays new, so that several threads may
    call it. Weights may be changed where they are, but not replaced: it is `of` one vector.
    """

    def __init__(self, network: Network) -> None:
        self.vector, self._context = (
            network.vector,
            Context({}, {}, {}, {}, network.workspace(reuse=False)),
        )
        self._zero = np.zeros((), network.dtype)
        self.steps: list[tuple[Array, Array | None, Activation | None]] = []
        chain = None if network.reproducible else dense_chain(network)
        for layer in chain.layers if chain else ():
            end = layer.weight + layer.features * layer.units
            weight = network.vector[layer.weight : end].reshape(layer.features, layer.units)
            bias = None
            if layer.bias is not None:
                bias = network.vector[layer.bias : layer.bias + layer.units]
            self.steps.append((weight, bias, _not_identity(layer.activation)))
        self._last = _not_identity(network.output_activation)

    def takes(self, network: Network, x: Array) -> bool:
        """Return whether the rows are few, and the values those of this network."""
        return self.vector is network.vector and len(x) <= FEW_ROWS and bool(self.steps)

    def outputs(self, x: Array) -> Array:
        """Return the outputs `(rows, *output_shape)`; see `Network.predict`."""
        for weight, bias, activation in self.steps:
            x = x.dot(weight)
            if bias is not None:
                np.add(x, bias, x)
            if type(activation) is Relu:
                np.maximum(x, self._zero, out=x)
            elif activation is not None:
                x = activation.forward_inplace(x, self._context)[0]
        return x if self._last is None else self._last.forward_inplace(x, self._context)[0]


def _not_identity(activation: Activation | None) -> Activation | None:
    return None if type(activation) is Identity else activation
