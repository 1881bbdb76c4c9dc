"""What every metric must do. Each check takes one, in one configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.metric import Metric
from nnreg.testing.assertions import same
from nnreg.testing.finite_differences import points


def a_number(metric: Metric) -> None:
    """It gives a finite float: of a good guess, a bad one, a perfect one, a single example."""
    guess, truth = _guess_and_truth(metric)
    for y, t in ((guess, truth), (truth, truth), (guess[::-1], truth), (guess[:1], truth[:1])):
        value = metric.compute(y.copy(), t.copy())
        if not isinstance(value, float) or not math.isfinite(value):
            raise AssertionError(f"{metric}: compute gave {value!r}, not a finite float")


def direction(metric: Metric) -> None:
    """A perfect guess is better than a bad one, the way that `higher_is_better` says."""
    guess, truth = _guess_and_truth(metric)
    perfect, bad = (metric.compute(y.copy(), truth.copy()) for y in (truth, guess[::-1]))
    if not (perfect > bad if metric.higher_is_better else perfect < bad):
        raise AssertionError(
            f"{metric}: a perfect guess gets {perfect:.6g} and a bad one {bad:.6g}, but the class "
            f"says higher_is_better = {metric.higher_is_better}"
        )


def order(metric: Metric) -> None:
    """The order of the examples does not matter."""
    guess, truth = _guess_and_truth(metric)
    found = metric.compute(guess[::-1].copy(), truth[::-1].copy())
    expected = metric.compute(guess.copy(), truth.copy())
    if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12):
        raise AssertionError(
            f"{metric}: {expected:.6g} became {found:.6g} with the examples in another order"
        )


def inputs_kept(metric: Metric) -> None:
    """Neither guess nor truth is written to."""
    guess, truth = _guess_and_truth(metric)
    y, t = guess.copy(), truth.copy()
    metric.compute(y, t)
    same(metric, "the guess after the call", y, guess)
    same(metric, "the truth after the call", t, truth)


def repeatable(metric: Metric) -> None:
    """The same guess and truth give the same number each time."""
    guess, truth = _guess_and_truth(metric)
    first, again = (metric.compute(guess.copy(), truth.copy()) for _ in range(2))
    same(metric, "the number called again", np.array(again), np.array(first))


CHECKS = (a_number, direction, order, inputs_kept, repeatable)


def checks_of(cls: type[Metric]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(metric: Metric) -> Sequence[Metric]:
    """Return what the checks are called with."""
    return [metric]


def _guess_and_truth(metric: Metric) -> tuple[Array, Array]:
    if metric.classification:
        return np.array([0, 1, 1, 0, 2, 1]), np.array([0, 1, 2, 0, 2, 1])
    truth = 4 * points((6, 2))
    return truth + 0.5 * points((6, 2), seed=1), truth
