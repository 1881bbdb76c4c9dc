"""Predictions for few rows by a chain of dense layers: the calls of NumPy, and little between them.

The arithmetic of one row takes a few microseconds, as much as asking each layer what to do.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import Identity
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context
from nnreg.interfaces.dense_chain import ChainLayer, ChainOutputs
from nnreg.network.dense_chain import dense_chain
from nnreg.network.network import Network

FEW_ROWS = 32
"""Up to how many rows NumPy's calls take about as long as their arithmetic."""

MAX_COMPILED_WORK = 2**18
"""Up to how many products with weights compiled loops over the rows are faster than the BLAS."""


class FewRows:
    """What a network returns for few rows, if it is a chain of dense layers.

    The results are those of `Network.predict`. All arrays are new, so that several threads may call
    it. Weights may be changed where they are.
    """

    def __init__(self, network: Network) -> None:
        self._vector, self._kernels = network.vector, network.kernels
        self._context = Context({}, {}, {}, {}, network.workspace(reuse=False))
        from nnreg.builtin.activations import Relu  # a command that predicts nothing needs none

        self._relu = Relu
        self._zero = np.zeros((), network.dtype)
        self._last = _not_identity(network.output_activation)
        chain = None if network.reproducible else dense_chain(network)
        layers = chain.layers if chain else ()
        self._steps = [self._step(layer) for layer in layers]
        self._compiled: ChainOutputs | None = None
        if chain is not None:
            self._compiled = network.kernels.chain_outputs(chain, network.vector)
        self._most = FEW_ROWS if chain else 0
        self._most_compiled = max(MAX_COMPILED_WORK // max(len(self._vector), 1), 1)

    def _step(self, layer: ChainLayer) -> tuple[Array, Array | None, Activation | None]:
        """Return the weight, the bias and the activation of a layer."""
        end, vector = layer.weight + layer.features * layer.units, self._vector
        weight = vector[layer.weight : end].reshape(layer.features, layer.units)
        bias = None if layer.bias is None else vector[layer.bias : layer.bias + layer.units]
        return weight, bias, _not_identity(layer.activation)

    def is_of(self, network: Network) -> bool:
        """Return whether a network has these values and kernels."""
        return self._vector is network.vector and self._kernels is network.kernels

    def in_one_call(self, x: Array) -> Array | None:
        """Return the outputs `(rows, *output_shape)`, if the kernels can and all is finite."""
        if self._compiled is None or len(x) > self._most_compiled or not len(x):
            return None
        return self._compiled(x)

    def outputs(self, x: Array) -> Array | None:
        """Return the outputs, if there are few rows. NumPy may warn of numbers that overflow."""
        if len(x) > self._most:
            return None
        for weight, bias, activation in self._steps:
            x = x.dot(weight)
            if bias is not None:
                np.add(x, bias, x)
            if type(activation) is self._relu:
                np.maximum(x, self._zero, out=x)
            elif activation is not None:
                x = activation.forward_inplace(x, self._context)[0]
        return x if self._last is None else self._last.forward_inplace(x, self._context)[0]


def _not_identity(activation: Activation | None) -> Activation | None:
    return None if type(activation) is Identity else activation
