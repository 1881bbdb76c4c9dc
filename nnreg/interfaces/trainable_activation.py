"""The base class of activations with parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer


class TrainableActivation(Activation, Layer):
    """An activation with parameters: a layer that keeps the shape, used as an activation.

    It declares its arrays in `build`, as a layer does, which returns the shape that it was given:
    the axes of `x` behind the first. A dense layer of 8 units gives `(8,)`, whatever the other axes
    of its input, and a convolution `(filters,)`, so that `shape[-1:]` is one value per feature.
    """

    kind = "activation"
    independent = True
    keeps_integers = False

    @property
    def output_range(self) -> tuple[float, float]:
        """The bounds of the outputs."""
        return self.range

    def formula(self, x: Array, params: Any = None) -> Array:
        """Raise NotImplementedError: an activation with parameters defines `forward`."""
        raise NotImplementedError

    def infer(self, x: Any, context: Context) -> Any:  # type: ignore[override]
        """Return what `forward` returns in inference mode, computed with NumPy's functions."""
        raise NotImplementedError

    def forward(  # type: ignore[override]
        self, x: Array, context: Context
    ) -> tuple[Array, Backward]:
        """Return `y` and the function that maps ∂loss/∂y to ∂loss/∂x; `x` must not be modified.

        The returned function also writes (never adds) every gradient in `context.gradients`.
        """
        raise NotImplementedError

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Do the same, but `x` may be overwritten and be the returned `y`."""
        return self.forward(x, context)


def trainable_options(component: Any, path: str) -> Iterator[tuple[str, TrainableActivation]]:
    """Yield the activations with parameters among the options of a component, with their paths.

    Those of layers among the options are omitted.
    """
    for step, value in _options(component):
        if isinstance(value, TrainableActivation):
            yield path + step, value
        elif not isinstance(value, Layer):
            yield from trainable_options(value, path + step)


def _options(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Configurable) and dataclasses.is_dataclass(value):
        return [(f".{one.name}", getattr(value, one.name)) for one in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(f".{key}", item) for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    return ()
