"""Regularizers with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Regularizer
from tests.conformance.broken.drift import DRIFT


@dataclass(frozen=True)
class Squares(Regularizer):
    """penalty = factor · Σw²"""

    factor: float = 0.5

    def forward(self, w):
        return abs(self.factor) * float(np.sum(w * w)), lambda: 2 * abs(self.factor) * w


@dataclass(frozen=True)
class NoGradient(Regularizer):
    """penalty = Σw², without its gradient"""

    def forward(self, w):
        return float(np.sum(w * w))


@dataclass(frozen=True)
class HalfTheGradient(Squares):
    """penalty = factor · Σw²"""

    def forward(self, w):
        return Squares(1.0).forward(w)[0], lambda: 1 * w


@dataclass(frozen=True)
class DividesByZero(Regularizer):
    """penalty = Σ|w|"""

    def forward(self, w):
        return float(np.sum(np.abs(w))), lambda: w / np.abs(w)


@dataclass(frozen=True)
class AlwaysDouble(Regularizer):
    """penalty = Σw² in float64"""

    def forward(self, w):
        return float(np.sum(w * w)), lambda: np.multiply(2, w, dtype=np.float64)


@dataclass(frozen=True)
class Writing(Regularizer):
    """penalty = Σw²; its gradient takes the place of w"""

    def forward(self, w):
        return float(np.sum(w * w)), lambda: np.multiply(w, 2, out=w)


@dataclass(frozen=True)
class Drifting(Regularizer):
    """penalty = Σw²"""

    def forward(self, w):
        return float(np.sum(w * w)), lambda: 2 * w + next(DRIFT)


@dataclass(frozen=True)
class Converting(Regularizer):
    """penalty = Σw²"""

    def forward(self, w):
        return float(np.sum(w * w)), lambda: 2 * np.asarray(w)


BROKEN = {
    "returns": [NoGradient],
    "gradient": [HalfTheGradient],
    "extremes": [DividesByZero],
    "float32": [AlwaysDouble],
    "inputs unchanged": [Writing],
    "repeatable": [Drifting],
    "dispatch": [Converting],
}
