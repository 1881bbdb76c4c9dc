"""The sections of a sweep file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Len

from nnreg.interfaces.annotations import Tagged
from nnreg.interfaces.component import Configurable, Count, Positive, Seed, Text

Point: TypeAlias = Mapping[str, Any]
"""The values that a run sets, by their paths in the spec."""


@dataclass(frozen=True)
class Range(Configurable):
    """A range of numbers from which a search draws; exactly one of the options is given.

    Options:
        uniform: Numbers, each equally likely.
        log: Positive numbers, whose logarithms are equally likely.
        integers: Whole numbers, each equally likely; both ends are included.
        log_integers: Positive whole numbers, small ones as likely as large ones.
    """

    uniform: tuple[float, float] | None = None
    log: tuple[Positive, Positive] | None = None
    integers: tuple[int, int] | None = None
    log_integers: tuple[Count, Count] | None = None

    def __post_init__(self) -> None:
        given = {name: ends for name, ends in vars(self).items() if ends is not None}
        names = [one.name for one in dataclasses.fields(self)]
        if len(given) != 1:
            raise ValueError(f"must have one of {', '.join(names)}, found {len(given)} of them")
        low, high = self.ends
        if low >= high:
            raise ValueError(f"must be two numbers in increasing order, found {[low, high]}")

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        found = self.uniform or self.log or self.integers or self.log_integers
        assert found is not None
        return found

    @property
    def logarithmic(self) -> bool:
        """Whether the logarithms of values are equally likely."""
        return self.log is not None or self.log_integers is not None

    @property
    def whole(self) -> bool:
        """Whether values are integers."""
        return self.integers is not None or self.log_integers is not None


Choices: TypeAlias = Annotated[tuple[Any, ...], Len(1)]


def _kind_of_axis(value: Any) -> str:
    return "choices" if isinstance(value, list | tuple) else "range"


Axis: TypeAlias = Annotated[Choices | Range, Tagged(_kind_of_axis, ("choices", "range"))]
"""A list of values, or a range of numbers."""

Space: TypeAlias = dict[Text, Axis]


@dataclass(frozen=True)
class Random(Configurable):
    """Random search. Bergstra and Bengio 2012.

    Options:
        trials: The number of points; more of them keep the first ones.
        space: For each path in the spec a list of values, or a range of numbers, of which each
            point has one.
        seed: The seed with which points are drawn.
    """

    trials: Count
    space: Annotated[Space, Len(1)]
    seed: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class Optuna(Configurable):
    """Bayesian search by Optuna: the next trial is where good ones are likely.

    Bergstra et al. 2011; Akiba et al. 2019.

    Options:
        trials: The number of points.
        space: For each path in the spec a list of values, or a range of numbers, of which each
            point has one.
        seed: The seed with which points are drawn.
        prune: Which trials are stopped early: those that are worse than the "median" of the earlier
            ones at the same epoch, by "halving" those that are not among the best at certain
            epochs, or "none".
    """

    trials: Count
    space: Annotated[Space, Len(1)]
    seed: Annotated[int, Ge(0)] = 0
    prune: Literal["median", "halving", "none"] = "median"


WAYS = ("grid", "points", "random", "optuna")
"""The keys of a sweep that give its points, of which it has one at most."""


@dataclass(frozen=True)
class Sweep(Configurable):
    """A sweep: one run per point and seed.

    The points are given by one of `grid`, `points`, `random` and `optuna`; without any of them
    there is one, the spec itself.

    Options:
        spec: The file of a spec, relative to that of the sweep, or a spec.
        overrides: Values for all runs, by their paths in the spec.
        seeds: A list of seeds, or how many: 5 are the seed of the spec and the 4 that follow; null
            for that of the spec alone.
        metric: What points are compared by; null for the loss on the validation rows, or without
            such rows the loss.
        grid: For each path in the spec a list of values; the points are all combinations.
        points: A list of points, each with values by their paths in the spec.
        random: A random search.
        optuna: A Bayesian search by Optuna.
    """

    spec: Text | dict[str, Any]
    overrides: dict[Text, Any] = field(default_factory=dict)
    seeds: Count | Annotated[tuple[Seed, ...], Len(1)] | None = None
    metric: Text | None = None
    grid: Annotated[dict[Text, Choices], Len(1)] | None = None
    points: Annotated[tuple[Annotated[dict[Text, Any], Len(1)], ...], Len(1)] | None = None
    random: Random | None = None
    optuna: Optuna | None = None

    def __post_init__(self) -> None:
        ways = [name for name in WAYS if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"must have one of {' and '.join(ways)}; remove the others")

    @property
    def search(self) -> Random | Optuna | None:
        """The search, if there is one."""
        return self.random or self.optuna
