"""A layer in a network of its own: what its methods return, and its gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.interfaces.join import one_input, one_output, one_shape, split_values
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.returned import Caller
from nnreg.network.network import Network
from nnreg.network.parameters import views
from nnreg.tables.padded import mask_of
from nnreg.training.gradient_check import require_gradient, wrong_gradient

BACKWARD = "forward: the backward function"


def numbers(shape: Shape, seed: int = 0) -> Array:
    """Return normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape)


class OneLayer:
    """A layer in a network of its own, with the same random numbers in each pass.

    A layer with masks gets sequences of every length, from none to all steps.
    """

    def __init__(self, caller: Caller, plan: LayerBuilder, x: Array, dtype: npt.DTypeLike) -> None:
        assert isinstance(caller.component, Layer)
        layer, shape = one_input(caller.component, plan.inputs)
        self._caller, self._layer = caller, layer
        root = LayerBuilder("$", plan.classes)
        mask = None if plan.masks == () or layer is not caller.component else plan.masks[0]
        output = one_shape(root.layer("layers/0", layer, shape, mask=mask))
        self._network = Network(root, shape, output, dtype=dtype)
        self._network.initialize(0)
        self._network.vector += 0.1 * numbers(self._network.vector.shape).astype(dtype)
        self._state = self._network.state_vector.copy()
        self._x = x if layer.integer_input else x.astype(dtype)
        self._shapes = plan.inputs
        self._mask_names = plan.masks if any(plan.masks) else ()
        self._features = plan.features
        self._masks = {
            name: mask_of(np.linspace(0, shape[0], len(x)).astype(np.intp), shape[0])
            for name, shape in zip(plan.masks, plan.inputs, strict=False)
            if name is not None
        }
        self._dy = self._output_gradient(plan, (len(x), *output)).astype(dtype)
        self._gradient = np.zeros_like(self._network.vector)

    def _output_gradient(self, plan: LayerBuilder, shape: Shape) -> Array:
        """Return normally distributed numbers, 0 at masked steps of the output."""
        dy = numbers(shape, 1)
        if plan.output_mask is None:
            return dy
        mask = self._masks[plan.output_mask]
        for part in split_values(dy, list(plan.outputs.values())) if plan.outputs else (dy,):
            part[~mask] = 0
        return dy

    def require_mask(self) -> None:
        """Require that values at masked steps do not change the output at real ones."""
        if not self._masks:
            return
        changed = self._x.copy()
        joined = len(self._mask_names) > 1
        parts = split_values(changed, self._shapes) if joined else [changed]
        for part, name in zip(parts, self._mask_names, strict=True):
            if name is not None:
                part[~self._masks[name]] = part.reshape(-1)[0]
        real = self._dy != 0
        y, other = (self._forward(x, training=False)[0] for x in (self._x, changed))
        if not np.allclose(y[real], other[real], rtol=1e-4, atol=1e-5, equal_nan=True):
            raise self._caller.error(
                "forward",
                "changed its output at real steps with the values at masked ones; expected that it "
                "ignores steps where context.mask is false",
            )

    def run(self, *, training: bool) -> Array | None:
        """Run forward and backward, check what they return, and return the input's gradient."""
        caller, dtype = self._caller, self._network.dtype
        self._gradient.fill(math.nan)
        returned = caller.run("forward", lambda: self._forward(self._x, training=training))
        y, backward = caller.pair("forward", returned, "the output")
        caller.array("forward", y, self._dy.shape, dtype)
        dx = caller.run(BACKWARD, lambda: backward(self._dy.copy()))
        if not self._layer.integer_input:
            dx = caller.array(BACKWARD, dx, self._x.shape, dtype)
        self._require_written(y)
        return None if self._layer.integer_input else dx

    def _require_written(self, y: Array) -> None:
        """Require that backward has written each gradient, where the output is finite."""
        for name, gradient in self._views(self._gradient).items():
            if np.isnan(gradient).all() and gradient.size and np.isfinite(y).all():
                raise self._caller.error(
                    BACKWARD,
                    f"did not write the gradient of {name!r}; expected it in "
                    f"context.gradients[{name!r}]",
                )

    def require_gradients(self, dx: Array | None) -> None:
        """Require correct gradients, of the input and of each parameter."""
        if dx is not None:
            require_gradient(
                self._caller, "the gradient of its input", wrong_gradient(self._total, self._x, dx)
            )
        gradient, values = self._gradient.copy(), self._network.vector.copy()
        for name, found in self._views(gradient).items():
            target = self._views(self._network.vector)[name]

            def total(at: Array, target: Array = target) -> float:
                target[...] = at
                result = self._total(self._x)
                self._network.vector[...] = values
                return result

            wrong = wrong_gradient(total, target.copy(), found)
            require_gradient(self._caller, f"the gradient of {name!r}", wrong)

    def _total(self, x: Array) -> float:
        """Return Σ y dy, the function that the backward pass differentiates."""
        return float(np.sum(self._forward(x, training=True)[0] * self._dy))

    def _forward(self, x: Array, *, training: bool) -> Any:
        network = self._network
        network.state_vector[...] = self._state
        workspace = network.workspace(reuse=False)
        workspace.rng = np.random.default_rng(0)
        wanted = not self._layer.integer_input
        workspace.masks = self._masks
        root = network.context(workspace, self._gradient, training=training, input_gradient=wanted)
        context = root.children["layers/0"]
        context.mask_names = self._mask_names
        context.features = self._features
        return one_output(self._layer.forward(x.copy(), context))

    def _views(self, vector: Array) -> dict[str, Array]:
        """Return the parts of a vector by the names that the layer gave its parameters."""
        named = views(vector, self._network.params)
        return {name.removeprefix("layers/0/"): array for name, array in named.items()}
