"""The conformance checks of metrics. Each takes one instance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.returned import as_number
from nnreg.testing.assertions import same
from nnreg.testing.finite_differences import points

CLASSES = ("a", "b", "c")


def a_number(metric: Metric) -> None:
    """It is a finite number for good, bad and perfect predictions; of one example perhaps NaN."""
    predictions, targets, perfect = _data(metric)
    for y, t in (
        (predictions, targets),
        (perfect, targets),
        (predictions[::-1], targets),
        (predictions[:1], targets[:1]),
    ):
        value = metric.compute(y.copy(), t.copy())
        number = as_number(value)
        undefined = number is not None and math.isnan(number) and len(t) == 1
        if number is None or not (math.isfinite(number) or undefined):
            raise AssertionError(f"{metric}: compute returned {value!r}, not a finite number")


def direction(metric: Metric) -> None:
    """Perfect predictions are better than bad ones, as `higher_is_better` declares."""
    predictions, targets, right = _data(metric)
    bad = predictions[::-1]
    if metric.of_scores:
        if _accepts_all(metric, right, targets):
            return
        bad = (1 - right) / (right.shape[1] - 1)
    best, worst = (metric.compute(y.copy(), targets.copy()) for y in (right, bad))
    if not (best > worst if metric.higher_is_better else best < worst):
        raise AssertionError(
            f"{metric}: it is {best:.6g} for perfect predictions and {worst:.6g} for bad ones, "
            f"but the class declares higher_is_better = {metric.higher_is_better}"
        )


def _accepts_all(metric: Metric, right: Array, targets: Array) -> bool:
    """Return whether other options than the default ones make equal scores perfect.

    So do a recall or a precision that is asked of them, if it is small.
    """
    fields = dataclasses.fields(metric)  # type: ignore[arg-type]
    default = all(getattr(metric, field.name) == field.default for field in fields)
    equal = np.full_like(right, 1 / right.shape[1])
    values = [metric.compute(y.copy(), targets.copy()) for y in (right, equal)]
    return not default and values[0] == values[1]


def order(metric: Metric) -> None:
    """The order of the examples does not matter."""
    predictions, targets, _ = _data(metric)
    found = metric.compute(predictions[::-1].copy(), targets[::-1].copy())
    expected = metric.compute(predictions.copy(), targets.copy())
    if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12):
        raise AssertionError(
            f"{metric}: {expected:.6g} became {found:.6g} for the examples in another order"
        )


def inputs_unchanged(metric: Metric) -> None:
    """Neither predictions nor targets are modified."""
    predictions, targets, _ = _data(metric)
    y, t = predictions.copy(), targets.copy()
    metric.compute(y, t)
    same(metric, "the predictions after the call", y, predictions)
    same(metric, "the targets after the call", t, targets)


def repeatable(metric: Metric) -> None:
    """The values for the same predictions and targets are bit-identical."""
    predictions, targets, _ = _data(metric)
    first, again = (metric.compute(predictions.copy(), targets.copy()) for _ in range(2))
    same(metric, "the value computed again", np.array(again), np.array(first))


CHECKS = (a_number, direction, order, inputs_unchanged, repeatable)


def checks_of(cls: type[Metric]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(metric: Metric) -> Sequence[Metric]:
    """Return the arguments of the checks; none for a metric of scores of more classes."""
    if metric.of_scores:
        try:
            metric.check_classes(CLASSES)
        except ValueError:
            return []
    return [metric]


def _data(metric: Metric) -> tuple[Array, Array, Array]:
    """Return predictions, targets, and the predictions that are perfect for these targets."""
    if not metric.classification:
        targets = 4 * points((6, 2))
        return targets + 0.5 * points((6, 2), seed=1), targets, targets
    predictions, targets = np.array([0, 1, 1, 0, 2, 1]), np.array([0, 1, 2, 0, 2, 1])
    if not metric.of_scores:
        return predictions, targets, targets
    perfect = np.eye(len(CLASSES))
    scores = perfect[predictions] + 0.5 * np.abs(np.sin(points((6, len(CLASSES)))))
    return scores / scores.sum(axis=1, keepdims=True), targets, perfect[targets]
