"""The numbers by which compiled chains know components; importing them does not import Numba."""

from __future__ import annotations

IDENTITY, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)
CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER = range(5)
SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW = range(6)
