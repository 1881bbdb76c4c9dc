"""Losses of the probabilities of classes, or of their logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import LogSoftmax, Softmax
from nnreg.builtin.losses.terms import rows_of
from nnreg.interfaces.component import PositiveFraction
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.term_loss import Gradient, TermLoss


class ClassLoss(TermLoss):
    """A loss of the probability that is given to each class, computed from its logarithm."""

    takes_labels = True
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    takes_distribution = True
    fused_activation = Softmax


@dataclass(frozen=True)
class KlDivergence(ClassLoss):
    """Kullback-Leibler divergence of the probabilities y from those of the target.

    loss = mean(Σ_k t_k log(t_k / y_k))

    Its gradient is that of cross_entropy. Targets are rows of probabilities `(batch, classes)`, or
    class numbers `(batch,)`. PyTorch takes the logarithm of y, and divides by the number of classes
    too unless reduction is batchmean. Kullback and Leibler 1951.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = rows_of(t, y)
        logs, backward = log_probabilities(y, logits=logits)
        own = np.log(np.maximum(rows, np.finfo(y.dtype).tiny))
        return np.sum(rows * (own - logs), axis=-1), lambda: backward(-rows)


@dataclass(frozen=True)
class GeneralizedCrossEntropy(ClassLoss):
    """Loss between cross-entropy and mean absolute error, for labels of which some are wrong.

    loss = mean(Σ_k t_k (1 - y_k^q) / q)

    Targets are class numbers `(batch,)` or rows of probabilities `(batch, classes)`. Keras has no
    default of q; this is the paper's. Zhang and Sabuncu 2018.

    Options:
        q: near 0 as cross_entropy, 1 as mean absolute error, in (0, 1]
    """

    q: PositiveFraction = 0.7

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = rows_of(t, y)
        logs, backward = log_probabilities(y, logits=logits)
        terms = np.sum(rows * np.expm1(self.q * logs), axis=-1) / -self.q
        return terms, lambda: backward(-rows * np.exp(self.q * logs))


@dataclass(frozen=True)
class Nll(TermLoss):
    """Negative log-likelihood of outputs that are logarithms of probabilities.

    loss = mean(-Σ_k t_k y_k)

    For the activation log_softmax, with which it is cross_entropy; predictions are probabilities
    only with that loss and softmax. Targets are class numbers `(batch,)` or rows of probabilities
    `(batch, classes)`.
    """

    takes_labels = True
    classification = True
    input_range = (-math.inf, 0.0)
    target_range = (0.0, 1.0)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = rows_of(t, y)
        return -np.sum(rows * y, axis=-1), lambda: -rows

    def class_scores(self, y: Array) -> Array:
        return Loss.class_scores(self, np.exp(y))


def log_probabilities(y: Array, *, logits: bool) -> tuple[Array, Callable[[Array], Array]]:
    """Return log y, or that of the softmax of logits, and its backward function.

    Probabilities are clipped from below to the smallest normal number.
    """
    if logits:
        return LogSoftmax().forward(y)
    p = np.maximum(y, np.finfo(y.dtype).tiny)
    return np.log(p), lambda d: d / p
