"""The focal loss, Lin et al. 2017, for nnreg."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, Len

from nnreg import DataError, TermLoss, hookimpl
from nnreg.builtin.activations import Sigmoid, Softmax


@dataclass(frozen=True)
class Focal(TermLoss):
    """mean(-Σ_k alpha_k t_k (1 - y_k)^gamma log y_k) over examples, y the probabilities of classes.

    Cross-entropy in which an example has a smaller weight the higher the probability of its class.
    Lin et al. 2017, for several classes. `gamma` is the exponent of this weight. `alpha` has one
    weight per class, in the order of the model's classes; by default all are 1. Targets are class
    indices `(batch,)` or probabilities `(batch, classes)`. After a softmax it is computed from the
    logits.
    """

    gamma: Annotated[float, Ge(0)] = 2.0
    alpha: Annotated[tuple[Annotated[float, Ge(0)], ...], Len(2)] | None = None
    takes_labels = True
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    takes_distribution = True
    fused_activation = Softmax

    def terms(self, y, t, *, logits):
        """Clip probabilities from below to the smallest normal number."""
        weights = self._weights(y, t)
        if logits:
            shifted = y - np.max(y, axis=-1, keepdims=True)
            log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
            p = np.exp(log_p)
        else:
            p = np.maximum(y, np.finfo(y.dtype).tiny)
            log_p = np.log(p)
        losses, slopes = _focal(log_p, p, np.maximum(1 - p, 0), self.gamma)

        def backward():
            d = weights * slopes
            return d - p * np.sum(d, axis=-1, keepdims=True) if logits else d / p

        return np.sum(weights * losses, axis=-1), backward

    def _weights(self, y, t):
        """Return the weight of the loss of each class in that of an example."""
        classes = y.shape[-1]
        if t.ndim < y.ndim:
            t = np.equal(np.expand_dims(t, -1), np.arange(classes)).astype(y.dtype)
        if self.alpha is not None:
            if len(self.alpha) != classes:
                raise DataError(f"focal: alpha has {len(self.alpha)} weights for {classes} classes")
            t = t * np.array(self.alpha, y.dtype)
        return t


@dataclass(frozen=True)
class BinaryFocal(TermLoss):
    """mean(-alpha t (1 - y)^gamma log y - (1 - alpha) (1 - t) y^gamma log(1 - y)).

    Binary cross-entropy in which an example has a smaller weight the higher the probability of its
    class. Lin et al. 2017. `gamma` is the exponent of this weight. `alpha`, in the paper at best
    0.25, is the weight of class 1; by default both classes have weight 1. For independent
    probabilities y and targets in [0, 1]. After a sigmoid it is computed from the logits.
    """

    gamma: Annotated[float, Ge(0)] = 2.0
    alpha: Annotated[float, Interval(ge=0, le=1)] | None = None
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)
    fused_activation = Sigmoid

    def terms(self, y, t, *, logits):
        """Clip probabilities to [eps, 1 - eps]."""
        if logits:
            tail = np.log1p(np.exp(-np.abs(y)))
            log_p, log_q = np.minimum(y, 0) - tail, np.minimum(-y, 0) - tail
            p, q = np.exp(log_p), np.exp(log_q)
        else:
            eps = float(np.finfo(y.dtype).eps)
            p = np.clip(y, eps, 1 - eps)
            q, log_p, log_q = 1 - p, np.log(p), np.log1p(-p)
        alpha_1, alpha_0 = (1, 1) if self.alpha is None else (self.alpha, 1 - self.alpha)
        weight_1, weight_0 = alpha_1 * t, alpha_0 * (1 - t)
        losses_1, slopes_1 = _focal(log_p, p, q, self.gamma)
        losses_0, slopes_0 = _focal(log_q, q, p, self.gamma)

        def backward():
            d_true, d_false = weight_1 * slopes_1, weight_0 * slopes_0
            if logits:
                return d_true * q - d_false * p
            return ((y >= eps) & (y <= 1 - eps)) * (d_true / p - d_false / (1 - p))

        return weight_1 * losses_1 + weight_0 * losses_0, backward


def _focal(log_p, p, q, gamma):
    """Return -q^gamma log p, where q = 1 - p, and its derivative with respect to log p."""
    modulation = q**gamma
    ratio = log_p / np.where(q > 0, q, 1)  # approaches -1 as both approach 0
    return -modulation * log_p, modulation * (gamma * p * ratio - 1)


@hookimpl
def nnreg_losses():
    return {"focal": Focal, "binary_focal": BinaryFocal}
