"""Metrics of the order into which the scores of a class bring the examples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.builtin.metrics.correlation import ranks
from nnreg.builtin.metrics.one_class import OneClass, number_of, warn_of_second
from nnreg.interfaces.component import Count
from nnreg.interfaces.metric import LabelMetric, Metric

Threshold: TypeAlias = Annotated[float, Interval(gt=0, le=1)]


@dataclass(frozen=True)
class _Ranking(Metric):
    """A metric of the scores of one class, of which the examples of this class are positive.

    Options:
        average: "macro" (mean over classes that occur, or over labels), "weighted" (the same,
            weighted by their numbers of examples) or "micro" (over all scores of all classes); the
            scores of the second are used if there are two classes
        of: name of the class or label that alone is measured, against all others, instead of an
            average
    """

    classification = True
    of_scores = True
    average: Literal["macro", "micro", "weighted"] = "macro"
    of: str | None = None

    @property
    def _symmetric(self) -> bool:
        """Whether the value for the other one of two classes is the same."""
        return False

    def __post_init__(self) -> None:
        if self.of is not None and self.average != "macro":
            raise ValueError("'of' measures one class; leave out 'average'")

    def check_classes(self, names: Sequence[str]) -> None:
        if len(names) == 2 and self.of is None and not self._symmetric:
            warn_of_second(self, names, "of")

    def for_classes(self, names: Sequence[str]) -> Metric:
        if self.of is None:
            return self
        return OneClass(replace(self, of=None), number_of(self.of, names))

    def for_labels(self, names: Sequence[str]) -> LabelMetric:
        label = None if self.of is None else number_of(self.of, names, "label")
        one = replace(self, average="macro", of=None)
        return LabelMetric(one, self.average == "micro", label, self.average == "weighted")

    def compute(self, y: Array, t: Array) -> float:
        scores, labels = y.reshape(-1, y.shape[-1]), t.reshape(-1)
        present, counts = np.unique(labels, return_counts=True)
        if len(present) < 2 or not np.isfinite(scores).all():
            return math.nan
        if scores.shape[-1] == 2:
            return self._of_one(scores[:, 1], labels == 1)
        if self.average == "micro":
            own = labels[:, None] == np.arange(scores.shape[-1])
            return self._of_one(scores.reshape(-1), own.reshape(-1))
        values = [self._of_one(scores[:, k], labels == k) for k in present]
        return float(np.average(values, weights=counts if self.average == "weighted" else None))

    def _of_one(self, scores: Array, positive: Array) -> float:
        """Return the value for the scores of one class, with positive and other examples."""
        raise NotImplementedError


@dataclass(frozen=True)
class Auc(_Ranking):
    """Area under a curve: how well the scores of a class order its examples before others.

    auc = P(score of an example of the class > score of another) + P(equal) / 2

    That is the area under the ROC curve, 1/2 for scores that say nothing. The other curve is that
    of precision over recall, whose area is the average precision, Σ (recall_k - recall_(k-1)) ·
    precision_k over the thresholds: the fraction of the class for scores that say nothing. Keras
    interpolates between thresholds. Each class is compared with the rest. NaN if only one class
    occurs. Hanley and McNeil 1982.

    Options:
        curve: "roc" or "precision_recall"
    """

    curve: Literal["roc", "precision_recall"] = "roc"

    @property
    def _symmetric(self) -> bool:
        return self.curve == "roc"

    def _of_one(self, scores: Array, positive: Array) -> float:
        if self.curve == "roc":
            return _area(scores, positive)
        hits, predicted = _thresholds(scores, positive)
        return float(np.sum(np.diff(hits, prepend=0) * (hits / predicted)) / hits[-1])


@dataclass(frozen=True)
class PrecisionAtRecall(_Ranking):
    """Best precision of all thresholds of the scores at which recall is large enough.

    precision = max of true positives / predicted positives where the recall ≥ `recall`

    NaN if only one class occurs.

    Options:
        recall: smallest recall, in (0, 1]
    """

    recall: Threshold = 0.5

    def _of_one(self, scores: Array, positive: Array) -> float:
        hits, predicted = _thresholds(scores, positive)
        return float(np.max((hits / predicted)[hits / hits[-1] >= self.recall]))


@dataclass(frozen=True)
class RecallAtPrecision(_Ranking):
    """Best recall of all thresholds of the scores at which precision is large enough.

    recall = max of true positives / actual positives where the precision ≥ `precision`

    It is 0 if no threshold has that precision, and NaN if only one class occurs.

    Options:
        precision: smallest precision, in (0, 1]
    """

    precision: Threshold = 0.5

    def _of_one(self, scores: Array, positive: Array) -> float:
        hits, predicted = _thresholds(scores, positive)
        return float(np.max(hits[hits / predicted >= self.precision], initial=0) / hits[-1])


def _area(scores: Array, positive: Array) -> float:
    """Return the area under the ROC curve by ranks, of which equal scores share the mean."""
    hits = int(np.sum(positive))
    above = float(np.sum(ranks(scores)[positive])) - hits * (hits + 1) / 2
    return above / (hits * (len(scores) - hits))


def _thresholds(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Return the true and all examples with at least a score, for each score from the highest."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    return np.cumsum(positive[order])[last], last + 1


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
