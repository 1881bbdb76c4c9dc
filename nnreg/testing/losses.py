"""The conformance checks of losses. Each takes a loss, outputs and targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.loss import Loss, of_rows
from nnreg.interfaces.returned import Caller, as_number
from nnreg.testing.assertions import TOLERANCE, close, close_in_float32, finite, same, shape
from nnreg.testing.finite_differences import (
    EXTREMES,
    central_difference,
    points,
    require_subgradient,
)
from nnreg.testing.strict_arrays import StrictWorkspace, as_strict, unwrap
from nnreg.training.component_checks import check_loss as check_loss_returns
from nnreg.training.component_checks import within

LABELS = np.array([0, 2, 1, 1])


@dataclass(frozen=True)
class LossCase:
    """A loss, outputs `y` and targets `t`; `logits` are outputs before the fused activation."""

    component: Loss
    y: Array
    t: Array
    logits: bool = False

    def __str__(self) -> str:
        return f"{self.component}{' from logits' if self.logits else ''}"

    def forward(self, y: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Return the loss of copies of both, and the function that returns its gradient."""
        forward = self.component.forward_logits if self.logits else self.component.forward
        return forward(y.copy(), t.copy())

    def value(self, y: Array) -> float:
        """Return the loss of other outputs."""
        return self.forward(y, self.t)[0]

    def both(self) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        value, backward = self.forward(self.y, self.t)
        return value, backward().copy()


def check_loss(loss: Loss, y: Array, t: Array, *, logits: bool = False) -> None:
    """Run on a loss all checks that apply to its class, with outputs `y` (float64) and targets `t`.

    With `logits`, `y` are the outputs before the activation `loss.fused_activation`.
    """
    case = LossCase(loss, y, t, logits)
    for check in checks_of(type(loss)):
        check(case)


def returns(case: LossCase) -> None:
    """Each method returns what it should: a number, and a backward function with an array."""
    check_loss_returns(Caller(case.component), case.y, case.t, case.logits, exact=False)


def gradient(case: LossCase) -> None:
    """The gradient agrees with central differences, in float64."""
    _, dy = case.both()
    y = case.y.copy()
    close(case, "the gradient", dy, central_difference(lambda: case.value(y), y), TOLERANCE)


def kinks(case: LossCase) -> None:
    """At errors of 0, 1 and values of options, the gradient is between one-sided derivatives."""
    loss = case.component
    if not _takes_any_number(case) or case.y.shape != case.t.shape:
        return
    options = [v for v in vars(loss).values() if isinstance(v, int | float)]
    for distance in sorted({sign * abs(v) + 0.0 for v in (0.0, 1.0, *options) for sign in (-1, 1)}):

        def with_error(size: float) -> LossCase:
            y = case.t.copy()
            y[0, 0] += size
            return replace(case, y=y)

        def value(size: float) -> float:
            return with_error(size).both()[0]

        _, dy = with_error(distance).both()
        require_subgradient(
            loss, "the gradient, as a function of the error,", value, distance, dy[0, 0]
        )


def extremes(case: LossCase) -> None:
    """Loss and gradient are finite at outputs of ±10,000 or the declared bounds, in float32."""
    low, high = (-math.inf, math.inf) if case.logits else case.component.input_range
    t = _single(case.t)
    for extreme in EXTREMES:
        ends = max(low, -abs(extreme)), min(high, abs(extreme))
        for first, second in (ends, ends[::-1]):
            far = np.where(np.arange(case.y.size) % 2, first, second).reshape(case.y.shape)
            value, backward = case.forward(far.astype(np.float32), t)
            finite(case, f"the loss of {first:g} and {second:g}", np.array(value))
            finite(case, f"the gradient of {first:g} and {second:g}", backward())


def float32(case: LossCase) -> None:
    """The gradient for float32 is float32; loss and gradient agree with those for float64."""
    value, dy = case.both()
    single, backward = case.forward(case.y.astype(np.float32), _single(case.t))
    close(case, "the loss in float32", np.array(single), np.array(value), 2e-5)
    close_in_float32(case, "the gradient", backward(), dy)


def shapes(case: LossCase) -> None:
    """The loss is a number, and the gradient has the shape of the outputs, also for one row."""
    for count in (1, len(case.y)):
        value, backward = case.forward(case.y[:count], case.t[:count])
        if as_number(value) is None:
            raise AssertionError(f"{case}: the loss is {type(value).__name__}, not a number")
        shape(case, f"the gradient of {count} rows", backward(), case.y[:count].shape)


