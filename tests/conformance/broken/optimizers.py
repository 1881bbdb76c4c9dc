"""Optimizers with one mistake each."""

import math
from dataclasses import dataclass

import numpy as np

from nnreg import Optimizer
from tests.conformance.broken.drift import DRIFT, KEPT


@dataclass(frozen=True)
class Descent(Optimizer):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, state):
        np.subtract(parameters, self.learning_rate * gradient, out=parameters)


@dataclass(frozen=True)
class Ascent(Optimizer):
    """p ← p + learning_rate · g"""

    def update(self, parameters, gradient, state):
        np.add(parameters, self.learning_rate * gradient, out=parameters)


@dataclass(frozen=True)
class DividesByZero(Descent):
    """p ← p - learning_rate · g / |g|"""

    def update(self, parameters, gradient, state):
        super().update(parameters, gradient / np.abs(gradient), state)


@dataclass(frozen=True)
class CoarseInSingle(Descent):
    """p ← p - learning_rate · (g + 10⁵ eps)"""

    def update(self, parameters, gradient, state):
        super().update(parameters, gradient + 1e5 * np.finfo(parameters.dtype).eps, state)


@dataclass(frozen=True)
class WritingOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, state):
        np.multiply(gradient, self.learning_rate, out=gradient)
        np.subtract(parameters, gradient, out=parameters)


@dataclass(frozen=True)
class LeavesOneOut(Descent):
    """p ← p - learning_rate · g, except for the last"""

    def update(self, parameters, gradient, state):
        super().update(parameters[:-1], gradient[:-1], state)


@dataclass(frozen=True)
class NonDeterministicOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, state):
        super().update(parameters, gradient + next(DRIFT), state)


@dataclass(frozen=True)
class StatefulOptimizer(Descent):
    """v ← v / 2 + g; p ← p - learning_rate · v"""

    def update(self, parameters, gradient, state):
        KEPT["v"] = gradient + (0 if state.count == 1 else KEPT["v"] / 2)
        super().update(parameters, KEPT["v"], state)


@dataclass(frozen=True)
class ByNorm(Descent):
    """p ← p - learning_rate · g / (1 + ‖g‖)"""

    elementwise = True

    def update(self, parameters, gradient, state):
        norm = math.sqrt(float(np.dot(gradient, gradient)))
        super().update(parameters, gradient / (1 + norm), state)


@dataclass(frozen=True)
class ConvertingOptimizer(Descent):
    """p ← p - learning_rate · g"""

    def update(self, parameters, gradient, state):
        super().update(parameters, np.asarray(gradient), state)


@dataclass(frozen=True)
class MovesToEvaluate(Descent):
    """p ← p - learning_rate · g, and p / 2 is evaluated"""

    def evaluation_parameters(self, parameters, state):
        return np.divide(parameters, 2, out=parameters)


@dataclass(frozen=True)
class ScaledByNorm(Descent):
    """p ← p - learning_rate · g, and p / ‖p‖ is evaluated"""

    elementwise = True

    def evaluation_parameters(self, parameters, state):
        return parameters / math.sqrt(float(np.dot(parameters, parameters)))


BROKEN = {
    "descends": [Ascent],
    "extremes": [DividesByZero],
    "float32": [CoarseInSingle],
    "gradient unchanged": [WritingOptimizer],
    "in place": [LeavesOneOut],
    "repeatable": [NonDeterministicOptimizer],
    "reentrant": [StatefulOptimizer],
    "elementwise": [ByNorm],
    "dispatch": [ConvertingOptimizer],
    "evaluation parameters": [MovesToEvaluate, ScaledByNorm],
}
