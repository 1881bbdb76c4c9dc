"""Samples taken in turn, A B C, A B C, …, and the row of a table that they make."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

T = TypeVar("T")


class UnavailableError(Exception):
    """Why a library has no figure: it is not installed, or cannot do this."""


@dataclass(frozen=True)
class Effort:
    """How much to measure: so many rounds, each timing so many seconds at least.

    A row that has taken `enough` seconds gets no further round. `skipped` says of libraries why
    they are left out. `only` limits the networks and jobs to those whose name contains it. A quick
    run has fewer of them where all would take long.
    """

    rounds: int
    seconds: float
    threads: int
    enough: float = math.inf
    quick: bool = False
    only: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """The samples of each column: seconds, bytes, or shares of one, as `unit` says.

    `compared` tells whether a smaller figure is a better one, so that ratios mean something.
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
        """Return the best of the peers' figures over the best of our own: above 1 is ahead."""
        ours, theirs = ([self.figures[c] for c in names if c in self.samples]
                        for names in (own, peers))  # fmt: skip
        if not ours or not theirs or not self.compared or min(ours) <= 0:
            return None
        return min(theirs) / min(ours)


@dataclass(frozen=True)
class Ratio:
    """A column of ratios: the best of `peers` over the best of `own`."""

    title: str
    own: tuple[str, ...]
    peers: tuple[str, ...]
    percent: bool = False


def interleave(
    samplers: Mapping[str, Callable[[], T]], effort: Effort
) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Take one sample of each in turn, and again, until there are enough.

    Return the samples, and of those that raised `UnavailableError` the reason.
    """
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
    """A table: what it is called, its columns, and how its rows are measured.

    The first column is nnreg; a table that compares it with others is `plotted`.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    ratios: tuple[Ratio, ...]
    measure: Callable[[Effort], Iterator[Row]]
    plotted: bool = True
