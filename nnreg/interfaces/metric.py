"""The base class of metrics."""

from __future__ import annotations

from typing import ClassVar

from nnreg._types import Array
from nnreg.interfaces.component import Component


class Metric(Component):
    """A metric over a set of examples."""

    kind = "metric"
    classification: ClassVar[bool] = False
    """Whether it compares classes instead of numbers."""
    higher_is_better: ClassVar[bool] = True

    def compute(self, y: Array, t: Array) -> float:
        """Compare predictions `y` with targets `t`.

        For classification, both are class indices `(examples, ...)`; otherwise numbers of equal
        shape.
        """
        raise NotImplementedError
