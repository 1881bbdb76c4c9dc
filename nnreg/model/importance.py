"""Permutation importance: how much worse a metric gets when a column's values are shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import DataError, UsageError
from nnreg.interfaces.graph import INPUT
from nnreg.model.model import Model
from nnreg.network.work import seconds_of_pass
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import NamedArrays
from nnreg.tables.padded import Padded
from nnreg.training.evaluation import Examples

IMPORTANCE_STREAM = 22
"""The random stream: column i is shuffled by SeedSequence([seed, stream, i])."""

REPEATS = 5

MAX_SECONDS = 60.0
"""The estimated time above which rows, and then columns, are left out."""

MIN_ROWS = 200
"""The rows that are used at least, if there are as many."""

TOO_LONG = "not computed, as all columns together would take too long; choose it by its name"

SECONDS_PER_EVALUATION = 1e-4
"""What an evaluation takes besides the pass through the network, for a few rows."""


@dataclass(frozen=True)
class ColumnImportance:
    """How much worse the metric gets without a column: the mean over the repeats.

    `std` is the standard deviation of a sample (n - 1), None of a single repeat.
    """

    column: str
    mean: float
    std: float | None


@dataclass(frozen=True)
class Importance:
    """The importance of the input columns, the largest first.

    `value` is that of the metric before shuffling, on `rows` of the `of_rows` that were given.
    `left_out` has the reason for each column that has no importance.
    """

    metric: str
    value: float
    rows: int
    of_rows: int
    repeats: int
    columns: tuple[ColumnImportance, ...]
    left_out: Mapping[str, str]


def importance(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    metric: str | None = None,
    repeats: int = REPEATS,
    columns: Collection[str] | None = None,
    seed: int | None = None,
) -> Importance:
    """Return how much worse a metric gets when a column's values are shuffled among the rows.

    Breiman 2001; Fisher, Rudin & Dominici 2019. `x` and `y` are raw rows and targets that the model
    was not trained on. `metric` is the loss or a metric of the spec, by default its first metric.
    `seed` is by default that of the spec. `columns` are by default all input columns.

    Columns that are correlated share their importance: shuffled alone, each is replaced by the
    others. Rows, and then columns, are left out where all would take more than about a minute.
    Raises `UsageError` for an unknown metric or column, and `DataError` for rows that do not fit.
    """
    examples = model.examples(*model.raw_rows.without_dropped(x, y)[:2])
    return importance_on(
        model, examples, metric=metric, repeats=repeats, columns=columns, seed=seed
    )


def importance_on(
    model: Model,
    examples: Examples,
    *,
    metric: str | None = None,
    repeats: int = REPEATS,
    columns: Collection[str] | None = None,
    seed: int | None = None,
    seconds: float = MAX_SECONDS,
    on_fraction: Callable[[float], None] = lambda _: None,
) -> Importance:
    """Return the importance of columns in prepared examples; see `importance`.

    `seconds` is about how long it may take, by an estimate that does not depend on the clock.
    """
    if repeats < 1:
        raise UsageError(f"repeats: found {repeats}, expected an integer >= 1")
    name = _metric(model, metric)
    seed = model.spec.seed if seed is None else seed
    places, left_out = _places(model.preprocessing)
    chosen = _chosen(places, left_out, columns)
    rows, fitting = _bounds(model, len(examples), len(chosen) * repeats, seconds)
    count = max(fitting // repeats, 1)
    left_out |= dict.fromkeys(chosen[count:], TOO_LONG)
    chosen = chosen[:count]
    used = _sample(examples, rows, seed)
    value = _value(model, used, name)
    sign = 1 if model.evaluation.higher_is_better(name) else -1
    numbers = {column: number for number, column in enumerate(places)}
    found = []
    for done, one in enumerate(chosen):
        orders = permutations(seed, numbers[one], rows, repeats)
        worse = [
            sign * (value - _value(model, shuffled, name))
            for shuffled in _shuffled(used, places[one], orders)
        ]
        std = float(np.std(worse, ddof=1)) if repeats > 1 else None
        found.append(ColumnImportance(one, float(np.mean(worse)), std))
        on_fraction((done + 1) / len(chosen))
    found.sort(key=lambda one: math.inf if math.isnan(one.mean) else -one.mean)
    return Importance(name, value, rows, len(examples), repeats, tuple(found), left_out)


def permutations(seed: int, column: int, rows: int, repeats: int) -> Iterator[Array]:
    """Yield the orders in which the values of the input column of this number are shuffled."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, IMPORTANCE_STREAM, column + 1]))
    for _ in range(repeats):
        yield rng.permutation(rows)


