"""A chain of dense layers, described so that kernels can run all of it in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ChainLayer:
    """A dense layer: y = activation(x · weight + bias), and dropout after it in training.

    `weight` is where its weight `(features, units)` begins in the vector of all parameters, and
    `bias` where its bias `(units,)` does; None without. `activation` is an `Activation` that has
    no parameters, and `dropout` the probability that a value is set to 0.
    """

    features: int
    units: int
    weight: int
    bias: int | None
    activation: Any
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class DenseChain:
    """Dense layers, each of which reads the one before, for inputs `(batch, features)`.

    `output_activation` is that which follows the scores of the last layer in predictions, and is
    None if there is none, or if the loss is computed from its outputs: it is then in the layer.
    `size` is the length of the vector of all parameters.
    """

    layers: tuple[ChainLayer, ...]
    output_activation: Any
    size: int

    @property
    def features(self) -> int:
        """The number of values of an example."""
        return self.layers[0].features

    @property
    def units(self) -> int:
        """The number of scores of an example."""
        return self.layers[-1].units
