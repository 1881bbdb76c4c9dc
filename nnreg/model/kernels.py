"""The kernels that a model uses in a job: those of its spec, or by default those that pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnreg.interfaces.kernels import Kernels
from nnreg.network.network import Network
from nnreg.network.work import seconds_of_pass, seconds_of_training
from nnreg.registry.kernels import combined, default_kernels, kernels_named, usable
from nnreg.registry.registry import Registry
from nnreg.training.settings import Train

MANY_ROWS = 10_000
"""The fewest rows for whose prediction other kernels may be loaded."""


def initial_kernels(settings: Train, registry: Registry, *, check: bool) -> Kernels:
    """Return the kernels of a model in short jobs, such as predictions of a few rows.

    With `check`, those that the spec names must be installed.
    """
    if not settings.kernel_sets:
        return default_kernels(registry)
    return combined(settings.kernel_sets) if check else usable(settings.kernel_sets, registry)


def network_of_training(
    settings: Train,
    registry: Registry,
    network: Network,
    rows: int,
    recorded: Mapping[str, Any],
) -> Network:
    """Return a network for a training on this number of examples, with the same arrays.

    One that continues uses the kernels of its `recorded` environment, so that it gets the same
    bits, if these can be used here.
    """
    if settings.kernel_sets:
        return network
    name = recorded.get("kernels")
    kernels = kernels_named(name, registry) if isinstance(name, str) else None
    if kernels is None:
        seconds = seconds_of_training(network, rows, settings.step_size, settings.epochs)
        kernels = default_kernels(registry, seconds)
    return _with_kernels(network, kernels)


def network_of_prediction(
    settings: Train, registry: Registry, network: Network, rows: int
) -> Network:
    """Return a network for the prediction of this number of rows, with the same arrays.

    Its kernels follow from the number of rows, whatever the model was trained with, so that a model
    predicts the same before and after it was saved.
    """
    if rows < MANY_ROWS or settings.kernel_sets:
        return network
    return _with_kernels(network, default_kernels(registry, seconds_of_pass(network, rows)))


def _with_kernels(network: Network, kernels: Kernels) -> Network:
    if kernels == network.kernels:
        return network
    other = network.with_values(network.vector, network.state_vector)
    other.kernels = kernels
    return other
