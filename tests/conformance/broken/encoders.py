"""Encoders with one mistake each."""

from dataclasses import dataclass, replace

import numpy as np

from nnreg import DataError, Encoder, learned


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


BROKEN = {
    "returns": [Listing],
    "checkpoint": [LearnsAList],
    "learns again": [Accumulating],
    "repeatable": [Halving],
    "training rows": [WithNoise],
    "rows alone": [OfTheBatch],
    "other rows": [WithoutALocation],
}
