"""The built-in components, registered as a plugin is."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg.builtin import components
from nnreg.hookspecs import hookimpl


@hookimpl
def nnreg_activations() -> Mapping[str, str]:
    """Return the built-in activations."""
    return components.ACTIVATIONS


@hookimpl
def nnreg_losses() -> Mapping[str, str]:
    """Return the built-in losses."""
    return components.LOSSES


@hookimpl
def nnreg_layers() -> Mapping[str, str]:
    """Return the built-in layers."""
    return components.LAYERS


@hookimpl
def nnreg_optimizers() -> Mapping[str, str]:
    """Return the built-in optimizers."""
    return components.OPTIMIZERS


@hookimpl
def nnreg_schedules() -> Mapping[str, str]:
    """Return the built-in learning-rate schedules."""
    return components.SCHEDULES


@hookimpl
def nnreg_initializers() -> Mapping[str, str]:
    """Return the built-in initializers."""
    return components.INITIALIZERS


@hookimpl
def nnreg_regularizers() -> Mapping[str, str]:
    """Return the built-in regularizers."""
    return components.REGULARIZERS


@hookimpl
def nnreg_constraints() -> Mapping[str, str]:
    """Return the built-in constraints."""
    return components.CONSTRAINTS


@hookimpl
def nnreg_metrics() -> Mapping[str, str]:
    """Return the built-in metrics."""
    return components.METRICS


@hookimpl
def nnreg_kernels() -> Mapping[str, str]:
    """Return the built-in kernels."""
    return components.KERNELS


@hookimpl
def nnreg_sources() -> Mapping[str, str]:
    """Return the built-in data sources."""
    return components.SOURCES


@hookimpl
def nnreg_encoders() -> Mapping[str, str]:
    """Return the built-in encoders of columns."""
    return components.ENCODERS


@hookimpl
def nnreg_augmentations() -> Mapping[str, str]:
    """Return the built-in augmentations."""
    return components.AUGMENTATIONS


@hookimpl
def nnreg_exporters() -> Mapping[str, str]:
    """Return the built-in formats of exports."""
    return components.EXPORTERS


@hookimpl
def nnreg_executors() -> Mapping[str, str]:
    """Return the built-in executors of sweeps."""
    return components.EXECUTORS
