"""Activations whose parameters have their initial values, as functions of one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.layer import LayerBuilder
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.network.network import Network


@dataclass(frozen=True)
class WithInitialValues(Activation):
    """An activation whose parameters keep their initial values."""

    activation: TrainableActivation

    def __post_init__(self) -> None:
        for name in ("range", "sums_to_one"):  # what the class of the activation declares
            object.__setattr__(self, name, getattr(self.activation, name))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Run the activation in a network of its own."""
        shape, builder = x.shape[1:], LayerBuilder("$")
        builder.activation("activation", self.activation, shape)
        network = Network(builder, shape, shape, dtype=x.dtype)
        network.initialize(0)
        workspace = network.workspace(reuse=False)
        context = network.context(workspace, np.zeros_like(network.vector), input_gradient=True)
        return self.activation.forward(x, context.children["activation"])


def without_parameters(activation: Activation) -> Activation:
    """Return an activation that takes one array: itself, or with its initial values."""
    if isinstance(activation, TrainableActivation):
        return WithInitialValues(activation)
    return activation
