"""The metrics, each over a whole set of examples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean, mean_and_deviation
from nnreg._utils.suggestions import suggest
from nnreg.errors import NnregWarning
from nnreg.interfaces.component import Count
from nnreg.interfaces.metric import LabelMetric, Metric

Average = Literal["macro", "micro", "binary"]

POSITIVE = ("1", "true", "yes", "positive")
"""The names of a second class that is the positive one without a doubt."""


@dataclass(frozen=True)
class Accuracy(Metric):
    """Fraction of examples whose class is predicted; of labels, the fraction that is predicted.

    accuracy = mean(y = t)
    """

    classification = True

    def compute(self, y: Array, t: Array) -> float:
        return float(np.mean(y == t))


@dataclass(frozen=True)
class MeanSquaredErrorMetric(Metric):
    """Mean squared error, in the squared units of the target.

    error = mean((y - t)²)
    """

    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        return mean(np.square(y - t))


@dataclass(frozen=True)
class MeanAbsoluteErrorMetric(Metric):
    """Mean absolute error, in the units of the target.

    error = mean(|y - t|)
    """

    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        return mean(np.abs(y - t))


@dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination: 1 is perfect, 0 is as good as predicting the mean.

    r2 = 1 - Σ(t - y)² / Σ(t - mean(t))², averaged over columns

    A column of targets that are all equal counts as 1 if predicted exactly and 0 if not.
    """

    def compute(self, y: Array, t: Array) -> float:
        y2, t2 = y.reshape(len(y), -1), t.reshape(len(t), -1)
        _, deviation = mean_and_deviation(t2)
        # in units of the deviation, whose square may be beyond the range of float64
        error = (t2 - y2) / np.where(deviation > 0, deviation, 1)
        inexact = np.any(error != 0, axis=0)
        unexplained = np.where(deviation > 0, np.sum(error * error, axis=0) / len(t2), inexact)
        return float(np.mean(1 - unexplained))


@dataclass(frozen=True)
class _Counts(Metric):
    """A ratio of counts of true positives, predicted and actual examples per class.

    Options:
        average: "macro" (mean over classes that occur, or over labels), "micro" (over all), or of
            two classes "binary" (the positive one alone)
        positive: name of the positive class of "binary"; the second in order if null
        of: name of the class or label that alone is measured, against all others, instead of an
            average
    """

    classification = True
    average: Average = "macro"
    positive: str | None = None
    of: str | None = None

    def __post_init__(self) -> None:
        if self.of is not None and (self.average, self.positive) != ("macro", None):
            raise ValueError("'of' measures one class; leave out 'average' and 'positive'")
        if self.positive is not None and self.average != "binary":
            raise ValueError('\'positive\' is only for "average": "binary"')

    def check_classes(self, names: Sequence[str]) -> None:
        if self.average != "binary":
            return
        if len(names) != 2:
            raise ValueError(
                f'"average": "binary" is for two classes, but the target has {len(names)}; use '
                '"macro" or "micro"'
            )
        if self.positive is None and names[1].lower() not in POSITIVE:
            text = (
                f"the {type(self).__name__.lower()} is that of class {names[1]!r}, the second of "
                f"{names[0]!r} and {names[1]!r}; set 'positive' to the class that is meant"
            )
            warnings.warn(text, NnregWarning, stacklevel=2)

    def for_classes(self, names: Sequence[str]) -> Metric:
        one = self.positive if self.of is None else self.of
        if one is None:
            return self
        if one not in names:
            raise ValueError(f"no class {one!r}{suggest(one, names)}")
        return _OneClass(replace(self, average="binary", of=None), list(names).index(one))

    def for_labels(self, names: Sequence[str]) -> LabelMetric:
        if self.average == "binary":
            raise ValueError(
                '"average": "binary" is for two classes, but a row has several labels; use "macro" '
                "or \"micro\", or the name of a label in 'of'"
            )
        if self.of is not None and self.of not in names:
            raise ValueError(f"no label {self.of!r}{suggest(self.of, names)}")
        label = None if self.of is None else list(names).index(self.of)
        one = replace(self, average="binary", of=None)
        return LabelMetric(one, together=self.average == "micro", label=label)

    def compute(self, y: Array, t: Array) -> float:
        present = np.array([1]) if self.average == "binary" else np.union1d(y, t)
        hits = np.array([np.sum((y == k) & (t == k)) for k in present], float)
        predicted = np.array([np.sum(y == k) for k in present], float)
        actual = np.array([np.sum(t == k) for k in present], float)
        if self.average == "micro":
            hits, predicted, actual = hits.sum(), predicted.sum(), actual.sum()
        top, bottom = self._ratio(hits, predicted, actual)
        return float(np.mean(np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), 0.0)))

    def _ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        raise NotImplementedError