def mean(case: LossCase) -> None:
    """It is a mean: a duplicated batch has the same loss and half the gradient per example."""
    value, dy = case.both()
    twice, backward = case.forward(
        np.concatenate([case.y, case.y]), np.concatenate([case.t, case.t])
    )
    close(case, "the loss of the duplicated batch", np.array(twice), np.array(value), 1e-12)
    half = np.concatenate([dy, dy]) / 2
    close(case, "the gradient of the duplicated batch", backward(), half, 1e-12)


def independent(case: LossCase) -> None:
    """The gradient of an example is independent of others; `per_example` returns each loss."""
    _, dy = case.both()
    y, t = case.y.copy(), case.t.copy()
    y[1:] = y[0]
    _, backward = case.forward(y, t)
    close(case, "the gradient of a row among other rows", backward()[0], dy[0], 1e-12)
    rows = [slice(row, row + 1) for row in range(len(t))]
    alone = np.array([case.forward(case.y[row], t[row])[0] for row in rows])
    found = case.component.per_example(case.y.copy(), t, logits=case.logits)
    close(case, "the result of per_example", found, alone, 1e-12)


def weighted(case: LossCase) -> None:
    """`forward_weighted` returns the mean of loss times weight, and its gradient."""
    rows = [slice(row, row + 1) for row in range(len(case.t))]
    alone = np.array([case.forward(case.y[row], case.t[row])[0] for row in rows])
    weights = np.arange(len(alone)) % 3 / 2
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False), training=True)
    value, backward = case.component.forward_weighted(
        case.y.copy(), case.t.copy(), weights, context, logits=case.logits
    )
    _, dy = case.both()
    expected = np.array(np.mean(weights * alone))
    close(case, "the loss with weights", np.array(float(value)), expected, 1e-12)
    close(case, "the gradient with weights", backward(), dy * of_rows(weights, dy), 1e-12)


def inputs_unchanged(case: LossCase) -> None:
    """Neither outputs nor targets are modified."""
    y, t = case.y.copy(), case.t.copy()
    forward = case.component.forward_logits if case.logits else case.component.forward
    forward(y, t)[1]()
    same(case, "the outputs after the call", y, case.y)
    same(case, "the targets after the call", t, case.t)


def repeatable(case: LossCase) -> None:
    """Results for the same outputs and targets are bit-identical."""
    (value, dy), (again, dy_again) = case.both(), case.both()
    same(case, "the loss called again", np.array(again), np.array(value))
    same(case, "the gradient called again", dy_again, dy)


def reentrant(case: LossCase) -> None:
    """A second call between the loss and its gradient changes nothing: there is no state."""
    _, dy = case.both()
    _, backward = case.forward(case.y, case.t)
    _, other_backward = case.forward(case.y[::-1], case.t)
    other_backward()
    close(case, "the gradient, with another call in between,", backward(), dy, 1e-12)


def buffered(case: LossCase) -> None:
    """`forward_with_workspace`, which the trainer calls, gives the same results."""
    value, dy = case.both()
    found, backward_fn = _buffered(case, case.y.copy(), case.t.copy(), Workspace)
    close(case, "the buffered loss", np.array(found), np.array(value), 1e-13)
    close(case, "the buffered gradient", backward_fn(), dy, 1e-12)


def masked(case: LossCase) -> None:
    """`forward_masked` depends on real steps only; its gradient is theirs, and 0 elsewhere."""
    if len(case.y) < 4:
        return
    rows, mask = np.array([[0, 1, 2], [3, 0, 1]]), np.array([[1, 1, 1], [1, 0, 0]], bool)
    y, t = case.y[:4].copy(), case.t[rows]

    def forward(y: Array) -> tuple[float, Callable[[], Array]]:
        context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
        return case.component.forward_masked(y, t.copy(), mask, context, logits=case.logits)

    value, backward = forward(y[rows])
    other = y[rows]
    other[~mask] = y[2:]
    found, _ = forward(other)
    close(case, "the loss with other values at masked steps", np.array(found), np.array(value), 0)
    dy = backward()
    shape(case, "the gradient of sequences", dy, other.shape)
    same(case, "the gradient at masked steps", dy[~mask], np.zeros_like(dy[~mask]))
    differences = central_difference(lambda: forward(y[rows])[0], y)
    close(case, "the gradient at real steps", dy[mask], differences, TOLERANCE)


