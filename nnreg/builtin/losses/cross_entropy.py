"""The cross-entropy of two classes, and of several."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean
from nnreg.builtin.activations import Sigmoid, Softmax
from nnreg.builtin.activations.functions import logistic
from nnreg.builtin.losses.terms import Gradient, by_example, rows_of, smooth
from nnreg.interfaces.component import ProperFraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import Loss


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
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

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        """Clip probabilities to [eps, 1 - eps]."""
        t = smooth(t, self.label_smoothing, 2)
        eps = float(np.finfo(y.dtype).eps)
        p = np.clip(y, eps, 1 - eps)
        inside = (y >= eps) & (y <= 1 - eps)
        value = -float(np.mean(_log_likelihood(p, t)))
        return value, lambda: inside * (p - t) / (p * (1 - p)) * (1 / y.size)

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        t = smooth(t, self.label_smoothing, 2)
        p = logistic(z)
        return mean(_from_logits(z, t)), lambda: (p - t) * (1 / z.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        t = smooth(t, self.label_smoothing, 2)
        if logits:
            return by_example(_from_logits(y, t))
        eps = float(np.finfo(y.dtype).eps)
        return -by_example(_log_likelihood(np.clip(y, eps, 1 - eps), t))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of class probabilities y on the last axis, as a mean over examples.

    loss = mean(-Σ_k t_k log y_k)

    Targets are class numbers `(batch,)` or rows of probabilities `(batch, classes)`. After a
    softmax it is computed from the logits z, as log Σ exp(z) - z_t. Label smoothing by s with K
    classes replaces t_k by (1 - s) t_k + s/K: Szegedy et al. 2016.

    Options:
        label_smoothing: fraction s of the target that is spread over all classes, in [0, 1)
    """

    label_smoothing: ProperFraction = 0.0
    takes_labels = True
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    takes_distribution = True
    fused_activation = Softmax

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

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        if logits:
            shifted = y - np.max(y, axis=-1, keepdims=True)
            logs = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        else:
            logs = np.log(np.maximum(y, np.finfo(y.dtype).tiny))
        weights = smooth(rows_of(t, y), self.label_smoothing, y.shape[-1])
        return -by_example(np.sum(weights * logs, axis=-1))


def _log_likelihood(p: Array, t: Array) -> Array:
    """Return t log p + (1 - t) log(1 - p) of each value."""
    values: Array = t * np.log(p) + (1 - t) * np.log1p(-p)
    return values


def _from_logits(z: Array, t: Array) -> Array:
    """Return -t log p - (1 - t) log(1 - p) of p = σ(z), without forming p."""
    values: Array = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return values
