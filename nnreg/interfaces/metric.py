"""The base class of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nnreg._types import Array
from nnreg.interfaces.component import Component


class Metric(Component):
    """A metric over a set of examples."""

    kind = "metric"
    classification: ClassVar[bool] = False
    """Whether it compares classes instead of numbers."""
    higher_is_better: ClassVar[bool] = True

    def check_classes(self, names: Sequence[str]) -> None:
        """Raise `ValueError` if the metric has no meaning for a target with these classes.

        Called when a model is built, for a metric of classes.
        """

    def for_classes(self, names: Sequence[str]) -> Metric:
        """Return the metric for a target with these classes, whose numbers are their positions.

        Override it for an option that names a class. Raises `ValueError` for an unknown one.
        """
        return self

    def compute(self, y: Array, t: Array) -> float:
        """Compare predictions `y` with targets `t`.

        For classification, both are class indices `(examples, ...)`; otherwise numbers of equal
        shape.
        """
        raise NotImplementedError