def fused(case: LossCase) -> None:
    """Results for logits agree with those for the outputs of the fused activation."""
    activation = case.component.fused_activation
    if not case.logits or activation is None:
        return
    value, dz = case.both()
    y, backward_fn = activation().forward(case.y)
    plain, backward = case.component.forward(y, case.t)
    close(case, "the loss", np.array(value), np.array(plain), 1e-9)
    close(case, "the gradient", dz, backward_fn(backward()), 1e-7)


def dispatch(case: LossCase) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    value, backward = _buffered(case, case.y.copy(), case.t.copy(), Workspace)
    y, t = as_strict(case.y.copy()), as_strict(case.t.copy())
    found, backward_fn = _buffered(case, y, t, StrictWorkspace)
    what = "of another array type"
    close(case, f"the loss {what}", np.array(float(found)), np.array(value), 1e-12)
    close(case, f"the gradient {what}", unwrap(backward_fn()), backward(), 1e-12)
    if type(case.component).forward_weighted is not Loss.forward_weighted:
        context = Context({}, {}, {}, {}, StrictWorkspace(np.float64, reuse=False))
        ones = as_strict(np.ones(len(case.t)))
        found, backward_fn = case.component.forward_weighted(
            y, t, ones, context, logits=case.logits
        )
        close(case, f"the weighted loss {what}", np.array(float(found)), np.array(value), 1e-12)
        close(case, f"the weighted gradient {what}", unwrap(backward_fn()), backward(), 1e-12)


CHECKS = (
    returns,
    gradient,
    kinks,
    extremes,
    float32,
    shapes,
    mean,
    independent,
    weighted,
    inputs_unchanged,
    repeatable,
    reentrant,
    buffered,
    masked,
    fused,
    dispatch,
)


def checks_of(cls: type[Loss]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    skipped: set[Any] = set() if cls.exact_gradient else {gradient, kinks}
    if not cls.independent:
        skipped |= {mean, independent, weighted}
    if cls.forward is Loss.forward:
        skipped.add(dispatch)  # autograd takes arrays of NumPy alone
    elif cls.forward_weighted is Loss.forward_weighted:
        skipped.add(weighted)  # it calls `forward` alone
    if cls.fused_activation is None:
        skipped.add(fused)
    if cls.forward_masked is Loss.forward_masked:
        skipped.add(masked)
    if cls.classification or cls.input_range != (-math.inf, math.inf):
        skipped.add(kinks)
    return [check for check in CHECKS if check not in skipped]


def cases(loss: Loss | tuple[Loss, Array, Array]) -> Sequence[LossCase]:
    """Return the loss with outputs and targets of each form that it declares, or with its own.

    There is none if it takes other shapes than these.
    """
    if isinstance(loss, tuple):
        return [LossCase(*loss)]
    if not _fits(loss, *(((), 3) if loss.classification else ((3,), None))):
        return []
    one_hot = np.eye(3)[LABELS]
    y = within(loss.input_range, points((4, 3)))
    if not loss.takes_target:
        return [LossCase(loss, y, np.empty((4, 0)))]
    if not loss.classification:
        unbounded = loss.target_range == (-math.inf, math.inf)
        bounds = loss.input_range if unbounded else loss.target_range
        return [LossCase(loss, y, within(bounds, points((4, 3), seed=1)))]
    targets = [one_hot, LABELS] if loss.takes_labels else [one_hot]
    if loss.takes_labels and not _fits(loss, (3,), None):
        targets = [LABELS]
    if loss.input_range == (0, 1):
        y = y / y.sum(axis=1, keepdims=True)
    found = [LossCase(loss, y, t) for t in targets]
    if loss.fused_activation is not None:
        found += [LossCase(loss, points((4, 3)), t, logits=True) for t in targets]
    return found


def _fits(loss: Loss, target: Shape, classes: int | None) -> bool:
    """Return whether a loss takes three outputs for targets of this shape."""
    try:
        return loss.fits((3,), target, classes)
    except ValueError:
        return False


def _takes_any_number(case: LossCase) -> bool:
    loss = case.component
    return not (case.logits or loss.classification) and loss.input_range == (-math.inf, math.inf)


def _single(t: Array) -> Array:
    return t if t.dtype.kind in "iu" else t.astype(np.float32)


def _buffered(case: LossCase, y: Any, t: Any, workspace: type[Workspace]) -> Any:
    context = Context({}, {}, {}, {}, workspace(np.float64, reuse=False))
    return case.component.forward_with_workspace(y, t, context, logits=case.logits)
