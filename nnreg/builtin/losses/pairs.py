"""Losses that compare vectors: their direction, or the distances of embeddings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.losses.one_class import with_second
from nnreg.builtin.losses.terms import blocks
from nnreg.errors import NnregWarning
from nnreg.interfaces.component import Positive
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class CosineSimilarity(TermLoss):
    """Cosine of the angle between output and target over the last axis, negative.

    loss = mean(-Σ_k y_k t_k / (|y| |t|))

    From -1, where they point in the same direction, to 1. Norms below 1e-7 count as that, as in
    Keras. PyTorch has the cosine itself, not negative.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        (own, size), (target, _) = _directions(y), _directions(t)
        cosine = np.sum(own * target, axis=-1, keepdims=True)

        def slopes() -> Array:
            dy: Array = (own * cosine * (size > SMALLEST_NORM) - target) / size
            return dy

        return -cosine[..., 0], slopes


@dataclass(frozen=True)
class Contrastive(TermLoss):
    """Loss of the distances of pairs, small for those of one kind and large for others.

    loss = mean((1 - t) y² + t max(margin - y, 0)²)

    y is the distance of a pair, as from the layer distance; t is 1 for pairs that differ, and 0 for
    others, so that distances above margin / 2 predict that a pair differs. As in Keras's example of
    siamese networks; the paper has half of it. Hadsell et al. 2006.

    Options:
        margin: distance from which pairs that differ have no loss, > 0
        different: name of the class of pairs that differ; null for the second of the two classes
    """

    margin: Positive = 1.0
    different: str | None = None
    classification = True
    scores_are_probabilities = False
    input_range = (0.0, math.inf)
    target_range = (0.0, 1.0)

    @classmethod
    def examples(cls) -> Iterable[Any]:
        y, t = 2 * np.abs(np.sin(np.arange(1.0, 5.0)))[:, None], np.arange(4)[:, None] % 2
        return [(cls(), y, t.astype(float)), (cls(2.5), y, np.array([[0.0], [1], [0.3], [1]]))]

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        if classes is None:
            return output == target
        if (output, classes) != ((*target, 1), 2):
            raise ValueError("the loss takes one distance for each pair, of two classes")
        return True

    def check_classes(self, names: Sequence[str], output: Shape) -> None:
        if self.different is not None or len(names) != 2:  # `fits` refuses other numbers
            return
        if names[1].lower() not in ("1", "true", "different"):
            text = (
                f"the contrastive loss takes pairs of class {names[1]!r}, the second of "
                f"{names[0]!r} and {names[1]!r}, for those that differ; set 'different' to the "
                "class that is meant"
            )
            warnings.warn(text, NnregWarning, stacklevel=2)

    def for_classes(self, names: Sequence[str]) -> Loss:
        return with_second(self, self.different, names)

    def class_scores(self, y: Array) -> Array:
        return np.concatenate([self.margin - y, y], axis=-1)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        missing = np.maximum(self.margin - y, 0)
        terms = (1 - t) * (y * y) + t * (missing * missing)
        return terms, lambda: 2 * ((1 - t) * y - t * missing)


@dataclass(frozen=True)
class TripletMargin(TermLoss):
    """Loss of embeddings of three examples: an anchor, one of its kind, and one of another.

    loss = mean(max(d(anchor, same) - d(anchor, other) + margin, 0)), d(a, b) = |a - b + 1e-6|

    The outputs are the three embeddings one behind the other, as the layer concat gives those of a
    layer that is used three times. It takes no target. As PyTorch's with p = 2 and without swap.
    Balntas et al. 2016.

    Options:
        margin: smallest difference of the distances without a loss, > 0
    """

    margin: Positive = 1.0
    takes_target = False
    predicts_target = False

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        if output[-1] % 3:
            raise ValueError("the loss takes three embeddings of one length")
        return True

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        anchor, same, other = blocks(y, 3)
        near, to_same = _distances(anchor, same)
        far, to_other = _distances(anchor, other)
        missing = near - far + self.margin

        def slopes() -> Array:
            parts = [to_same - to_other, -to_same, to_other]
            return np.concatenate(parts, axis=-1) * (missing > 0)

        return np.maximum(missing, 0)[..., 0], slopes


SMALLEST_NORM = 1e-7
"""Shorter vectors are divided by this."""


def _directions(x: Array) -> tuple[Array, Array]:
    """Return vectors divided by their norms, and these."""
    size = np.maximum(np.sqrt(np.sum(x * x, axis=-1, keepdims=True)), SMALLEST_NORM)
    return x / size, size


def _distances(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the distances of vectors, and their derivative by `a`."""
    difference = a - b + 1e-6
    distance = np.sqrt(np.sum(difference * difference, axis=-1, keepdims=True))
    return distance, difference / np.where(distance > 0, distance, 1)
