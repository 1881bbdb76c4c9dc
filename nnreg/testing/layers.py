"""The conformance checks of layers. Each takes a layer and an input that it supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import DataError, NnregError, ShapeError
from nnreg.interfaces.join import Join, one_input
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.returned import Caller
from nnreg.testing.assertions import close, finite, same, shape
from nnreg.testing.finite_differences import EXTREMES, points, require_gradient
from nnreg.testing.layer_masks import (
    empty_sequences,
    masked_gradient,
    masked_passes,
    masked_values,
    padding,
)
from nnreg.testing.layer_pass import CLASSES, LayerCase, Pass, different
from nnreg.testing.layer_shards import shards
from nnreg.training.component_checks import check_layer as check_layer_returns

SHAPES: tuple[Shape, ...] = ((6,), (5, 4), (6, 5, 3), (3, 4, 4, 2))
"""The shapes of inputs: a layer is checked on those that its `build` accepts."""


def check_layer(
    layer: Layer, shape: Any, *, x: Array | None = None, seed: int = 0, batch: int = 3
) -> None:
    """Run all checks on a layer, with inputs of `shape`, or for a `Join`, of several shapes.

    A layer that takes integers needs `x`, unless zeros are sufficient.
    """
    checks = checks_of(type(layer))
    if layer.joins:
        layer, shape = one_input(layer, shape)
    case = LayerCase(layer, _input(layer, (batch, *shape)) if x is None else x, seed)
    for check in checks:
        check(case)


def returns(case: LayerCase) -> None:
    """`forward` returns an array and a backward function, which does its part."""
    root = LayerBuilder("$", CLASSES)
    root.layer("layers/0", case.layer, case.x.shape[1:])
    plan = root.children["layers/0"][1]
    check_layer_returns(Caller(case.layer), plan, case.x, np.float64, exact=False)


def gradient(case: LayerCase) -> None:
    """The gradients agree with central differences, in training and in inference."""
    for tried, dx in different(Pass(case, training=training) for training in (True, False)):
        dp = tried.gradient.copy()
        require_gradient(case, "the parameters' gradient", dp, tried.loss, tried.network.vector)
        if case.layer.integer_input:
            continue
        if dx is None:
            raise AssertionError(f"{case}: the input's gradient is None, but it is needed")
        tried.x = case.x.copy()
        require_gradient(case, "the input's gradient", dx, tried.loss, tried.x)


def written(case: LayerCase) -> None:
    """The gradient of every parameter is written in full, never added to previous values."""
    found = []
    for filled in (np.nan, 0.0, 1.0):
        tried = Pass(case, filled=filled)
        tried.run()
        found.append(tried.gradient)
    unwritten, plain, added = found
    finite(case, "the parameters' gradient (it must be written in full)", unwritten)
    close(case, "the parameters' gradient (it must not be added)", added, plain, 1e-12)


def extremes(case: LayerCase) -> None:
    """Output and gradients are finite at inputs up to ±10,000, in float32."""
    tried = Pass(case, dtype=np.float32)
    if not case.layer.integer_input:
        tried.x = np.resize(np.array(EXTREMES, np.float32), case.x.shape)
    y, dx = tried.run()
    finite(case, "the output", y)
    finite(case, "the parameters' gradient", tried.gradient)
    if dx is not None:
        finite(case, "the input's gradient", dx)


def float32(case: LayerCase) -> None:
    """Results for float32 are float32, and agree with those for float64."""
    double, single = Pass(case), Pass(case, dtype=np.float32)
    (y, dx), (y32, dx32) = double.run(), single.run()
    pairs = {"the output": (y32, y), "the parameters' gradient": (single.gradient, double.gradient)}
    if dx is not None and dx32 is not None:
        pairs["the input's gradient"] = dx32, dx
    for what, (found, expected) in pairs.items():
        if found.dtype != np.float32:
            raise AssertionError(f"{case}: {what} in float32 became {found.dtype}")
        close(case, f"{what} in float32", found, expected, 1e-4)


def shapes(case: LayerCase) -> None:
    """Output and gradient have the shapes that `build` returns, for batches of 0, 1 and more."""
    for count in (0, 1, len(case.x)):
        for training in (True, False) if count else (False,):
            tried = Pass(case, training=training)
            tried.x, tried.dy = tried.x[:count], tried.dy[:count]
            y, dx = tried.run()
            shape(case, f"the output of {count} rows", y, (count, *tried.output))
            if dx is not None:
                shape(case, f"the gradient of {count} rows", dx, tried.x.shape)


def inputs_unchanged(case: LayerCase) -> None:
    """Neither the input nor the gradient of the output is modified."""
    tried = Pass(case)
    x, dy = tried.x.copy(), tried.dy.copy()
    tried.context.workspace.rng = np.random.default_rng(5)
    _, backward = tried.call(x)
    same(case, "the input after the call", x, tried.x)
    backward(dy)
    same(case, "the input after the backward call", x, tried.x)
    same(case, "the output's gradient after the call", dy, tried.dy)


def repeatable(case: LayerCase) -> None:
    """Results for the same input and random numbers are bit-identical."""
    tried, second = Pass(case), Pass(case)
    (y, dx), (y_again, dx_again) = tried.run(), second.run()
    same(case, "the output called again", y_again, y)
    same(case, "the parameters' gradient called again", second.gradient, tried.gradient)
    if dx is not None and dx_again is not None:
        same(case, "the input's gradient called again", dx_again, dx)


def reentrant(case: LayerCase) -> None:
    """A pass of another network between forward and backward changes nothing."""
    alone, tried, other = Pass(case), Pass(case), Pass(case)
    _, dx = alone.run()
    _, backward = tried.forward(tried.x)
    other.x = other.x[::-1]
    other.run()
    found = backward(tried.dy.copy())
    what = ", with another pass in between,"
    close(case, f"the parameters' gradient{what}", tried.gradient, alone.gradient, 1e-12)
    if dx is not None:
        close(case, f"the input's gradient{what}", found, dx, 1e-12)


def first(case: LayerCase) -> None:
    """As the first layer, where the input's gradient is not needed, other results are the same."""
    whole, tried = Pass(case), Pass(case, input_gradient=False)
    (y, _), (found, _) = whole.run(), tried.run()
    close(case, "the output as the first layer", found, y, 1e-12)
    what = "the parameters' gradient as the first layer"
    close(case, what, tried.gradient, whole.gradient, 1e-12)


