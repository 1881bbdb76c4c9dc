"""The base class of metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.component import Component


class Metric(Component):
    """A metric over a set of examples."""

    kind = "metric"
    classification: ClassVar[bool] = False
    """Whether it compares classes instead of numbers."""
    of_scores: ClassVar[bool] = False
    """Whether a metric of classes gets the scores of all classes instead of the predicted one."""
    of_probabilities: ClassVar[bool] = False
    """Whether these scores must be probabilities, which those of some losses are not."""
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

    def for_labels(self, names: Sequence[str]) -> LabelMetric:
        """Return the metric for a target of several labels per row, each 0 or 1, with these names.

        By default, it is the mean over the labels of the metric of each. Raises `ValueError` if it
        has no meaning for labels.
        """
        return LabelMetric(self)

    def compute(self, y: Array, t: Array) -> float:
        """Compare predictions `y` with targets `t`.

        For classification, both are class indices `(examples, ...)`; otherwise numbers of equal
        shape. With `of_scores`, `y` has scores `(examples, ..., classes)`: probabilities, unless
        the network has other outputs; a single output gives the columns 1 - p and p. Returns NaN
        where the metric is undefined, as the area under a curve is for a single class.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class LabelMetric(Metric):
    """A metric of two classes, for labels of which a row may have several: each is 0 or 1.

    Its value is the mean over the labels, with `weighted` weighted by the examples that have the
    label; or with `together` that of all labels as if they were one; or that of the `label` with a
    number alone. A label for which it is undefined is left out.
    """

    metric: Metric
    together: bool = False
    label: int | None = None
    weighted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "higher_is_better", self.metric.higher_is_better)

    def compute(self, y: Array, t: Array) -> float:
        """Compare probabilities `(examples, ..., labels)` with labels of the same shape."""
        width = 1 if self.together else y.shape[-1]
        y, t = y.reshape(-1, width), t.reshape(-1, width)
        found = [
            (self._of_one(y[:, k], t[:, k]), float(np.sum(t[:, k])) if self.weighted else 1.0)
            for k in range(width)
            if self.label in (None, k)
        ]
        known = [(value, weight) for value, weight in found if not math.isnan(value)]
        total = sum(weight for _, weight in known)
        return sum(value * weight for value, weight in known) / total if total else math.nan

    def _of_one(self, y: Array, t: Array) -> float:
        classes = (y > 0.5).astype(np.intp)
        compared = np.stack([1 - y, y], axis=-1) if self.metric.of_scores else classes
        return float(self.metric.compute(compared, t.astype(np.intp)))


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
