"""The augmentation my_component for nnreg."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval
from nnreg import Array, Augmentation, hookimpl


@dataclass(frozen=True)
class MyComponent(Augmentation):
    """Rows that move towards another row of the batch, and their targets with them.

    x ← (1 - amount) · x + amount · x', t ← (1 - amount) · t + amount · t'

    Options:
        amount: how far a row moves, in [0, 0.5]
    """

    amount: Annotated[float, Interval(ge=0, le=0.5)] = 0.2

    def augment(self, x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the inputs and the targets of a batch, changed at random."""
        other = rng.permutation(len(x))
        kept = 1 - self.amount
        return kept * x + self.amount * x[other], kept * t + self.amount * t[other]


@hookimpl
def nnreg_augmentations() -> dict[str, type[Augmentation]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
