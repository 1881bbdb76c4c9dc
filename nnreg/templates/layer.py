"""The layer my_component for nnreg."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from nnreg import Array, Context, Layer, LayerBuilder, Shape, ShapeError, hookimpl
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

    def forward(self, x: Array, context: Context) -> tuple[Array, Callable[[Array], Array]]:
        """Return y, and the function that writes parameter gradients and returns that of x."""
        gain = context.params["gain"]
        y = np.multiply(x, gain, out=context.empty(x.shape))
        if self.shift:
            np.add(y, context.params["shift"], out=y)
        axes = tuple(range(x.ndim - 1))

        def backward(dy: Array) -> Array:
            np.sum(dy * x, axis=axes, out=context.gradients["gain"])
            if self.shift:
                np.sum(dy, axis=axes, out=context.gradients["shift"])
            dx: Array = dy * gain
            return dx

        return y, backward


@hookimpl
def nnreg_layers() -> dict[str, type[Layer]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
