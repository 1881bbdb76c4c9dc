"""Encoders with one mistake each."""

from dataclasses import dataclass, replace

import numpy as np

from nnreg import DataError, Encoder, learned
from tests.conformance.broken.drift import KEPT


@dataclass(frozen=True)
class Ranked(Encoder):
    """How many values of the training rows are smaller

    Learned:
        values: those of the training rows, sorted
    """

    values: tuple[float, ...] = learned(())

    def learn(self, column):
        return replace(self, values=tuple(np.sort(column.values).tolist()))

    def encode(self, column):
        return np.searchsorted(self.values, column.values)


@dataclass(frozen=True)
class Listing(Ranked):
    """A list instead of an array"""

    def encode(self, column):
        return super().encode(column).tolist()


@dataclass(frozen=True)
class LearnsAList(Ranked):
    """A list instead of a tuple"""

    def learn(self, column):
        return replace(self, values=sorted(column.values.tolist()))


@dataclass(frozen=True)
class Accumulating(Ranked):
    """The values of all rows that it ever learned"""

    def learn(self, column):
        return replace(self, values=(*self.values, *super().learn(column).values))


@dataclass(frozen=True)
class Halving(Ranked):
    """It changes what it reads"""

    def encode(self, column):
        found = super().encode(column)
        column.values[...] = 0
        return found


@dataclass(frozen=True)
class WithNoise(Ranked):
    """Random numbers beside the training rows"""

    def encode_training(self, column):
        return self.encode(column) + np.random.default_rng().normal(size=len(column))


@dataclass(frozen=True)
class OfTheBatch(Ranked):
    """The difference from the mean of the rows that it encodes"""

    def encode(self, column):
        return column.values - column.values.mean()


@dataclass(frozen=True)
class WithoutALocation(Ranked):
    """An error that names no column"""

    def encode(self, column):
        if column.values.max() > self.values[-1]:
            raise DataError("too large")
        return super().encode(column)


class RankedLearner:
    def __init__(self, known):
        self.known, self.values = known, []

    def add(self, column):
        self.values.extend(column.values.tolist())

    def encoder(self):
        return replace(self.known, values=tuple(sorted(self.values)))


@dataclass(frozen=True)
class RankedInParts(Ranked):
    """How many values of the training rows are smaller, learned from parts of them"""

    def learner(self):
        return RankedLearner(self)


class LastPart(RankedLearner):
    def add(self, column):
        if len(column):
            self.values = column.values.tolist()


@dataclass(frozen=True)
class OfTheLastPart(RankedInParts):
    """It forgets the parts before the last one"""

    def learner(self):
        return LastPart(self)


@dataclass(frozen=True)
class OneLearner(RankedInParts):
    """Its learners share what they learned"""

    def learner(self):
        return KEPT.setdefault("learner", RankedLearner(self))


class WithoutEmptyParts(RankedLearner):
    def add(self, column):
        column.require(column.values >= column.values.min(), "a value of this part")
        super().add(column)


@dataclass(frozen=True)
class OfFullParts(RankedInParts):
    """It takes no part in which all values are missing"""

    def learner(self):
        return WithoutEmptyParts(self)


class RunningMean:
    def __init__(self, known):
        self.known, self.rows, self.mean = known, 0, 0.0

    def add(self, column):
        for value in column.values.tolist():
            self.rows += 1
            self.mean += (value - self.mean) / self.rows

    def encoder(self):
        return replace(self.known, mean=self.mean)


@dataclass(frozen=True)
class RoundedMean(Encoder):
    """The difference from the mean of the training rows, which other sums round otherwise

    Learned:
        mean: subtracted
    """

    mean: float = learned(0.0)

    def learn(self, column):
        return replace(self, mean=float(column.values.mean()))

    def learner(self):
        return RunningMean(self)

    def encode(self, column):
        return column.values - self.mean


BROKEN = {
    "returns": [Listing],
    "checkpoint": [LearnsAList],
    "learns again": [Accumulating],
    "learns in parts": [OfTheLastPart, OneLearner, OfFullParts, RoundedMean],
    "repeatable": [Halving],
    "training rows": [WithNoise],
    "rows alone": [OfTheBatch],
    "other rows": [WithoutALocation],
}
