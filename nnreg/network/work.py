"""An estimate of the time that passes through a network take with NumPy's kernels.

It follows from the shapes alone, never from the clock, as it decides which kernels a job uses, and
these decide the last bits of its results.
"""

from __future__ import annotations

from nnreg.network.network import Network
from nnreg.network.parameters import nested

SECONDS_PER_CALL = 4e-6
"""What a layer takes for a few examples, in each of its time steps."""

SECONDS_PER_ACTIVATION = 3e-9
"""A few passes over the memory of each activation."""

SECONDS_PER_FLOP = 1e-11
"""At the 100 GFLOP/s of one core."""

SECONDS_PER_PARAMETER = 4e-9
"""The dozen passes of an optimizer over its vectors."""


def seconds_of_pass(network: Network, rows: int) -> float:
    """Return about how long a forward pass of this number of rows takes."""
    calls = sum(plan.sequence_length for _, plan in nested(network.plan))
    flops = sum(one for one, _ in network.products(rows))
    activations = rows * network.activations_per_example
    one = SECONDS_PER_CALL * calls + SECONDS_PER_FLOP * flops + SECONDS_PER_ACTIVATION * activations
    return one * network.members


def seconds_of_training(network: Network, rows: int, batch: int, epochs: int) -> float:
    """Return about how long a training takes: `epochs` on this number of rows."""
    step = 3 * seconds_of_pass(network, min(batch, rows))
    step += SECONDS_PER_PARAMETER * network.vector.size
    return epochs * -(-rows // batch) * step
