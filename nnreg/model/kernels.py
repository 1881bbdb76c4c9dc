"""The kernels that a model uses in a job: those of its spec, or by default those that pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnreg.interfaces.kernels import Kernels
from nnreg.network.network import Network
from nnreg.network.work import seconds_of_training
from nnreg.registry.kernels import combined, default_kernels, kernels_named, usable
from nnreg.registry.registry import Registry
from nnreg.training.settings import Train


def initial_kernels(settings: Train, registry: Registry, *, check: bool) -> Kernels:
    """Return the kernels of a model, before it is known how long its job is.

    With `check`, one that the spec names must be installed.
    """
    if not settings.kernel_sets:
        return default_kernels(registry)
    return combined(settings.kernel_sets) if check else usable(settings.kernel_sets, registry)


def kernels_of_training(
    settings: Train,
    registry: Registry,
    network: Network,
    rows: int,
    recorded: Mapping[str, Any],
) -> Kernels:
    """Return the kernels of a training on this number of examples.

    One that continues uses those of its `recorded` environment, so that it gets the same bits, if
    these can be used here.
    """
    if settings.kernel_sets:
        return network.kernels
    name = recorded.get("kernels")
    before = kernels_named(name, registry) if isinstance(name, str) else None
    if before is not None:
        return before
    seconds = seconds_of_training(network, rows, settings.step_size, settings.epochs)
    return default_kernels(registry, seconds)