@dataclass(frozen=True)
class _OneClass(Metric):
    """A binary metric whose positive class has a certain number."""

    classification = True
    metric: Metric
    number: int

    def compute(self, y: Array, t: Array) -> float:
        return self.metric.compute(np.equal(y, self.number), np.equal(t, self.number))


@dataclass(frozen=True)
class Precision(_Counts):
    """Fraction of the examples predicted to be of a class that are of this class.

    precision = true positives / predicted positives

    It is 0 without predicted positives.
    """

    def _ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        return hits, predicted


@dataclass(frozen=True)
class Recall(_Counts):
    """Fraction of the examples of a class that are predicted to be of this class.

    recall = true positives / actual positives

    It is 0 without actual positives.
    """

    def _ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        return hits, actual


@dataclass(frozen=True)
class F1(_Counts):
    """Harmonic mean of precision and recall.

    f1 = 2 · true positives / (predicted positives + actual positives)

    It is 0 without either.
    """

    def _ratio(self, hits: Array, predicted: Array, actual: Array) -> tuple[Array, Array]:
        return 2 * hits, predicted + actual


@dataclass(frozen=True)
class Auc(Metric):
    """Area under the ROC curve: how well the scores of a class order its examples before others.

    auc = P(score of an example of the class > score of another) + P(equal) / 2

    It is 1/2 for scores that say nothing, averaged over the classes that occur (one against the
    rest), and NaN if only one does. Hanley and McNeil 1982.
    """

    classification = True
    of_scores = True

    def compute(self, y: Array, t: Array) -> float:
        scores, labels = y.reshape(-1, y.shape[-1]), t.reshape(-1)
        present = np.unique(labels)
        if len(present) < 2 or not np.isfinite(scores).all():
            return math.nan
        classes = present if y.shape[-1] > 2 else [1]  # that of the other class of two is the same
        return float(np.mean([_area(scores[:, k], labels == k) for k in classes]))


def _area(scores: Array, positive: Array) -> float:
    """Return the area under the ROC curve by ranks, of which equal scores share the mean."""
    _, ties, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[ties]
    hits = int(np.sum(positive))
    above = float(np.sum(ranks[positive])) - hits * (hits + 1) / 2
    return above / (hits * (len(scores) - hits))


@dataclass(frozen=True)
class TopKAccuracy(Metric):
    """Fraction of examples whose class is among the k with the highest scores.

    accuracy = mean(t is one of the k largest of y)

    Of classes with equal scores, the earlier one counts as higher, as in accuracy.

    Options:
        k: number of classes
    """

    classification = True
    of_scores = True
    k: Count = 5

    @classmethod
    def examples(cls) -> Iterable[Any]:
        return cls(1), cls(2)

    def check_classes(self, names: Sequence[str]) -> None:
        if self.k >= len(names):
            raise ValueError(
                f"the class is always among {self.k} of {len(names)}; set 'k' to a smaller number"
            )

    def for_labels(self, names: Sequence[str]) -> LabelMetric:
        raise ValueError("a row may have several labels, none of which is the class; remove it")

    def compute(self, y: Array, t: Array) -> float:
        own = np.take_along_axis(y, t[..., None], axis=-1)
        earlier = np.arange(y.shape[-1]) < t[..., None]
        higher = np.sum((y > own) | ((y == own) & earlier), axis=-1)
        return math.nan if np.isnan(y).any() else float(np.mean(higher < self.k))
