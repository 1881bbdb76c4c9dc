"""A chain of dense layers, described so that kernels can run all of it in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nnreg._types import Array


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


@dataclass(frozen=True, slots=True)
class ChainTraining:
    """What a training step on a chain does besides its passes.

    `loss` is a `Loss`, computed from the scores or with `logits` by `forward_logits`; `optimizer`
    is an `Optimizer`. After steps whose numbers are divisible by `cleared_every`, what is denormal
    or close to that in its vectors is set to 0, as `zero_tiny` does. The others are settings of
    `train`.
    """

    loss: Any
    logits: bool
    optimizer: Any
    batch_size: int
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    weight_decay: float = 0.0
    cleared_every: int = 32


@dataclass(frozen=True, slots=True)
class ChainArrays:
    """The arrays of a training: its examples, and the vectors that a step changes.

    All are contiguous and of the network's type, but targets may be class numbers (int64, each
    within the units). `weights` `(examples,)` multiply the losses. `state` has the vectors of the
    optimizer by their names. Steps end with the gradient of the last one in `gradient`.
    """

    x: Array
    targets: Array
    weights: Array | None
    parameters: Array
    gradient: Array
    state: Mapping[str, Array]


class ChainSteps(Protocol):
    """Makes training steps on consecutive batches; see `Kernels.chain_steps`."""

    def __call__(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        """Make a step on each batch of the rows `order`, and return how many were made.

        A step whose loss is not finite is not made, and those after it are not begun. `draws` are
        uniform numbers for dropout in the order in which layers draw them, batch by batch, in
        float32. `rates` are the learning rates of the steps, and `count` the number of the first,
        from 1. Writes the mean loss of each batch to `losses` (float64), and unless it is empty the
        scores of each row to `scores` `(rows, units)`.
        """


class ChainOutputs(Protocol):
    """Computes the outputs of examples; see `Kernels.chain_outputs`."""

    def __call__(self, x: Array) -> Array | None:
        """Return new outputs `(rows, units)` for contiguous x `(rows, features)`, without warnings.

        They are after the output activation of the chain. None if one is not finite, or a value of
        x is not. Several threads may call it at once.
        """
