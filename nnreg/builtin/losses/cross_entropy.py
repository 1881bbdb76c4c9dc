"""The cross-entropy of two classes, and of several."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import Sigmoid
from nnreg.builtin.activations.functions import logistic
from nnreg.builtin.losses.probabilities import ClassLoss, log_probabilities
from nnreg.builtin.losses.terms import rows_of, smooth
from nnreg.interfaces.component import ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class BinaryCrossEntropy(TermLoss):
    """Cross-entropy of independent probabilities y and targets t in [0, 1].

    loss = mean(-t log y - (1 - t) log(1 - y))

    After a sigmoid it is computed from the logits z as max(z, 0) - z t + log(1 + exp(-|z|)). Label
    smoothing by s replaces t by (1 - s) t + s/2: Szegedy et al. 2016.

    Options:
        label_smoothing: amount s by which targets are moved towards 1/2, in [0, 1)
    """

    label_smoothing: ProperFraction = 0.0
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    fused_activation = Sigmoid

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        """Clip probabilities to [eps, 1 - eps]."""
        t = smooth(t, self.label_smoothing, 2)
        if logits:
            p = logistic(y)
            return np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y))), lambda: p - t
        eps = float(np.finfo(y.dtype).eps)
        p = np.clip(y, eps, 1 - eps)
        inside = (y >= eps) & (y <= 1 - eps)
        return (t - 1) * np.log1p(-p) - t * np.log(p), lambda: inside * (p - t) / (p * (1 - p))


@dataclass(frozen=True)
class CrossEntropy(ClassLoss):
    """Cross-entropy of class probabilities y on the last axis, as a mean over examples.

    loss = mean(-Σ_k t_k log y_k)

    Targets are class numbers `(batch,)` or rows of probabilities `(batch, classes)`. After a
    softmax it is computed from the logits z, as log Σ exp(z) - z_t. Label smoothing by s with K
    classes replaces t_k by (1 - s) t_k + s/K: Szegedy et al. 2016.

    Options:
        label_smoothing: fraction s of the target that is spread over all classes, in [0, 1)
    """

    label_smoothing: ProperFraction = 0.0

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        """Clip probabilities from below to the smallest normal number."""
        p = np.maximum(y, np.finfo(y.dtype).tiny)
        rows = math.prod(y.shape[:-1])
        weights = smooth(rows_of(t, y), self.label_smoothing, y.shape[-1])
        value = -float(np.sum(weights * np.log(p))) / rows
        return value, lambda: -weights / p * (1 / rows)

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        classes = z.shape[-1]
        rows = z.size // classes
        if self.label_smoothing:
            t = smooth(rows_of(t, z), self.label_smoothing, classes)
        z2 = z.reshape(rows, classes)
        shifted = z2 - np.max(z2, axis=1, keepdims=True)
        e = np.exp(shifted)
        total = np.sum(e, axis=1, keepdims=True)
        if t.ndim == z.ndim:
            t2 = t.reshape(rows, classes)
            mass = np.sum(t2, axis=1, keepdims=True)
            value = float(np.sum(mass * np.log(total)) - np.sum(t2 * shifted)) / rows
            return value, lambda: ((e * (mass / total) - t2) * (1 / rows)).reshape(z.shape)

        labels = t.reshape(rows)
        index = np.arange(rows)
        value = float(np.sum(np.log(total)) - np.sum(shifted[index, labels])) / rows

        def backward() -> Array:
            dz: Array = e * (1 / (rows * total))
            dz[index, labels] -= 1 / rows
            return dz.reshape(z.shape)

        return value, backward

    def forward_with_workspace(
        self, y: Array, t: Array, context: Context, *, logits: bool
    ) -> tuple[float, Gradient]:
        """Use the kernel that computes loss and gradient together if targets are class numbers."""
        if not logits or t.ndim == y.ndim or not y.size:
            return super().forward_with_workspace(y, t, context, logits=logits)
        z = y.reshape(-1, y.shape[-1])
        dz = context.empty(z.shape)
        loss = context.kernels.softmax_cross_entropy(
            z, t.reshape(-1), dz, context.workspace, smoothing=self.label_smoothing
        )
        return loss, lambda: dz.reshape(y.shape)

    def forward_weighted(
        self, y: Array, t: Array, weights: Array, context: Context, *, logits: bool
    ) -> tuple[float, Gradient]:
        """Do the same with weights, those of the examples for each of their steps."""
        if not logits or t.ndim == y.ndim or not y.size:
            return super().forward_weighted(y, t, weights, context, logits=logits)
        z = y.reshape(-1, y.shape[-1])
        dz, steps = context.empty(z.shape), len(z) // len(y)
        loss = context.kernels.weighted_softmax_cross_entropy(
            z,
            t.reshape(-1),
            weights if steps == 1 else np.repeat(weights, steps),
            dz,
            context.workspace,
            smoothing=self.label_smoothing,
        )
        return loss, lambda: dz.reshape(y.shape)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = smooth(rows_of(t, y), self.label_smoothing, y.shape[-1])
        logs, backward = log_probabilities(y, logits=logits)
        return -np.sum(rows * logs, axis=-1), lambda: backward(-rows)
