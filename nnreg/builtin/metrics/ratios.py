"""Ratios of the counts of right and wrong predictions of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nnreg._types import Array
from nnreg.builtin.metrics.class_counts import class_counts
from nnreg.builtin.metrics.one_class import OneClass, number_of, warn_of_second
from nnreg.interfaces.component import Positive
from nnreg.interfaces.metric import LabelMetric, Metric


@dataclass(frozen=True)
class _Counts(Metric):
    """A ratio of counts of true positives, predicted and actual examples per class.

    Options:
        average: "macro" (mean over classes that occur, or over labels), "weighted" (the same,
            weighted by their numbers of examples), "micro" (over all), or of two classes "binary"
            (the positive one alone)
        positive: name of the positive class of "binary"; the second in order if null
        of: name of the class or label that alone is measured, against all others, instead of an
            average
    """

    classification = True
    average: Literal["macro", "micro", "weighted", "binary"] = "macro"
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
                '"macro", "weighted" or "micro"'
            )
        if self.positive is None:
            warn_of_second(self, names, "positive")

    def for_classes(self, names: Sequence[str]) -> Metric:
        one = self.positive if self.of is None else self.of
        if one is None:
            return self
        return OneClass(self._of_one, number_of(one, names))

    def for_labels(self, names: Sequence[str]) -> LabelMetric:
        if self.average == "binary":
            raise ValueError(
                '"average": "binary" is for two classes, but a row has several labels; use '
                '"macro", "weighted" or "micro", or the name of a label in \'of\''
            )
        label = None if self.of is None else number_of(self.of, names, "label")
        return LabelMetric(self._of_one, self.average == "micro", label, self.average == "weighted")

    @property
    def _of_one(self) -> Metric:
        return replace(self, average="binary", of=None)

    def compute(self, y: Array, t: Array) -> float:
        counts = np.stack(class_counts(y, t))
        actual, size = counts[2], counts[2].sum()
        present = counts[1] + actual > 0
        if self.average == "binary":
            present = np.arange(len(actual)) == 1
        counts = counts[:, present]
        negative = size - counts[2]
        if self.average == "micro":
            counts, negative = counts.sum(axis=1, keepdims=True), negative.sum(keepdims=True)
        top, bottom = self._ratio(counts[0], counts[1], counts[2], negative)
        values = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), 0.0)
        weights = actual[present] if self.average == "weighted" else None
        return float(np.average(values, weights=weights))

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        """Return the two numbers whose ratio it is; `negative` are the examples of others."""
        raise NotImplementedError


@dataclass(frozen=True)
class Precision(_Counts):
    """Fraction of the examples predicted to be of a class that are of this class.

    precision = true positives / predicted positives

    It is 0 without predicted positives.
    """

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        return hits, predicted


@dataclass(frozen=True)
class Recall(_Counts):
    """Fraction of the examples of a class that are predicted to be of this class.

    recall = true positives / actual positives

    It is 0 without actual positives.
    """

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        return hits, actual


@dataclass(frozen=True)
class Specificity(_Counts):
    """Fraction of the examples of other classes that are predicted to be of other classes.

    specificity = true negatives / actual negatives

    It is 0 without actual negatives. Yerushalmy 1947.
    """

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        return negative - (predicted - hits), negative


@dataclass(frozen=True)
class F1(_Counts):
    """Harmonic mean of precision and recall.

    f1 = 2 · true positives / (predicted positives + actual positives)

    It is 0 without either.
    """

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        return 2 * hits, predicted + actual


@dataclass(frozen=True)
class FBeta(_Counts):
    """Harmonic mean of precision and recall, of which recall counts beta times as much.

    f = (1 + beta²) · true positives / (predicted positives + beta² · actual positives)

    It is 0 without either. Van Rijsbergen 1979.

    Options:
        beta: weight of recall relative to that of precision, > 0
    """

    beta: Positive = 1.0

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        inverse = 1 / self.beta
        recall = 1 / (1 + inverse * inverse)
        return hits, (1 - recall) * predicted + recall * actual


@dataclass(frozen=True)
class MeanIou(_Counts):
    """Intersection over union of predicted and actual examples of a class, the Jaccard index.

    iou = true positives / (predicted positives + actual positives - true positives)

    It is 0 without either. Each pixel of an image, or step of a sequence, is an example. Jaccard
    1912.
    """

    def _ratio(
        self, hits: Array, predicted: Array, actual: Array, negative: Array
    ) -> tuple[Array, Array]:
        return hits, predicted + actual - hits
