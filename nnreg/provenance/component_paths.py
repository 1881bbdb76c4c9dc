"""The components of a model with their paths in its spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from nnreg.interfaces.component import Component, Configurable
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder, LayerEntry
from nnreg.interfaces.metric import NamedMetric
from nnreg.interfaces.outputs import OutputLoss
from nnreg.network.network import Network
from nnreg.network.parameters import nested
from nnreg.registry.kernels import located


def components_of(
    spec: Configurable, network: Network
) -> Iterator[tuple[str, Component, LayerBuilder | None]]:
    """Yield the layers as they were built, each with its builder, then all other components.

    The kernels are the last, also if the spec does not name them.
    """
    for layer, plan in nested(network.plan):
        yield plan.path, layer, plan
    for path, value in _walk(spec, "$"):
        if isinstance(value, Component) and not isinstance(value, Layer | Kernels):
            yield path, value, None
    for path, one in located(network.kernels.sets):
        yield path, one, None


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, LayerEntry):
        value = value.layer
    elif isinstance(value, OutputLoss):
        value = value.loss
    elif isinstance(value, NamedMetric):
        value = value.metric
    yield path, value
    inner: Mapping[str, Any] = {}
    if isinstance(value, Configurable) and dataclasses.is_dataclass(value):
        inner = {f".{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        inner = {f".{key}": item for key, item in value.items()}
    elif isinstance(value, tuple | list):
        inner = {f"[{index}]": item for index, item in enumerate(value)}
    for step, item in inner.items():
        yield from _walk(item, path + step)
