"""The constraint my_component for nnreg."""

from dataclasses import dataclass

import numpy as np
from nnreg import Array, Constraint, Positive, hookimpl


@dataclass(frozen=True)
class MyComponent(Constraint):
    """Values within a range around 0.

    w ← max(min(w, bound), -bound)

    Options:
        bound: largest absolute value, > 0
    """

    bound: Positive = 1.0

    def project(self, w: Array) -> Array:
        """Return the nearest values within the range."""
        return np.clip(w, -self.bound, self.bound)


@hookimpl
def nnreg_constraints() -> dict[str, type[Constraint]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
