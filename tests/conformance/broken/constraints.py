"""Constraints with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Constraint
from tests.conformance.broken.drift import DRIFT


@dataclass(frozen=True)
class AtMostOne(Constraint):
    """w ← min(w, 1)"""

    def project(self, w):
        return np.minimum(w, 1)


@dataclass(frozen=True)
class ReturnsNothing(Constraint):
    """w ← min(w, 1)"""

    def project(self, w):
        np.minimum(w, 1)


@dataclass(frozen=True)
class DividesByZero(Constraint):
    """w ← w / |w|"""

    def project(self, w):
        return w / np.abs(w)


@dataclass(frozen=True)
class CoarseInSingle(Constraint):
    """w ← min(w, 1 + 10³ eps)"""

    def project(self, w):
        return np.minimum(w, 1 + float(1e3 * np.finfo(w.dtype).eps))


@dataclass(frozen=True)
class Growing(Constraint):
    """w ← 3 w"""

    def project(self, w):
        return 3 * w


@dataclass(frozen=True)
class Writing(Constraint):
    """w ← min(w, 1)"""

    def project(self, w):
        return np.minimum(w, 1, out=w)


@dataclass(frozen=True)
class Drifting(Constraint):
    """w ← min(w, 1)"""

    def project(self, w):
        return np.minimum(w, 1) + next(DRIFT)


@dataclass(frozen=True)
class Converting(Constraint):
    """w ← min(w, 1)"""

    def project(self, w):
        return np.minimum(np.asarray(w), 1)


BROKEN = {
    "returns": [ReturnsNothing],
    "extremes": [DividesByZero],
    "float32": [CoarseInSingle],
    "settles": [Growing],
    "inputs unchanged": [Writing],
    "repeatable": [Drifting],
    "dispatch": [Converting],
}
