"""The numbers by which compiled chains know components and places; this does not import Numba."""

from __future__ import annotations

IDENTITY, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)
CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER = range(5)
SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW = range(6)

GRADIENT, OTHER_GRADIENT, SCRATCH, FACTORS, TARGETS = range(5)
"""The places after those of the layers in what the steps work on. Each begins at a row `(batch,)`.

They are for the gradient of a layer's outputs and of the layer before, in turns, what a loss needs,
the factors of the losses, and the targets if they are not class numbers.
"""

SCRATCH_ROWS = 2
"""The rows that the cross-entropy needs."""
