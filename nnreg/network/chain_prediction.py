"""Predictions by a chain of dense layers: in one call of compiled kernels, or in few of NumPy's.

The arithmetic of one row takes a few microseconds, as much as asking each layer what to do.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import available_threads, run_at_once
from nnreg.builtin.activations import Identity
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context
from nnreg.interfaces.dense_chain import ChainLayer, ChainOutputs
from nnreg.network.dense_chain import dense_chain
from nnreg.network.network import Network

FEW_ROWS = 32
"""Up to how many rows NumPy's calls take about as long as their arithmetic."""

MAX_COMPILED_WEIGHTS = 2**20
"""Up to how many parameters compiled loops are faster than the BLAS, as far as measured."""

MIN_SHARED_PRODUCTS = 2**27
"""The fewest products with weights for which other threads pay off: a millisecond's."""


class ChainPrediction:
    """What a network returns for inputs, if it is a chain of dense layers.

    Kernels may have a function for any number of rows; without, it is for few. The results are
    those of `Network.predict`. All arrays are new, so that several threads may call it. Weights may
    be changed where they are.
    """

    def __init__(self, network: Network) -> None:
        self._vector, self._kernels = network.vector, network.kernels
        self._context = Context({}, {}, {}, {}, network.workspace(reuse=False))
        self._zero = np.zeros((), network.dtype)
        self._last = _not_identity(network.output_activation)
        chain = None if network.reproducible else dense_chain(network)
        layers = chain.layers if chain else ()
        self._steps = [self._step(layer) for layer in layers]
        self._compiled: ChainOutputs | None = None
        if chain is not None and chain.size <= MAX_COMPILED_WEIGHTS:
            self._compiled = network.kernels.chain_outputs(chain, network.vector)
        self._most = FEW_ROWS if chain else 0
        self._threads = network.threads

    def _step(self, layer: ChainLayer) -> tuple[Array, Array | None, Activation | None, bool]:
        """Return the weight, the bias and the activation of a layer, and whether it clips."""
        end, vector = layer.weight + layer.features * layer.units, self._vector
        weight = vector[layer.weight : end].reshape(layer.features, layer.units)
        bias = None if layer.bias is None else vector[layer.bias : layer.bias + layer.units]
        return weight, bias, _not_identity(layer.activation), layer.activation.clips

    def is_of(self, network: Network) -> bool:
        """Return whether a network has these values and kernels."""
        return self._vector is network.vector and self._kernels is network.kernels

    def in_one_call(self, x: Array) -> Array | None:
        """Return the outputs `(rows, *output_shape)`, if the kernels can and all is finite."""
        if self._compiled is None or not len(x):
            return None
        parts = 1
        if len(x) * len(self._vector) >= MIN_SHARED_PRODUCTS:
            parts = self._threads or available_threads()
        if parts == 1:
            return self._compiled(x)
        jobs = [partial(self._compiled, part) for part in np.array_split(x, parts) if len(part)]
        found = [y for y in run_at_once(jobs) if y is not None]
        return np.concatenate(found) if len(found) == len(jobs) else None

    def outputs(self, x: Array) -> Array | None:
        """Return the outputs of few rows by calls of NumPy, which may warn of overflow."""
        if len(x) > self._most:
            return None
        for weight, bias, activation, clips in self._steps:
            x = x.dot(weight)
            if bias is not None:
                np.add(x, bias, x)
            if clips:
                np.maximum(x, self._zero, out=x)
            elif activation is not None:
                x = activation.forward_inplace(x, self._context)[0]
        return x if self._last is None else self._last.forward_inplace(x, self._context)[0]


def _not_identity(activation: Activation | None) -> Activation | None:
    return None if type(activation) is Identity else activation
