"""Every hook on one page. A plugin implements the ones it has something for.

Each returns a mapping from the name that a spec uses to a frozen dataclass of that kind. The
functions take nothing and change nothing, so they can be tested without nnreg.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from nnreg.interfaces import Activation, Initializer, Layer, Loss, Metric, Optimizer, Source
from nnreg.kernels import Kernels

hookspec = pluggy.HookspecMarker("nnreg")
hookimpl = pluggy.HookimplMarker("nnreg")


@hookspec
def nnreg_activations() -> Mapping[str, type[Activation]]:
    """Return the activations this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_losses() -> Mapping[str, type[Loss]]:
    """Return the losses this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_layers() -> Mapping[str, type[Layer]]:
    """Return the layers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_optimizers() -> Mapping[str, type[Optimizer]]:
    """Return the optimizers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_initializers() -> Mapping[str, type[Initializer]]:
    """Return the initializers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_metrics() -> Mapping[str, type[Metric]]:
    """Return the metrics this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_kernels() -> Mapping[str, type[Kernels]]:
    """Return the inner loops this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_sources() -> Mapping[str, type[Source]]:
    """Return the data sources this plugin provides, by the name a spec uses."""
    raise NotImplementedError
