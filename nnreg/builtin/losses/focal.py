"""Cross-entropies in which examples that are predicted well have small weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Len

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Sigmoid
from nnreg.builtin.activations.functions import log1p_exp
from nnreg.builtin.losses.one_class import PositiveLoss
from nnreg.builtin.losses.probabilities import ClassLoss, log_probabilities
from nnreg.builtin.losses.terms import rows_of, smooth
from nnreg.interfaces.component import Fraction, NonNegative, ProperFraction
from nnreg.interfaces.term_loss import Gradient


@dataclass(frozen=True)
class BinaryFocalCrossEntropy(PositiveLoss):
    """Cross-entropy of independent probabilities y, smaller for those that are right already.

    loss = mean(-(1 - p)^gamma (t log y + (1 - t) log(1 - y))), p = t y + (1 - t) (1 - y)

    Targets are in [0, 1]. After a sigmoid it is computed from the logits. With alpha, the terms are
    multiplied by alpha t + (1 - alpha) (1 - t); Keras has alpha = 0.25, but uses it only if
    apply_class_balancing is true. Lin et al. 2017.

    Options:
        gamma: exponent; 0 gives binary_cross_entropy, >= 0
        alpha: weight of targets of 1, from 0 to 1; null for none, as in Keras by default
        label_smoothing: amount s by which targets are moved towards 1/2, in [0, 1)
        positive: name of the one of two classes whose target is 1; null for the second in order
    """

    gamma: NonNegative = 2.0
    alpha: Fraction | None = None
    label_smoothing: ProperFraction = 0.0
    positive: str | None = None
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    fused_activation = Sigmoid

    @property
    def _symmetric(self) -> bool:
        return self.alpha in (None, 0.5)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        """Clip probabilities to [eps, 1 - eps]."""
        t = smooth(t, self.label_smoothing, 2)
        weights = 1 if self.alpha is None else self.alpha * t + (1 - self.alpha) * (1 - t)
        if logits:
            log_p, log_q = -log1p_exp(-y), -log1p_exp(y)
            p, q = np.exp(log_p), np.exp(log_q)
        else:
            eps = float(np.finfo(y.dtype).eps)
            p = np.clip(y, eps, 1 - eps)
            q = 1 - p
            log_p, log_q = np.log(p), np.log1p(-p)
        entropy = -(t * log_p + (1 - t) * log_q)
        wrong = t * q + (1 - t) * p
        factor = weights * wrong**self.gamma

        def slopes() -> Array:
            ratio = self.gamma * entropy / np.where(wrong > 0, wrong, 1)
            dz: Array = factor * (ratio * (1 - 2 * t) * p * q + (1 - t) * p - t * q)
            return dz if logits else dz * ((y >= eps) & (y <= 1 - eps)) / (p * q)

        return factor * entropy, slopes


@dataclass(frozen=True)
class FocalCrossEntropy(ClassLoss):
    """Cross-entropy of class probabilities y, smaller for those that are right already.

    loss = mean(-Σ_k alpha_k t_k (1 - y_k)^gamma log y_k)

    Targets are class numbers `(batch,)` or rows of probabilities `(batch, classes)`. After a
    softmax it is computed from the logits. Keras, which calls it categorical, has these defaults
    too. Lin et al. 2017.

    Options:
        gamma: exponent; 0 and alpha 1 give cross_entropy, >= 0
        alpha: weight of every class, from 0 on, or a list with one for each class in their order
        label_smoothing: fraction s of the target that is spread over all classes, in [0, 1)
    """

    gamma: NonNegative = 2.0
    alpha: NonNegative | Annotated[tuple[NonNegative, ...], Len(2)] = 0.25
    label_smoothing: ProperFraction = 0.0

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        if isinstance(self.alpha, tuple) and output[-1:] != (len(self.alpha),):
            raise ValueError(f"alpha of the loss has {len(self.alpha)} weights, one for each class")
        return super().fits(output, target, classes)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = smooth(rows_of(t, y), self.label_smoothing, y.shape[-1])
        logs, backward = log_probabilities(y, logits=logits)
        wrong = -np.expm1(logs)
        factor = rows * np.array(self.alpha, y.dtype) * wrong**self.gamma

        def slopes() -> Array:
            ratio = logs / np.where(wrong > 0, wrong, 1)
            return backward(factor * (self.gamma * np.exp(logs) * ratio - 1))

        return -np.sum(factor * logs, axis=-1), slopes
