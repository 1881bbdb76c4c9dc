"""The sections of a sweep file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Interval, Len
from pydantic import Discriminator, Tag

from nnreg.interfaces.component import Configurable, Count, Text

Seed: TypeAlias = Annotated[int, Interval(ge=0, lt=2**64)]
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
    log: tuple[float, float] | None = None
    integers: tuple[int, int] | None = None
    log_integers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        given = {name: ends for name, ends in vars(self).items() if ends is not None}
        names = [one.name for one in dataclasses.fields(self)]
        if len(given) != 1:
            raise ValueError(f"must have one of {', '.join(names)}, found {len(given)} of them")
        low, high = self.ends
        if low >= high:
            raise ValueError(f"must be two numbers in increasing order, found {[low, high]}")
        if self.logarithmic and low <= 0:
            raise ValueError(f"a logarithmic range must be positive, found {[low, high]}")

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


Axis: TypeAlias = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Range, Tag("range")],
    Discriminator(_kind_of_axis),
]
"""A list of values, or a range of numbers."""

Space: TypeAlias = dict[Text, Axis]


@dataclass(frozen=True)
class Random(Configurable):
    """Random search: each trial draws a value of each axis of the `space`, by the `seed`.

    More `trials` keep the first ones. Bergstra and Bengio 2012.
    """

    trials: Count
    space: Annotated[Space, Len(1)]
    seed: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class Optuna(Configurable):
    """Bayesian search by Optuna: the next trial is where good ones are likely.

    Trials that look worse than others are stopped early if `prune` is "median" (worse than the
    median of the earlier trials at the same epoch) or "halving" (not among the best at certain
    epochs). Bergstra et al. 2011; Akiba et al. 2019.
    """

    trials: Count
    space: Annotated[Space, Len(1)]
    seed: Annotated[int, Ge(0)] = 0
    prune: Literal["median", "halving", "none"] = "median"


@dataclass(frozen=True)
class Sweep(Configurable):
    """A sweep: one run per point and seed.

    `spec` is the name of a spec or a spec, and `overrides` are values for all runs. The points are
    given by one of `grid` (all combinations of the values), `points`, `random` and `optuna`;
    without any of them there is one, the spec itself. `seeds` is a list, or how many: 5 are the
    seed of the spec and the 4 that follow. `metric` compares points; by default it is the loss on
    the validation rows, or without such rows the loss.
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
        ways = [name for name in ("grid", "points", "random", "optuna") if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"must have one of {' and '.join(ways)}; remove the others")

    @property
    def search(self) -> Random | Optuna | None:
        """The search, if there is one."""
        return self.random or self.optuna
