"""What a column was like in the training rows, with which new rows are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, MaxLen

from nnreg._types import Array
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.encoder import Encoder, RawColumn
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import positions

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

NotNegative = Annotated[int, Ge(0)]

FEW_ROWS = 100
"""Of as few training rows, values may be twice as far outside their range as of many."""

MAX_LONGER = 20.0
"""The most by which a tail is taken to be longer, where nearly all values are the same one."""

MIN_ROWS = 30
"""The least number of rows whose fractions are compared: the test below takes them as many."""

MIN_DEVIATIONS = 5.0
"""By how many standard deviations fractions differ at least: by chance once in millions."""

MIN_DIFFERENCE = 0.05
"""By how much fractions differ at least: of a million rows, any difference is beyond chance."""


@dataclass(frozen=True)
class ColumnSummary(Configurable):
    """The number of training rows, and the distribution of their values.

    Of numbers, `quantiles` are those of `QUANTILES`. Of texts, `other` is how many were none of the
    categories that the encoder knows, and `once` how many of a category that no other row has: as
    many of later rows are expected to have a new category (Good 1953).
    """

    rows: NotNegative
    missing: NotNegative = 0
    other: NotNegative = 0
    min: float | None = None
    max: float | None = None
    quantiles: Annotated[tuple[float, ...], MaxLen(len(QUANTILES))] = ()
    once: NotNegative = 0

    def __post_init__(self) -> None:
        if self.missing + self.other > self.rows:
            raise ValueError("must have as many rows as missing and other values")

    @property
    def known(self) -> int:
        """The number of rows that had a value."""
        return self.rows - self.missing

    def limits(self, times: float = 1.0) -> tuple[float, float]:
        """Return between which numbers a new one is not far outside the range of training.

        They are beyond it by half of the range at least: the largest of as many other rows often
        exceeds it a little. In a heavy tail, the largest of other rows is some times as large: as
        many times as the outermost twentieth of the rows is longer than the half within. Few rows
        do not show their distribution. `times` multiplies the margins.
        """
        if self.min is None or self.max is None or len(self.quantiles) != len(QUANTILES):
            return -math.inf, math.inf
        _, low, _, median, _, high, _ = self.quantiles
        least = (self.max - self.min) / 2
        below = max(least, _tail(low - self.min, median - low))
        above = max(least, _tail(self.max - high, high - median))
        times *= 1 + FEW_ROWS / max(self.known, 1)
        return self.min - times * below, self.max + times * above

    def are_many(self, count: int, rows: int) -> bool:
        """Return whether this many of the rows beyond the limits are more than chance gives.

        Of rows drawn like those of training, 2 / (rows + 1) are outside the range of training on
        average, whatever the distribution; most of them are within the limits.
        """
        return count > max(1.0, rows * max(0.001, 4 / max(self.known, 1)))

    def are_extreme(self, count: int, rows: int) -> bool:
        """Return whether as many are more than chance gives beyond limits three times as far.

        One is enough in a file of the size of training. A column that is constant in training has
        no scale: a rare flag is not extreme.
        """
        return self.min != self.max and count > rows / (10 * max(self.known, 1))


def _tail(length: float, inner: float) -> float:
    """Return how much further than its length a tail may reach."""
    longer = length / inner if inner > 0 else math.inf
    return length * (1 + min(longer, MAX_LONGER)) if length > 0 else 0.0


def differs(count: int, rows: int, in_training: float, of: int) -> bool:
    """Return whether two fractions differ strongly, by the test of two proportions."""
    if min(rows, of) < MIN_ROWS:
        return False
    difference = abs(count / rows - in_training / of)
    together = (count + in_training) / (rows + of)
    deviation = math.sqrt(together * (1 - together) * (1 / rows + 1 / of))
    return difference > MIN_DIFFERENCE and difference > MIN_DEVIATIONS * deviation


def other_expected(summary: ColumnSummary, share: float) -> float:
    """Return how many of the known training rows would be none of the categories, for a fraction.

    It is the nearest of what is not suspicious: those that were, up to those of new categories too.
    """
    return min(max(share * summary.known, summary.other), summary.other + summary.once)


def unknown_texts(texts: tuple[str, ...], encoder: Encoder) -> Array:
    """Return for each of these texts whether the encoder knows it as none of its categories."""
    known = tuple(encoder.known_texts)
    if not known:
        return np.zeros(len(texts), bool)
    return np.less(positions(texts, known), 0)


def summarize(known: RawColumn, encoder: Encoder, missing: int) -> ColumnSummary | None:
    """Return the summary of training rows, those with a value and a number of missing ones.

    None for arrays, whose numbers have no common range.
    """
    rows = len(known) + missing
    if known.takes == "arrays":
        return None
    if known.takes == "text":
        return summarize_counts(known.categories, encoder, len(known), missing)
    if not len(known):
        return ColumnSummary(rows, missing)
    return summarize_numbers(known.values, rows, missing)


def summarize_counts(
    cells: Categorical, encoder: Encoder, known: int, missing: int
) -> ColumnSummary:
    """Return the summary of `known` rows with these texts, and of `missing` ones."""
    unknown = unknown_texts(cells.categories, encoder)
    counts = cells.counts()
    once = int(np.count_nonzero(counts[~unknown] == 1))
    return ColumnSummary(known + missing, missing, int(counts[unknown].sum()), once=once)


def summarize_numbers(values: Array, rows: int, missing: int) -> ColumnSummary:
    """Return the summary of numbers, of as many `rows` and `missing` ones."""
    # values of the column itself: between two integers is none
    found = np.quantile(values, (0.0, *QUANTILES, 1.0), method="lower").tolist()
    return ColumnSummary(rows, missing, 0, found[0], found[-1], tuple(found[1:-1]))
