"""Losses with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Loss, TermLoss
from nnreg.builtin.activations import Sigmoid
from tests.conformance.broken.drift import DRIFT, KEPT


@dataclass(frozen=True)
class GoodLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(d * d)), lambda: d * (2 / d.size)


@dataclass(frozen=True)
class HalfGradient(Loss):
    """mean((y - t)²) of classes, but the gradient lacks the factor 2"""

    classification = True

    def forward(self, y, t):
        d = y - t
        return float(np.mean(d * d)), lambda: d / d.size


@dataclass(frozen=True)
class KinkyLoss(Loss):
    """mean(|y - t|)"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(np.abs(d))), lambda: np.where(d == 0, 3, np.sign(d)) / d.size


@dataclass(frozen=True)
class OverflowingLoss(Loss):
    """mean(log cosh(y - t))"""

    def forward(self, y, t):
        d = y - t
        return float(np.mean(np.log(np.cosh(d)))), lambda: np.tanh(d) / d.size


@dataclass(frozen=True)
class DoubleLoss(GoodLoss):
    """mean((y - t)²), always in float64"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return value, lambda: backward() * np.float64(1)


@dataclass(frozen=True)
class SqueezedLoss(GoodLoss):
    """mean((y - t)²) without the batch axis in the gradient of one example"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return value, lambda: backward() if len(y) > 1 else backward()[0]


@dataclass(frozen=True)
class LossOfEach(GoodLoss):
    """(y - t)² of each output"""

    def forward(self, y, t):
        _, backward = super().forward(y, t)
        return (y - t) ** 2, backward


@dataclass(frozen=True)
class SumLoss(Loss):
    """Σ (y - t)²"""

    def forward(self, y, t):
        d = y - t
        return float(np.sum(d * d)), lambda: 2 * d


@dataclass(frozen=True)
class MixingLoss(Loss):
    """mean((y - t)²) + mean(y - t)²"""

    def forward(self, y, t):
        d = y - t
        mean = float(np.mean(d))
        return float(np.mean(d * d)) + mean * mean, lambda: (d + mean) * (2 / d.size)


@dataclass(frozen=True)
class WritingLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        y -= t
        return float(np.mean(y * y)), lambda: y * (2 / y.size)


@dataclass(frozen=True)
class NonDeterministicLoss(GoodLoss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        value, backward = super().forward(y, t)
        return value, lambda: backward() + next(DRIFT)


@dataclass(frozen=True)
class StatefulLoss(Loss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        KEPT["d"] = y - t
        return float(np.mean(KEPT["d"] ** 2)), lambda: KEPT["d"] * (2 / KEPT["d"].size)


@dataclass(frozen=True)
class WrongWorkspaceLoss(GoodLoss):
    """mean((y - t)²)"""

    def forward_with_workspace(self, y, t, context, *, logits):
        value, backward = self.forward(y, t)
        return value, lambda: 2 * backward()


@dataclass(frozen=True)
class WrongFusedLoss(GoodLoss):
    """mean((y - t)²) of probabilities, but of the logits themselves if fused with a sigmoid"""

    classification = True
    input_range = (0.0, 1.0)
    fused_activation = Sigmoid

    def forward_logits(self, z, t):
        return self.forward(z, t)


@dataclass(frozen=True)
class ConvertingLoss(GoodLoss):
    """mean((y - t)²)"""

    def forward(self, y, t):
        return super().forward(np.asarray(y), np.asarray(t))


@dataclass(frozen=True)
class PaddedLoss(GoodLoss):
    """mean((y - t)²), over padding too"""

    def forward_masked(self, y, t, mask, context, *, logits):
        return self.forward(y, t)


@dataclass(frozen=True)
class PaddedGradientLoss(GoodLoss):
    """mean((y - t)²), with a gradient at masked steps"""

    def forward_masked(self, y, t, mask, context, *, logits):
        value, _ = super().forward_masked(y, t, mask, context, logits=logits)
        return value, lambda: 2 * (y - t) / (mask.sum() * y.shape[-1])


@dataclass(frozen=True)
class WrongWeightedLoss(TermLoss):
    """mean((y - t)²), with a gradient that the weights do not change"""

    def terms(self, y, t, *, logits):
        d = y - t
        return d * d, lambda: 2 * d

    def forward_weighted(self, y, t, weights, context, *, logits):
        _, backward = self.forward(y, t)
        return super().forward_weighted(y, t, weights, context, logits=logits)[0], backward


BROKEN = {
    "weighted": [WrongWeightedLoss],
    "masked": [PaddedLoss, PaddedGradientLoss],
    "gradient": [HalfGradient],
    "kinks": [KinkyLoss],
    "extremes": [OverflowingLoss],
    "float32": [DoubleLoss],
    "returns": [LossOfEach],
    "shapes": [SqueezedLoss],
    "mean": [SumLoss],
    "independent": [MixingLoss],
    "inputs unchanged": [WritingLoss],
    "repeatable": [NonDeterministicLoss],
    "reentrant": [StatefulLoss],
    "buffered": [WrongWorkspaceLoss],
    "fused": [WrongFusedLoss],
    "dispatch": [ConvertingLoss],
}
