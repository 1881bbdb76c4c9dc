"""Activations with one mistake each."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg import Activation
from tests.conformance.broken.drift import DRIFT, KEPT


@dataclass(frozen=True)
class Good(Activation):
    """y = tanh(gain · x)"""

    gain: Annotated[float, Interval(ge=0.5, le=2)] = 1.0

    def forward(self, x):
        y = np.tanh(self.gain * x)
        return y, lambda dy: self.gain * dy * (1 - y * y)


@dataclass(frozen=True)
class Returnless(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        y, backward = super().forward(x)

        def forgets(dy):
            backward(dy)

        return y, forgets


@dataclass(frozen=True)
class Unannotated(Good):
    """y = tanh(gain · x) + offset"""

    offset = 1


@dataclass(frozen=True)
class Undocumented(Good):
    def forward(self, x):
        return super().forward(x)


@dataclass(frozen=True)
class OptionUndocumented(Good):
    """y = tanh(gain · x)"""

    other: int = 1


@dataclass(frozen=True)
class ChangesItself(Good):
    """y = tanh(gain · x)"""

    def __post_init__(self):
        object.__setattr__(self, "gain", self.gain + 1)


@dataclass(frozen=True)
class WrongBetweenIntegers(Activation):
    """y = x"""

    def forward(self, x):
        return x.copy(), lambda dy: dy * (1 + 0.1 * np.sin(2 * np.pi * x))


@dataclass(frozen=True)
class WrongAtZero(Activation):
    """y = max(x, 0)"""

    def forward(self, x):
        return np.maximum(x, 0), lambda dy: dy * np.where(x == 0, x.dtype.type(5), x > 0)


@dataclass(frozen=True)
class Overflows(Activation):
    """y = log(1 + exp(x))"""

    def forward(self, x):
        return np.log1p(np.exp(x)), lambda dy: dy * (0.5 + 0.5 * np.tanh(0.5 * x))


@dataclass(frozen=True)
class Doubles(Good):
    """y = tanh(gain · x), always in float64."""

    def forward(self, x):
        y, backward = super().forward(x)
        return y * np.float64(1), backward


@dataclass(frozen=True)
class NoEmptyBatch(Good):
    """y = tanh(gain · x) + 0 · max(x)"""

    def forward(self, x):
        y, backward = super().forward(x)
        return y + 0 * np.max(x), backward


@dataclass(frozen=True)
class WritesGradient(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        y = np.tanh(self.gain * x)

        def backward(dy):
            dy *= self.gain * (1 - y * y)
            return dy

        return y, backward


@dataclass(frozen=True)
class NonDeterministic(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        y, backward = super().forward(x)
        return y, lambda dy: backward(dy) + next(DRIFT)


@dataclass(frozen=True)
class Stateful(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        KEPT["y"] = np.tanh(self.gain * x)
        return KEPT["y"], lambda dy: self.gain * dy * (1 - KEPT["y"] ** 2)


@dataclass(frozen=True)
class WrongInplace(Good):
    """y = tanh(gain · x)"""

    def forward_inplace(self, x, context):
        y, _ = self.forward(x)
        return y, lambda dy: dy * (1 - y * y) * (1 + self.gain)


@dataclass(frozen=True)
class Converts(Good):
    """y = tanh(gain · x)"""

    def forward(self, x):
        return super().forward(np.asarray(x))


@dataclass(frozen=True)
class OutOfRange(Good):
    """y = tanh(gain · x)"""

    range = (0.0, 1.0)


@dataclass(frozen=True)
class NoDistribution(Good):
    """y = tanh(gain · x)"""

    sums_to_one = True


@dataclass(frozen=True)
class FormulaWithKinks(Activation):
    """y = |x| - max(x, shift), for which complex steps are wrong"""

    shift: float = 1.0

    def formula(self, x):
        return np.abs(x) - np.maximum(x, self.shift)


@dataclass(frozen=True)
class FormulaOverAnAxis(Activation):
    """y = x - max(x) over the last axis, which is not elementwise"""

    def formula(self, x):
        return x - np.max(x, axis=-1, keepdims=True)


@dataclass(frozen=True)
class OtherFormula(Good):
    """y = tanh(gain · x), but its formula has another gain"""

    def formula(self, x):
        return np.tanh(1.01 * self.gain * x)


BROKEN = {
    "documented": [Undocumented, OptionUndocumented],
    "annotated": [Unannotated],
    "round trip": [ChangesItself],
    "returns": [Returnless],
    "gradient": [WrongBetweenIntegers],
    "kinks": [WrongAtZero],
    "extremes": [Overflows],
    "float32": [Doubles],
    "shapes": [NoEmptyBatch],
    "inputs unchanged": [WritesGradient],
    "repeatable": [NonDeterministic],
    "reentrant": [Stateful],
    "buffered": [WrongInplace],
    "dispatch": [Converts],
    "declared range": [OutOfRange],
    "sums to one": [NoDistribution],
    "inferred": [OtherFormula],
}
