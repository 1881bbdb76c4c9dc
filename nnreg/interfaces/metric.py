"""The base class of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from nnreg._types import Array
from nnreg.interfaces.component import Component


class Metric(Component):
    """A metric over a set of examples."""

    kind = "metric"
    classification: ClassVar[bool] = False
    """Whether it compares classes instead of numbers."""
    of_scores: ClassVar[bool] = False
    """Whether a metric of classes gets the scores of all classes instead of the predicted one."""
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
        shape. With `of_scores`, `y` has scores `(examples, ..., classes)`: probabilities, unless
        the network has other outputs; a single output gives the columns 1 - p and p. Returns NaN
        where the metric is undefined, as the area under a curve is for a single class.
        """
        raise NotImplementedError


NAME: Final = "name"
"""The key of an entry in the list of metrics that belongs to the entry, not to its metric."""


@dataclass(frozen=True)
class NamedMetric(Metric):
    """An entry of the list of metrics with a name, under which its metric is recorded."""

    metric: Metric
    name: str

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name.strip():
            raise ValueError(f"the name {self.name!r} is empty or cannot be printed")
        if self.name in RESERVED_NAMES or self.name.startswith(("val_", "train_", "test_")):
            raise ValueError(f"the name {self.name!r} is reserved; give the metric another name")


RESERVED_NAMES = ("epoch", "loss", "learning_rate")
"""The names in a record of the history besides those of metrics."""


def without_name(metric: Metric) -> Metric:
    """Return the metric of an entry of the list of metrics."""
    return metric.metric if isinstance(metric, NamedMetric) else metric
