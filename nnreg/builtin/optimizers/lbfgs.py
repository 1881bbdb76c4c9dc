"""L-BFGS, with a line search to the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.interfaces.component import Positive
from nnreg.interfaces.optimizer import Optimizer, UpdateState

DECREASE = 1e-4
"""The part of the decrease that the slope promises which a step must reach."""
CURVATURE = 0.9 * (1 - 1e-6)
"""The part of the slope that may remain after a step. A tenth of the way to the minimum of a
parabola leaves exactly 0.9, so that rounding would decide there."""
MAX_EVALUATIONS = 25
"""The most evaluations of the loss in one line search."""
MIN_CHANGE = 1e-9
"""The change of the parameters below which a line search ends."""


@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """Quasi-Newton steps from the last changes of the parameters and of the gradient.

    p ← p - t · H · g

    H is the inverse Hessian that the last `history_size` pairs of changes imply, as two loops over
    them compute it; t starts at the learning rate and is found by a line search. One iteration
    per step, where PyTorch makes up to 20, each with two or more further passes. For small
    networks, with all examples in one batch: a smaller batch gives a warning. Nocedal and
    Wright 2006, chapters 3 and 7.

    Options:
        learning_rate: first t of a line search, or t without one, > 0
        history_size: pairs of changes that are kept, in [1, 100]
        line_search: "strong_wolfe" or "none"
    """

    full_batch = True
    learning_rate: Positive = 1.0
    history_size: Annotated[int, Interval(ge=1, le=100)] = 10
    line_search: Literal["strong_wolfe", "none"] = "strong_wolfe"

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The changes s of the parameters and y of the gradient, the latest first."""
        return tuple(f"{kind}{age}" for kind in "sy" for age in range(self.history_size))

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        pairs = self._pairs(state)
        direction = _two_loops(gradient, pairs)
        slope = _dot(direction, gradient)
        if not slope < 0:  # at a minimum
            return
        step = self.learning_rate
        if not pairs:
            step *= min(1.0, 1 / float(np.sum(np.abs(gradient))))
        start = parameters.copy()

        def at(step: float) -> _Point:
            np.add(start, step * direction, out=parameters)
            loss, found = state.evaluate()
            return _Point(step, loss, _dot(found, direction), found)

        if self.line_search == "none":
            end = at(step)
        else:
            first = _Point(0.0, state.evaluate()[0], slope, gradient)
            end = _strong_wolfe(at, first, step, float(np.max(np.abs(direction))))
            np.add(start, end.step * direction, out=parameters)
        self._remember(end.step * direction, end.gradient - gradient, state)

    def _pairs(self, state: UpdateState) -> list[_Pair]:
        """Return the pairs of changes, the latest first."""
        pairs = []
        for age in range(self.history_size):
            s, y = state.vectors[f"s{age}"], state.vectors[f"y{age}"]
            curvature = _dot(s, y)
            if not curvature > 0:
                break
            pairs.append(_Pair(s, y, curvature))
        return pairs

    def _remember(self, s: Array, y: Array, state: UpdateState) -> None:
        """Keep a pair of changes, if it has a positive curvature."""
        if not _dot(s, y) > float(np.finfo(s.dtype).eps) * _dot(y, y):
            return
        for kind, change in (("s", s), ("y", y)):
            for age in range(self.history_size - 1, 0, -1):
                state.vectors[f"{kind}{age}"][...] = state.vectors[f"{kind}{age - 1}"]
            state.vectors[f"{kind}0"][...] = change


class _Pair(NamedTuple):
    s: Array
    y: Array
    curvature: float


class _Point(NamedTuple):
    """A step along the direction, with the loss, its slope along the direction, its gradient."""

    step: float
    loss: float
    slope: float
    gradient: Array


def _dot(a: Array, b: Array) -> float:
    return float(np.sum(a * b))


def _two_loops(gradient: Array, pairs: list[_Pair]) -> Array:
    """Return minus the approximate inverse Hessian times a gradient."""
    q, factors = -gradient, []
    for s, y, curvature in pairs:
        factors.append(_dot(s, q) / curvature)
        q = q - factors[-1] * y
    if pairs:
        _, y, curvature = pairs[0]
        q = curvature / _dot(y, y) * q
    for (s, y, curvature), factor in zip(reversed(pairs), reversed(factors), strict=True):
        q = q + (factor - _dot(y, q) / curvature) * s
    return q


def _strong_wolfe(at: Callable[[float], _Point], start: _Point, step: float, size: float) -> _Point:
    """Return a point with a sufficient decrease and a small slope, or the lowest that was found.

    `size` is the largest change of a parameter by a step of 1.
    """
    before, point = start, at(step)
    for count in range(1, MAX_EVALUATIONS):
        if not _decreases(point, start) or (count > 1 and point.loss >= before.loss):
            break
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        if point.slope >= 0:
            break
        low, high = point.step + 0.01 * (point.step - before.step), 10 * point.step
        before, point = point, at(_lowest(before, point, low, high))
    return _zoom(at, start, (before, point), size, MAX_EVALUATIONS - count)


def _decreases(point: _Point, start: _Point) -> bool:
    return point.loss <= start.loss + DECREASE * point.step * start.slope


def _zoom(
    at: Callable[[float], _Point],
    start: _Point,
    bracket: tuple[_Point, _Point],
    size: float,
    evaluations: int,
) -> _Point:
    """Return a point of a bracket that satisfies the conditions, or else its lower end."""
    low, high = _in_order(*bracket)
    stuck = False
    for _ in range(evaluations):
        first, last = sorted((low.step, high.step))
        margin = 0.1 * (last - first)
        if (last - first) * size < MIN_CHANGE:
            break
        step = _lowest(low, high, first, last)
        close = min(last - step, step - first) < margin
        if close and (stuck or not first < step < last):
            step = last - margin if last - step < step - first else first + margin
            close = False
        stuck = close
        point = at(step)
        if not _decreases(point, start) or point.loss >= low.loss:
            low, high = _in_order(low, point)
            continue
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        low, high = point, (low if point.slope * (high.step - low.step) >= 0 else high)
    return low


def _in_order(a: _Point, b: _Point) -> tuple[_Point, _Point]:
    """Return the point with the lower loss first; one without a finite loss is last."""
    return (b, a) if b.loss < a.loss else (a, b)


def _lowest(a: _Point, b: _Point, first: float, last: float) -> float:
    """Return where the cubic through two points is lowest, between two steps.

    If it has no minimum, also by rounding, that of the parabola with these slopes; the middle
    without any, or where a loss is not finite.
    """
    width, bend = b.step - a.step, b.slope - a.slope
    mean = a.slope + b.slope - 3 * (b.loss - a.loss) / width
    square = mean**2 - a.slope * b.slope
    if not abs(square) < math.inf:
        return (first + last) / 2
    if square >= 0:
        root = math.copysign(math.sqrt(square), width)
        change, divisor = b.slope + root - mean, bend + 2 * root
    else:
        change, divisor = b.slope, bend
    if not divisor * width > 0:
        return (first + last) / 2
    return min(max(b.step - width * change / divisor, first), last)
