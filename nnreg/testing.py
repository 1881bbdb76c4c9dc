"""Checks for a component's own tests: that its gradients are right and its manners good.

Each check raises AssertionError naming the component, what was found and what was expected.

    from hypothesis import given
    from nnreg.testing import check_activation, configurations

    @given(configurations(Swish))
    def test_gradient(swish):
        check_activation(swish, smooth=True)
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, cast

import numpy as np
from annotated_types import Ge, Gt, Interval, Le, Lt

from nnreg.component import Array, Component, Shape
from nnreg.interfaces import Activation, Context, Layer, Loss, Plan, Workspace
from nnreg.network import Network

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

STEP = 1e-5
"""The step of central differences: their error is least near it in float64."""

TOLERANCE = 1e-7
EXTREMES = (-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4)


def configurations(cls: type[T], **options: SearchStrategy[Any]) -> SearchStrategy[T]:
    """Draw valid instances of a component from the annotations of its fields, with Hypothesis.

    Numbers without a bound stay within 3 of it, so that rounding does not hide errors. A field
    that is itself a component keeps its default; give a strategy for it in `options`.
    """
    from hypothesis import strategies as st

    hints = typing.get_type_hints(cls, include_extras=True)
    drawn = {}
    for field in dataclasses.fields(cast(Any, cls)):
        strategy = options.get(field.name)
        if strategy is None:
            strategy = _strategy(hints[field.name])
        if strategy is None and field.default is not dataclasses.MISSING:
            strategy = st.just(field.default)
        if strategy is None:
            raise TypeError(f"{cls.__name__}.{field.name}: give a strategy for this option")
        drawn[field.name] = strategy
    return st.builds(cls, **drawn)


def _strategy(hint: Any) -> SearchStrategy[Any] | None:
    """Return values of a type, or None where only the author knows them."""
    from hypothesis import strategies as st

    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:])
    if hint in (int, float):
        return _bounded(hint, ())
    if hint is bool:
        return st.booleans()
    if hint is type(None):
        return st.none()
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        branches = [branch for branch in map(_strategy, arguments) if branch is not None]
        return st.one_of(branches) if len(branches) == len(arguments) else None
    if origin is tuple and Ellipsis not in arguments:
        parts = [part for part in map(_strategy, arguments) if part is not None]
        return st.tuples(*parts) if len(parts) == len(arguments) else None
    return None


def _bounded(kind: type, constraints: tuple[Any, ...]) -> SearchStrategy[Any] | None:
    """Return numbers within annotated bounds, a hundredth away from those that are excluded."""
    from hypothesis import strategies as st

    if kind not in (int, float):
        return None
    margin = 1 if kind is int else 0.01
    low: Any = None
    high: Any = None
    for constraint in constraints:
        for one in constraint if isinstance(constraint, Interval) else [constraint]:
            if isinstance(one, Ge | Gt):
                low = one.ge if isinstance(one, Ge) else cast(Any, one.gt) + margin
            if isinstance(one, Le | Lt):
                high = one.le if isinstance(one, Le) else cast(Any, one.lt) - margin
    if low is None:
        low = -3 if high is None else high - 3
    high = low + 3 if high is None else high
    return st.integers(low, high) if kind is int else st.floats(low, high)


def central_difference(f: Callable[[], float], x: Array) -> Array:
    """Return the gradient of `f` by the values of `x`, which `f` reads, by central differences."""
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + STEP
        above = f()
        x[place] = kept - STEP
        below = f()
        x[place] = kept
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def check_activation(activation: Activation, *, smooth: bool = False) -> None:
    """Check an activation: gradient, buffered form, float32, extremes, empty batch, manners.

    `smooth` also compares with the complex step, exact to 1e-12, for formulas that take complex
    numbers.
    """
    x, dy = _points((4, 5)), _points((4, 5), seed=1)
    y, backward = _pure(activation, activation.forward, x, dy)
    dx = backward(dy)
    difference = central_difference(lambda: float(np.sum(activation.forward(x)[0] * dy)), x)
    _close(activation, "the gradient", dx, difference, TOLERANCE)
    if smooth:
        _close(activation, "the gradient", dx, _complex_step(activation, x, dy), 1e-12)

    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    buffered, undo = activation.forward_buffered(x.copy(), context)
    _close(activation, "the buffered output", buffered, y, 1e-14)
    _close(activation, "the buffered gradient", undo(dy), dx, 1e-13)
    bias, dbias = _points((5,), seed=2), np.full(5, np.nan)
    shifted, undo_shifted = activation.forward(x + bias)
    biased, undo_biased = activation.forward_biased(x.copy(), bias, context)
    _close(activation, "the biased output", biased, shifted, 1e-14)
    _close(activation, "the biased gradient", undo_biased(dy, dbias), undo_shifted(dy), 1e-13)
    _close(activation, "the bias gradient", dbias, undo_shifted(dy).sum(axis=0), 1e-13)

    single, undo_single = activation.forward(x.astype(np.float32))
    _float32(activation, single, y)
    _float32(activation, undo_single(dy.astype(np.float32)), dx)
    for value in EXTREMES:
        row = np.array([[value, 0, -value, 1]], np.float32)
        far, undo_far = activation.forward(row)
        _finite(activation, f"the output at {value:g}", far)
        _finite(activation, f"the gradient at {value:g}", undo_far(np.ones_like(row)))
    empty, undo_empty = activation.forward(np.empty((0, 5)))
    _shape(activation, "an empty batch", empty, (0, 5))
    _shape(activation, "the gradient of an empty batch", undo_empty(empty), (0, 5))


def check_loss(loss: Loss, y: Array, t: Array, *, logits: bool = False) -> None:
    """Check a loss at outputs `y` (float64) and targets `t`: gradient, float32, manners.

    With `logits`, `y` is what comes before the last activation, `loss.link`.
    """
    forward = loss.forward_logits if logits else loss.forward
    y_before, t_before = y.copy(), t.copy()
    value, backward = forward(y, t)
    dy = backward()
    _close(loss, "the gradient", dy, central_difference(lambda: forward(y, t)[0], y), TOLERANCE)
    _same(loss, "the outputs after the call", y, y_before)
    _same(loss, "the targets after the call", t, t_before)
    again, backward_again = forward(y, t)
    _same(loss, "the loss called again", np.array(again), np.array(value))
    _same(loss, "the gradient called again", backward_again(), dy)
    context = Context({}, {}, {}, {}, Workspace(y.dtype, reuse=False))
    buffered, undo = loss.forward_buffered(y, t, context, logits=logits)
    _close(loss, "the buffered loss", np.array(buffered), np.array(value), 1e-13)
    _close(loss, "the buffered gradient", undo(), dy, 1e-12)
    t32 = t if t.dtype.kind in "iu" else t.astype(np.float32)
    value32, backward32 = forward(y.astype(np.float32), t32)
    _float32(loss, np.array(value32, np.float32), np.array(value))
    _float32(loss, backward32(), dy)
    if logits and loss.link is not None:
        plain, plain_backward = loss.forward(*_linked(loss, y, t))
        _close(loss, "the loss from logits", np.array(value), np.array(plain), 1e-9)
        _, undo_link = loss.link().forward(y)
        _close(loss, "the gradient from logits", dy, undo_link(plain_backward()), 1e-7)
    for extreme in EXTREMES if logits else ():
        far = np.where(np.arange(y.size) % 2, -extreme, extreme).reshape(y.shape)
        value, backward = forward(far.astype(np.float32), t32)
        _finite(loss, f"the loss at {extreme:g}", np.array(value))
        _finite(loss, f"the gradient at {extreme:g}", backward())


def _linked(loss: Loss, z: Array, t: Array) -> tuple[Array, Array]:
    assert loss.link is not None
    return loss.link().forward(z)[0], t


def check_layer(
    layer: Layer, shape: Shape, *, x: Array | None = None, seed: int = 0, batch: int = 3
) -> None:
    """Check a layer on inputs of `shape`, in training and not: gradients, shapes, manners.

    Gradients are those of the input (unless the layer takes integers: give `x` then) and of every
    parameter. Random layers draw from a stream that is set back before each call.
    """
    for training in (True, False):
        _LayerCheck(layer, shape, x, seed, batch, training=training).run()


class _LayerCheck:
    """One layer in a network of its own, in training or not."""

    def __init__(
        self, layer: Layer, shape: Shape, x: Array | None, seed: int, batch: int, *, training: bool
    ) -> None:
        self.layer = layer
        plan = Plan("$")
        output = plan.layer("layers/0", layer, shape)
        self.network = Network(plan, shape, output, dtype=np.float64)
        self.network.initialize(seed)
        self.network.vector += 0.3 * _points((self.network.vector.size,), seed=3)
        self.gradient = np.full_like(self.network.vector, np.nan)
        self.context = self.network.context(
            Workspace(np.float64, reuse=True),
            self.gradient,
            training=training,
            input_gradient=not layer.integer_input,
        )
        self.x = _points((batch, *shape)) if x is None else x
        self.dy = _points((len(self.x), *output), seed=1)
        self.shape, self.output = shape, output

    def forward(self, x: Array) -> tuple[Array, Any]:
        self.context.workspace.rewind()
        self.context.workspace.rng = np.random.default_rng(5)
        return self.network.forward(x, self.context)

    def run(self) -> None:
        """Check everything."""
        x_before, dy_before = self.x.copy(), self.dy.copy()
        y, backward = self.forward(self.x)
        _shape(self.layer, "the output", y, self.dy.shape)
        y, dx = y.copy(), backward(self.dy)
        _same(self.layer, "the input after the calls", self.x, x_before)
        _same(self.layer, "the output's gradient after the calls", self.dy, dy_before)
        gradient = self.gradient.copy()
        _finite(self.layer, "the parameters' gradient (it must be written in full)", gradient)
        dx = None if dx is None else dx.copy()

        again, backward_again = self.forward(self.x)
        _same(self.layer, "the output called again", again, y)
        backward_again(self.dy)
        _same(self.layer, "the gradient called again (it must not add up)", self.gradient, gradient)

        def loss() -> float:
            return float(np.sum(self.forward(self.x)[0] * self.dy))

        found = central_difference(loss, self.network.vector)
        _close(self.layer, "the parameters' gradient", gradient, found, TOLERANCE)
        if not self.layer.integer_input:
            assert dx is not None, f"{self.layer}: the input's gradient is None, but was asked for"
            found = central_difference(loss, self.x)
            _close(self.layer, "the input's gradient", dx, found, TOLERANCE)
        for count in (0, 1):
            rows = self.x[:count]
            y, backward = self.forward(rows)
            _shape(self.layer, f"the output of {count} rows", y, (count, *self.output))
            if count:
                backward(self.dy[:count])


def _points(shape: Shape, seed: int = 0) -> Array:
    """Return normal numbers at least a hundredth from zero, where many functions have a kink."""
    x = np.random.default_rng(seed).normal(size=shape)
    return np.where(np.abs(x) < 0.01, 0.5, x)


def _pure(component: Component, forward: Any, x: Array, dy: Array) -> tuple[Array, Any]:
    """Call twice, and see that inputs stay and results do not change."""
    x_before, dy_before = x.copy(), dy.copy()
    y, backward = forward(x)
    y_kept, dx = y.copy(), backward(dy)
    dx_kept = dx.copy()
    _same(component, "the input after the call", x, x_before)
    _same(component, "the output's gradient after the call", dy, dy_before)
    y_again, backward_again = forward(x)
    _same(component, "the output called again", y_again, y_kept)
    _same(component, "the gradient called again", backward_again(dy), dx_kept)
    _shape(component, "the output", y, x.shape)
    _shape(component, "the gradient", dx, x.shape)
    return y, backward


def _complex_step(activation: Activation, x: Array, dy: Array) -> Array:
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = np.sum(activation.forward(moved)[0].imag * dy) / 1e-30
    return gradient


def _close(component: object, what: str, found: Array, expected: Array, tolerance: float) -> None:
    """Compare by the largest difference, relative to the largest expected value or 1."""
    error = float(np.max(np.abs(found - expected), initial=0))
    scale = max(float(np.max(np.abs(expected), initial=0)), 1.0)
    assert error <= tolerance * scale, (
        f"{component}: {what} is off by {error:.3g}, more than {tolerance:g} of {scale:.3g}; "
        f"found {found.tolist()}, expected {expected.tolist()}"
    )


def _float32(component: object, found: Array, expected: Array) -> None:
    assert found.dtype == np.float32, f"{component}: float32 became {found.dtype}"
    _close(component, "the result in float32", found, expected, 2e-5)


def _finite(component: object, what: str, found: Array) -> None:
    assert np.isfinite(found).all(), f"{component}: {what} is not finite: {found.tolist()}"


def _shape(component: object, what: str, found: Array, expected: Shape) -> None:
    assert found.shape == expected, f"{component}: {what} has shape {found.shape}, not {expected}"


def _same(component: object, what: str, found: Array, expected: Array) -> None:
    assert np.array_equal(found, expected), f"{component}: {what} changed"
