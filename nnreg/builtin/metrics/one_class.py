"""Metrics of one class against all others."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.errors import NnregWarning
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric

POSITIVE = ("1", "true", "yes", "positive")
"""The names of a second class that is the positive one without a doubt."""


@dataclass(frozen=True)
class OneClass(Metric):
    """A metric of two classes, for the class with a certain number against all others."""

    classification = True
    metric: Metric
    number: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_scores", self.metric.of_scores)

    def compute(self, y: Array, t: Array) -> float:
        if not self.of_scores:
            return self.metric.compute(np.equal(y, self.number), np.equal(t, self.number))
        own = y[..., self.number]
        return self.metric.compute(np.stack([1 - own, own], axis=-1), np.equal(t, self.number))


def number_of(name: str, names: Sequence[str], noun: str = "class") -> int:
    """Return the number of a class or label. Raises `ValueError` if there is none of this name."""
    if name not in names:
        raise ValueError(f"no {noun} {name!r}{suggest(name, names)}")
    return list(names).index(name)


def warn_of_second(component: Metric | Loss, names: Sequence[str], option: str) -> None:
    """Warn that the second of two classes is the positive one, if its name does not say that."""
    if names[1].lower() in POSITIVE:
        return
    own = re.sub(r"(?<!^)(?=[A-Z])", "_", type(component).__name__).lower()
    own = f"loss {own}" if isinstance(component, Loss) else own
    text = (
        f"the {own} is that of class {names[1]!r}, the second of "
        f"{names[0]!r} and {names[1]!r}; set {option!r} to the class that is meant"
    )
    warnings.warn(text, NnregWarning, stacklevel=3)
