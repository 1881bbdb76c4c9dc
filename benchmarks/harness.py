"""Interleaved samples, A B C, A B C, …, and the rows of tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

T = TypeVar("T")


class UnavailableError(Exception):
    """The reason why a library has no value: it is not installed, or does not support the task."""


@dataclass(frozen=True)
class Effort:
    """The number of rounds, and the minimum number of seconds of each.

    No further round of a row is started after `enough` seconds. `skipped` maps libraries to the
    reasons why they are omitted. `only` limits the networks and jobs to those whose name contains
    it. A quick run omits slow ones. With `processor`, times are those of the processor, of all
    threads of a process, and otherwise elapsed ones.
    """

    rounds: int
    seconds: float
    threads: int
    enough: float = math.inf
    quick: bool = False
    processor: bool = False
    only: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """The samples of each column: seconds, bytes or fractions, depending on `unit`.

    `compared` is True if a smaller value is better, so that ratios are meaningful.
    """

    name: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    left_out: Mapping[str, str] = field(default_factory=dict)
    compared: bool = True

    @property
    def figures(self) -> dict[str, float]:
        """The median of each column."""
        return {column: median(samples) for column, samples in self.samples.items()}

    def ratio(self, own: Sequence[str], peers: Sequence[str]) -> float | None:
        """Return the best value of `peers` divided by that of `own`; above 1, nnreg is better."""
        ours, theirs = ([self.figures[c] for c in names if c in self.samples]
                        for names in (own, peers))  # fmt: skip
        if not ours or not theirs or not self.compared or min(ours) <= 0:
            return None
        return min(theirs) / min(ours)


@dataclass(frozen=True)
class Ratio:
    """A column of ratios: the best of `peers` divided by the best of `own`."""

    title: str
    own: tuple[str, ...]
    peers: tuple[str, ...]
    percent: bool = False


def interleave(
    samplers: Mapping[str, Callable[[], T]], effort: Effort
) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Return interleaved samples of each, and the reasons of any `UnavailableError`."""
    samples: dict[str, list[T]] = {name: [] for name in samplers}
    left_out = {name: why for name, why in effort.skipped.items() if name in samplers}
    began = time.perf_counter()
    for count in range(effort.rounds):
        if count and time.perf_counter() - began > effort.enough:
            break
        for name, sample in samplers.items():
            if name not in left_out:
                try:
                    samples[name].append(sample())
                except UnavailableError as reason:
                    left_out[name] = str(reason)
    return {name: taken for name, taken in samples.items() if name not in left_out}, left_out


@dataclass(frozen=True)
class Table:
    """A table: its name, columns, and the function that measures its rows.

    The first column is nnreg; a table that compares it with others is `plotted`.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    ratios: tuple[Ratio, ...]
    measure: Callable[[Effort], Iterator[Row]]
    plotted: bool = True
