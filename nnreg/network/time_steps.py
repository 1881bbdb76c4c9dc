"""Which networks have time steps, and which make NumPy calls in each of them.

Threads that make many short calls wait for each other, and shards of few sequences are slow.
"""

from __future__ import annotations

import numpy.typing as npt

from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import LayerBuilder
from nnreg.network.parameters import nested


def has_time_steps(plan: LayerBuilder) -> bool:
    """Return whether a layer computes time steps one after the other."""
    return any(layer.sequence_length > 1 for _, layer in nested(plan))


def calls_in_time_steps(plan: LayerBuilder, kernels: Kernels, dtype: npt.DTypeLike) -> bool:
    """Return whether a layer makes calls in each time step, as its kernel does not do all at once.

    It depends on the layer: a set of kernels may have loops for some types of layer only.
    """
    return any(
        layer.sequence_length > 1 and not kernels.computes_steps_at_once(layer.steps_kernel, dtype)
        for _, layer in nested(plan)
    )
