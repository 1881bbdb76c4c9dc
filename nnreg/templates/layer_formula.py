"""The layer my_component for nnreg."""

from collections.abc import Mapping
from dataclasses import dataclass

from nnreg import Array, Layer, LayerBuilder, Shape, ShapeError, hookimpl
from nnreg.builtin.initializers import Ones, Zeros


@dataclass(frozen=True)
class MyComponent(Layer):
    """A trained gain and shift per feature.

    y = gain · x + shift

    Input `(..., features)`, output of the same shape.

    Options:
        shift: whether to add a shift

    Parameters:
        gain: (features,)
        shift: (features,), unless `shift` is false
    """

    shift: bool = True
    independent = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        """Declare the parameters, and return the shape of the output."""
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        builder.param("gain", shape[-1:], Ones(), regularized=True)
        if self.shift:
            builder.param("shift", shape[-1:], Zeros())
        return shape

    def formula(self, x: Array, params: Mapping[str, Array]) -> Array:
        """Return y, computed with NumPy's functions; autograd differentiates it.

        A method `forward` with the derivative would train faster.
        """
        y: Array = x * params["gain"]
        return y + params["shift"] if self.shift else y


@hookimpl
def nnreg_layers() -> dict[str, type[Layer]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