def refuses(case: LayerCase) -> None:
    """An unsupported input raises ShapeError with the supported shapes."""
    for size in (*SHAPES, ()):
        try:
            _build(case.layer, size)
        except NnregError as error:
            if _failed(error):
                raise AssertionError(
                    f"{case.layer}: for an input of shape {size} build raised {error.__cause__!r}, "
                    "not ShapeError"
                ) from error


def independent(case: LayerCase) -> None:
    """If declared, the result of an example depends on it alone, and no buffer changes."""
    for training in (True, False):
        tried = Pass(case, training=training)
        state = tried.network.state_vector.copy()
        y, dx = tried.run()
        same(case, "the state", tried.network.state_vector, state)
        rng = tried.context.workspace.rng
        if rng is None or rng.bit_generator.state != np.random.default_rng(5).bit_generator.state:
            continue  # the layer drew random numbers, which differ for a single example
        for row in range(len(case.x)):
            alone = Pass(case, training=training)
            alone.x, alone.dy = alone.x[row : row + 1], alone.dy[row : row + 1]
            y_alone, dx_alone = alone.run()
            close(case, "the output of an example alone", y_alone, y[row : row + 1], 1e-12)
            if dx is not None and dx_alone is not None:
                close(case, "the gradient of an example alone", dx_alone, dx[row : row + 1], 1e-12)


def dispatch(case: LayerCase) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    for training in (True, False):
        plain, tried = (Pass(case, training=training, strict=strict) for strict in (False, True))
        (y, dx), (found, dx_found) = plain.run(), tried.run()
        what = "of another array type"
        close(case, f"the output {what}", found, y, 1e-12)
        close(case, f"the parameters' gradient {what}", tried.gradient, plain.gradient, 1e-12)
        state = plain.network.state_vector
        close(case, f"the state {what}", tried.network.state_vector, state, 1e-12)
        if dx is not None and dx_found is not None:
            close(case, f"the input's gradient {what}", dx_found, dx, 1e-12)


def keeps_integers(case: LayerCase) -> None:
    """If declared, the output for integers is integers."""
    tried = Pass(case, training=False)
    x = case.x if case.layer.integer_input else np.arange(case.x.size).reshape(case.x.shape)
    y, _ = tried.forward(x)
    if y.dtype.kind not in "iu":
        raise AssertionError(
            f"{case}: the output for integers is {y.dtype}, but the layer declares keeps_integers"
        )