def _metric(model: Model, metric: str | None) -> str:
    """Return the name of the metric to compare by."""
    names = model.evaluation.names
    if metric is None:
        return names[min(1, len(names) - 1)]
    if metric not in names:
        raise UsageError(f"unknown metric {metric!r}{suggest(metric, names)}")
    return metric


def _value(model: Model, examples: Examples, metric: str) -> float:
    network = model.network_for(len(examples))
    return float(model.evaluation.evaluate(network, examples)[metric])


_Place = tuple[str, slice]
"""An input of the network, empty for the only one, and the features of a column there."""


def _places(preprocessing: Preprocessing) -> tuple[dict[str, list[_Place]], dict[str, str]]:
    """Return where each input column is, and why the others cannot be shuffled alone."""
    found, left_out = dict[str, list[_Place]](), dict[str, str]()
    for name, part in (preprocessing.parts or {"": preprocessing}).items():
        start, sequences = 0, INPUT in part.steps
        for one in part.inputs:
            width = math.prod(one.shape[-1:])
            if sequences and preprocessing.targets_per_step:
                left_out[one.name] = "its sequences have targets in each of their steps"
            elif sequences and len(part.inputs) > 1:
                left_out[one.name] = "its sequences are as long as those of other columns"
            else:
                place = slice(start, start + width) if len(part.inputs) > 1 else slice(None)
                found.setdefault(one.name, []).append((name, place))
            start += width
    return found, left_out


def _chosen(
    places: Collection[str], left_out: Mapping[str, str], columns: Collection[str] | None
) -> list[str]:
    """Return the columns to shuffle. Raises `DataError` for one that cannot be, or if none can."""
    if columns is None:
        if not places:
            name, reason = next(iter(left_out.items()))
            raise DataError(f"no column can be shuffled alone: {name!r}: {reason}")
        return list(places)
    for name in columns:
        if name in left_out:
            raise DataError(f"column {name!r} cannot be shuffled alone: {left_out[name]}")
        if name not in places:
            raise UsageError(f"no input column {name!r}{suggest(name, places)}")
    return list(dict.fromkeys(columns))


def _bounds(model: Model, rows: int, evaluations: int, seconds: float) -> tuple[int, int]:
    """Return how many rows, and how many evaluations of these, take less than some seconds.

    There are at least `MIN_ROWS`, or all.
    """

    def cost(rows: int) -> float:
        return SECONDS_PER_EVALUATION + seconds_of_pass(model.network, rows)

    if evaluations * cost(rows) > seconds:
        fixed, each = cost(0), (cost(rows) - cost(0)) / rows
        fitting = int((seconds / evaluations - fixed) / each)
        rows = min(rows, max(fitting, MIN_ROWS))
    return rows, min(evaluations, int(seconds / cost(rows)))


def _sample(examples: Examples, rows: int, seed: int) -> Examples:
    """Return as many of the examples, chosen at random, with their inputs in memory."""
    chosen = np.arange(len(examples))
    if rows < len(examples):
        rng = np.random.default_rng(np.random.SeedSequence([seed, IMPORTANCE_STREAM, 0]))
        chosen = np.sort(rng.choice(len(examples), rows, replace=False))

    def taken(x: Any) -> Any:
        return materialize(x.select(chosen)) if isinstance(x, LazyArray) else x[chosen]

    x, holders = examples.x, examples.holders
    return Examples(
        x.each(taken) if isinstance(x, NamedArrays) else taken(x),
        examples.targets[chosen],
        examples.raw_targets[chosen],
        holders=None if holders is None else holders[chosen],
    )


def _shuffled(
    examples: Examples, places: Sequence[_Place], orders: Iterator[Array]
) -> Iterator[Examples]:
    """Yield the examples with the features at these places in another order each time.

    The arrays of what was yielded before are used again.
    """
    x = examples.x
    named: dict[str, Any] = x.arrays if isinstance(x, NamedArrays) else {"": x}
    copies = {name: _copy(named[name]) for name, _ in places}
    for order in orders:
        for name, features in places:
            given, copy = named[name], copies[name]
            if isinstance(given, Padded):
                copies[name] = given[order]
            else:
                copy[..., features] = given[..., features][order]
        changed = {**named, **copies}
        yield replace(
            examples, x=NamedArrays(changed) if isinstance(x, NamedArrays) else changed[""]
        )


def _copy(values: Any) -> Any:
    return values if isinstance(values, Padded) else values.copy()
