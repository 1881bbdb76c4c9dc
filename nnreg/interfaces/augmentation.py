"""The base class of augmentations."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component


class Augmentation(Component):
    """A random change of the inputs and targets of training batches, such as a mixture of rows.

    What changes the inputs alone is better a layer, which may be anywhere in a network.
    """

    kind = "augmentation"

    def check_shapes(self, x: Shape, t: Shape) -> None:
        """Raise `ValueError` with the reason if it is not for inputs and targets of these shapes.

        They are those of one example. Class targets have a last axis with a number per class.
        """

    def augment(self, x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the inputs and the targets of a batch, changed at random.

        `x` `(rows, ...)` are inputs as the network takes them, `t` targets as the loss takes them:
        for classes the probability of each, in rows that sum to 1, or that of class 1 of two, and
        otherwise scaled numbers. Shapes and types stay, and neither array is modified. Metrics
        compare outputs with the unchanged class of a row, which is to stay the most probable.
        """
        raise NotImplementedError