def output_range(case: LayerCase) -> None:
    """Every output in inference is within the `output_range` that the layer declares."""
    y, _ = Pass(case, training=False).run()
    low, high = case.layer.output_range or (-np.inf, np.inf)
    if not (low <= np.min(y) and np.max(y) <= high):
        raise AssertionError(
            f"{case}: outputs from {np.min(y):.6g} to {np.max(y):.6g}, but the layer declares "
            f"output_range = ({low:g}, {high:g})"
        )


def output_activation(case: LayerCase) -> None:
    """The layer that is split from its output activation, followed by it, gives the same output."""
    split = case.layer.split_output_activation()
    if split is None:
        return
    (y, _), (z, _) = Pass(case).run(), Pass(replace(case, layer=split[0])).run()
    close(case, "the output of its split activation", split[1].forward(z)[0], y, 1e-12)


def inferred(case: LayerCase) -> None:
    """What `infer` returns is the output in inference, with masks at all steps that are real."""
    tried = Pass(case, training=False)
    y, _ = tried.run()
    close(case, "what `infer` returns", tried.infer(), y, 1e-10)
    for other in masked_passes(case):
        y, _ = other.run()
        real, what = other.real_output, "what `infer` returns with a mask"
        close(case, what, other.infer() * real, y * real, 1e-10)


CHECKS = (
    returns,
    gradient,
    written,
    extremes,
    float32,
    shapes,
    inputs_unchanged,
    repeatable,
    reentrant,
    first,
    refuses,
    independent,
    dispatch,
    keeps_integers,
    output_range,
    output_activation,
    masked_values,
    masked_gradient,
    padding,
    empty_sequences,
    shards,
    inferred,
)


def checks_of(cls: type[Layer]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    skipped: set[Any] = set() if cls.exact_gradient else {gradient, masked_gradient}
    if cls.forward in (Layer.forward, Join.forward):
        skipped.add(dispatch)  # autograd takes arrays of NumPy alone
    if cls.keeps_mask in (None, Layer.keeps_mask):
        skipped |= {masked_values, masked_gradient, padding, empty_sequences}
    if not cls.independent:
        skipped.add(independent)
    if not cls.combines_shards:
        skipped.add(shards)
    if not cls.keeps_integers:
        skipped.add(keeps_integers)
    if cls.output_range is Layer.output_range:
        skipped.add(output_range)
    if cls.split_output_activation is Layer.split_output_activation:
        skipped.add(output_activation)
    if cls.infer in (Layer.infer, Join.infer) and cls.formula is Layer.formula:
        skipped.add(inferred)
    return [check for check in CHECKS if check not in skipped]


def cases(example: Layer | tuple[Layer, Shape]) -> Sequence[LayerCase]:
    """Return the layer with each of the inputs that it supports.

    Raises AssertionError if `build` fails on all inputs with another error than ShapeError.
    """
    layer = example if isinstance(example, Layer) else example[0]
    tried = _inputs(layer) if isinstance(example, Layer) else [example[1]]
    found, failures = [], []
    for given in tried:
        one, size = one_input(layer, given)
        try:
            _build(one, size)
        except NnregError as error:
            failures += [error] if _failed(error) else []
        else:
            found.append(LayerCase(one, _input(one, (3, *size))))
    if failures and not found:
        raise AssertionError(f"{layer}: {failures[0]}")
    return found


def _inputs(layer: Layer) -> list[Any]:
    """Return the shapes of inputs to try; for a join, those of two."""
    pairs = [(shape, shape) for shape in SHAPES] if layer.joins else []
    return [*pairs, *(SHAPES if not layer.reads_several(1) else ())]


def _build(layer: Layer, size: Shape) -> None:
    LayerBuilder("$", CLASSES).layer("layers/0", layer, size)


def _failed(error: NnregError) -> bool:
    """Return True if `build` raised another error than ShapeError."""
    return error.__cause__ is not None and not isinstance(error.__cause__, ShapeError)


def _input(layer: Layer, size: Shape) -> Array:
    """Return numbers, or for a layer that takes integers those of the largest accepted range."""
    if not layer.integer_input:
        return points(size)
    rng = np.random.default_rng(0)
    for bound in (10, 5, 3, 2):
        x = rng.integers(0, bound, size)
        try:
            layer.check_input(x)
        except DataError:
            continue
        return x
    return np.zeros(size, np.intp)
