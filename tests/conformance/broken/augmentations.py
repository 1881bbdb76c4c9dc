"""Augmentations with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Augmentation
from tests.conformance.broken.drift import DRIFT


@dataclass(frozen=True)
class Neighbours(Augmentation):
    """x ← (1 - amount) · x + amount · x' and t likewise, for another row"""

    amount: float = 0.25

    def augment(self, x, t, rng):
        amount = min(abs(self.amount), 0.5)
        other = rng.permutation(len(x))
        return x + amount * (x[other] - x), t + amount * (t[other] - t)


@dataclass(frozen=True)
class OnlyInputs(Neighbours):
    """x ← (1 - amount) · x + amount · x', without the targets"""

    def augment(self, x, t, rng):
        return super().augment(x, t, rng)[0]


@dataclass(frozen=True)
class HalfPrecise(Neighbours):
    """x ← (1 - amount) · x + amount · x', rounded in float32"""

    def augment(self, x, t, rng):
        x, t = super().augment(x, t, rng)
        return (x.round(2) if x.dtype == np.float32 else x), t


@dataclass(frozen=True)
class Overflowing(Augmentation):
    """x ← log(exp(x))"""

    def augment(self, x, t, rng):
        return np.log(np.exp(x)), t


@dataclass(frozen=True)
class ShrinkingTargets(Augmentation):
    """t ← 0.9 · t"""

    def augment(self, x, t, rng):
        return x, t * t.dtype.type(0.9)


@dataclass(frozen=True)
class LosingItsClass(Augmentation):
    """(x, t) ← (x', t') for another row"""

    def augment(self, x, t, rng):
        other = (np.arange(len(x)) + 1) % len(x)
        return x[other], t[other]


@dataclass(frozen=True)
class NeedsTwoRows(Augmentation):
    """x ← x / (rows - 1)"""

    def augment(self, x, t, rng):
        if len(x) == 1:
            return x[0], t[0]
        return x / (len(x) - 1), t


@dataclass(frozen=True)
class Writing(Augmentation):
    """x ← x / 2 in place"""

    def augment(self, x, t, rng):
        x /= 2
        return x.copy(), t


@dataclass(frozen=True)
class Drifting(Augmentation):
    """x ← x with noise of its own"""

    def augment(self, x, t, rng):
        return x + next(DRIFT), t


BROKEN = {
    "returns": [OnlyInputs],
    "float32": [HalfPrecise],
    "extremes": [Overflowing],
    "probabilities": [ShrinkingTargets, LosingItsClass],
    "single rows": [NeedsTwoRows],
    "inputs unchanged": [Writing],
    "repeatable": [Drifting],
}
