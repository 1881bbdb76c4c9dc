"""Points of a search space: all combinations, random ones, and those that are checked first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._utils import json_text
from nnreg.spec.overrides import as_tuple
from nnreg.sweeps.settings import Axis, Point, Range

STREAM = 41
"""The second seed of the points of a random search."""

DIGITS = 4
"""The significant digits of a drawn number, so that people can read it."""


def combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
    """Yield all combinations of values; the last axis changes first."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def random_point(space: Mapping[str, Axis], seed: int, trial: int) -> Point:
    """Return the point of a trial, which depends on no other trial."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, STREAM, trial]))
    return {path: _drawn(axis, rng) for path, axis in space.items()}


def _drawn(axis: Axis, rng: np.random.Generator) -> Any:
    if not isinstance(axis, Range):
        return axis[int(rng.integers(len(axis)))]
    low, high = axis.ends
    if axis.integers:
        return int(rng.integers(int(low), int(high), endpoint=True))
    if axis.log_integers:  # an integer n stands for the numbers from n - 0.5 to n + 0.5
        drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return int(min(max(round(drawn), low), high))
    if axis.log:
        drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        drawn = rng.uniform(low, high)
    return min(max(rounded(drawn), low), high)


def rounded(value: float) -> float:
    """Return a number with few digits."""
    return float(f"{value:.{DIGITS}g}")


def values_of(axis: Axis) -> Sequence[Any]:
    """Return all values of a list, and the ends of a range."""
    return axis.ends if isinstance(axis, Range) else axis


def one_at_a_time(space: Mapping[str, Axis]) -> Iterator[Point]:
    """Yield points in which every value of every axis occurs, as few as possible vary at once."""
    first = {path: values_of(axis)[0] for path, axis in space.items()}
    yield first
    for path, axis in space.items():
        for value in values_of(axis)[1:]:
            yield {**first, path: value}


def point_overrides(point: Point) -> tuple[str, ...]:
    """Return the overrides of a point; those that contain others are applied before them."""
    return as_tuple(dict(sorted(point.items(), key=lambda one: one[0].count("."))))


def value_text(value: Any) -> str:
    """Return a value as `--set` takes it."""
    return value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)


def label(value: Any) -> str:
    """Return a value for a table: `leaky_relu(slope=0.2)` is a component with an option."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return value_text(value)
    options = [f"{name}={label(one)}" for name, one in value.items() if name != "type"]
    return f"{value['type']}({', '.join(options)})" if options else str(value["type"])


def distinct(points: Iterable[Point]) -> list[Point]:
    """Return points without repetitions."""
    found: list[Point] = []
    known = set()
    for point in points:
        key = repr(sorted((path, repr(value)) for path, value in point.items()))
        if key not in known:
            known.add(key)
            found.append(point)
    return found


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return for each path the fewest last parts that distinguish it from the others."""
    paths = list(dict.fromkeys(paths))
    names = {}
    for path in paths:
        parts = path.split(".")
        others = [other.split(".") for other in paths if other != path]
        count = next(
            (n for n in range(1, len(parts)) if all(parts[-n:] != one[-n:] for one in others)),
            len(parts),
        )
        names[path] = ".".join(parts[-count:])
    return names
