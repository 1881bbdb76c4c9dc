"""Checks of the components of plugins, once before training.

Each is called on a small batch, and what its methods return is checked, so that the error names the
component and not a line of nnreg; and its gradients are compared with finite differences, because a
network with a wrong gradient trains, only worse. This takes milliseconds, and a training step
checks nothing. Built-in components are tested where they are developed.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.threads import blas_threads
from nnreg.builtin.layers.dense import Dense
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.join import flat_inputs, one_input
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.passes import read_input
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.returned import Caller, describe
from nnreg.interfaces.schedule import Schedule, ScheduleContext
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.network.network import Network
from nnreg.network.parameters import declared, total_size
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.registry import Registry
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.padded import points_of
from nnreg.tables.windows import Windows
from nnreg.training import formulas
from nnreg.training.augment import check_augmentation, one_hot, refusal
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient_check import GradientError, require_gradient, wrong_gradient
from nnreg.training.layer_check import OneLayer, numbers
from nnreg.training.outputs import of_output
from nnreg.training.parameter_checks import check_constraint, check_optimizer, check_regularizer

ROWS = 4
"""The number of examples of the small batch."""

METRIC_ROWS = 1000
"""The number of targets that a metric gets: of a few, all may have one class."""

MAX_VALUES = 250_000
"""The size of a layer, in parameters or values of an example, above which its backward pass is not
checked: that would need a second copy of it."""


def check_components(
    components: Iterable[formulas.Located],
    registry: Registry,
    network: Network,
    evaluation: Evaluation,
    examples: Examples,
) -> None:
    """Raise `PluginError` for a component that is not built in and fails a check.

    Warns of formulas that are slow to train.
    """
    located = list(components)
    entries = {cls: registry.entry_of_class(cls) for cls in {type(one[1]) for one in located}}
    built_in = {cls for cls, entry in entries.items() if entry and entry.plugin == BUILT_IN}
    plugins = [one for one in located if type(one[1]) not in built_in]
    if not plugins:
        return
    inexact = [path for path, component, _ in located if not component.exact_gradient]
    layers: list[tuple[Caller, LayerBuilder, bool]] = []
    with blas_threads(1), _quiet():
        for path, component, plan in plugins:
            entry = entries[type(component)]
            provider = entry.provider if entry else type(component).__module__
            caller = Caller(component, f"{path}: {provider}")
            exact = not any(other.startswith(path) for other in inexact)
            match component:
                case Activation() if plan is None:  # one with parameters is checked as a layer
                    check_activation(caller, network.dtype, exact=exact)
                case Loss():
                    one, own, shape = of_output(path, evaluation, examples, network)
                    bounds = (-math.inf, math.inf) if one.logits else component.input_range
                    t, weighted = points_of(own.targets)[:ROWS], examples.weights is not None
                    y = within(bounds, numbers((len(t), *shape[one.masked :])))
                    y = y.astype(network.dtype)
                    check_loss(caller, y, t, one.logits, weighted=weighted, exact=exact)
                case Metric():
                    _, own, shape = of_output(path, evaluation, examples, network)
                    check_metric(caller, points_of(own.raw_targets), shape[-1])
                case Optimizer():
                    check_optimizer(caller, network.dtype)
                case Regularizer():
                    wrong = check_regularizer(caller, network.dtype)
                    require_gradient(caller, "the gradient", wrong if exact else "")
                case Constraint():
                    check_constraint(caller, network.dtype)
                case Augmentation():
                    _check_augmentation(caller, network, examples)
                case Schedule():
                    caller.number("factor", caller.call("factor", ScheduleContext(0, 100, 10)))
                case Layer() if plan is not None:
                    layers.append((caller, plan, exact))
        _check_layers(layers, network, examples)
    formulas.warn_of_cost(plugins)


def check_activation(caller: Caller, dtype: npt.DTypeLike, *, exact: bool = True) -> None:
    """Check what the methods of an activation return, and its gradient."""
    activation = caller.component
    assert isinstance(activation, Activation)
    x, cls = numbers((ROWS, 5)).astype(dtype), type(activation)
    if cls.forward is Activation.forward:
        caller.array("formula", caller.call("formula", x.copy()), x.shape, dtype)
    context = Context({}, {}, {}, {}, Workspace(dtype, reuse=False))
    dy = numbers(x.shape, 1).astype(dtype)
    calls: list[tuple[str, tuple[Any, ...], tuple[Any, ...]]] = [("forward", (), ())]
    if cls.forward_inplace is not Activation.forward_inplace:
        calls.append(("forward_inplace", (context,), ()))
    if cls.forward_bias_inplace is not Activation.forward_bias_inplace:
        calls.append(("forward_bias_inplace", (np.ones(5, dtype), context), (np.ones(5, dtype),)))
    for method, more, gradients in calls:
        returned = caller.call(method, x.copy(), *more)
        y, backward = caller.pair(method, returned, "the output")
        caller.array(method, y, x.shape, dtype)
        name = f"{method}: the backward function"
        dx = caller.run(name, functools.partial(backward, dy.copy(), *gradients))
        caller.array(name, dx, x.shape, dtype)
    if not exact:
        return
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    with _unless_unsupported(dtype):
        y, backward = activation.forward(x.copy())
        dx = caller.array("forward", backward(dy.copy()), x.shape, np.float64)

        def total(at: Array) -> float:
            return float(np.sum(activation.forward(at.copy())[0] * dy))

        require_gradient(caller, "the gradient", wrong_gradient(total, x, dx))


def check_loss(
    caller: Caller, y: Array, t: Array, logits: bool, *, weighted: bool = True, exact: bool = True
) -> None:
    """Check what the methods of a loss return for outputs and targets, and its gradient."""
    loss, dtype = caller.component, y.dtype
    assert isinstance(loss, Loss)
    method = "forward_logits" if logits else "forward"
    if type(loss).forward_with_workspace is not Loss.forward_with_workspace:
        method = "forward_with_workspace"

    def forward(y: Array, t: Array) -> Any:
        context = Context({}, {}, {}, {}, Workspace(y.dtype, reuse=False))
        return loss.forward_with_workspace(y.copy(), t.copy(), context, logits=logits)

    returned = caller.run(method, lambda: forward(y, t))
    value, backward = caller.pair(method, returned, "the loss")
    caller.number(method, value)
    name = f"{method}: the backward function"
    caller.array(name, caller.run(name, backward), y.shape, dtype)
    if weighted:
        each = caller.call("per_example", y.copy(), t.copy(), logits=logits)
        if np.shape(each) != (len(t),):
            found = f"returned {describe(each)}; expected the loss of each of {len(t)} examples"
            raise caller.error("per_example", found)
    if not exact:
        return
    y = y.astype(np.float64)
    t = t if t.dtype.kind in "iu" else t.astype(np.float64)
    with _unless_unsupported(dtype):
        dy = caller.array(name, forward(y, t)[1](), y.shape, np.float64)
        wrong = wrong_gradient(lambda at: float(forward(at, t)[0]), y, dy)
        require_gradient(caller, "the gradient", wrong)


def check_metric(caller: Caller, targets: Array, outputs: int) -> None:
    """Check what a metric returns for some of the targets, of a network with these outputs."""
    metric = caller.component
    assert isinstance(metric, Metric)
    rows = np.unique(np.linspace(0, len(targets) - 1, METRIC_ROWS).astype(np.intp))
    t = targets[rows]
    if metric.classification and t.dtype.kind == "f":  # the first of several labels
        t, outputs = t.reshape(len(t), -1)[:, 0].astype(np.intp), 2
    y = t[::-1].copy()
    if metric.of_scores:
        y = Loss().class_scores(numbers((*t.shape, outputs)))
    caller.number("compute", caller.call("compute", y, t))


def _check_augmentation(caller: Caller, network: Network, examples: Examples) -> None:
    """Check an augmentation on random inputs, unless training will refuse it."""
    one, inputs, targets = caller.component, examples.x, examples.targets
    assert isinstance(one, Augmentation)
    if not isinstance(inputs, np.ndarray | LazyArray | Windows) or not isinstance(
        targets, np.ndarray
    ):
        return
    t = one_hot(targets[:ROWS], network.output_shape[-1], network.dtype)
    x = numbers((len(t), *inputs.shape[1:])).astype(network.dtype)
    if not refusal(one, x.shape[1:], t.shape[1:]):
        check_augmentation(caller, x, t)


def _check_layers(
    layers: list[tuple[Caller, LayerBuilder, bool]], network: Network, examples: Examples
) -> None:
    """Check each layer: nested ones first, then those of the network on its own values."""
    by_plan = {id(plan): (caller, exact) for caller, plan, exact in layers}
    own = {id(plan) for _, plan in network.plan.children.values()}
    for caller, plan, exact in layers:
        if id(plan) not in own:
            _check_nested(caller, plan, network.dtype, exact=exact)
    if own & by_plan.keys():
        state = network.state_vector.copy()
        x: Any = examples.x
        if isinstance(x, LazyArray):
            x = materialize(x.select(np.arange(min(ROWS, len(x)))))
        root = network.context(network.workspace(reuse=False))
        contexts, values = root.children, list[Any]([network.unmask(x[:ROWS], root)])
        for name, (layer, plan) in network.plan.children.items():
            x = read_input(contexts[name], values)
            if id(plan) not in by_plan:
                values.append(layer.forward(x, contexts[name])[0])
                continue
            caller, exact = by_plan[id(plan)]
            flat = flat_inputs(x) if layer.reads_several(len(plan.inputs)) else x
            if not plan.outputs:  # an error about them is to be that of the outputs by name
                check_layer(caller, plan, flat, network.dtype, exact=exact)
            returned = caller.call("forward", x, contexts[name])
            y, _ = caller.pair("forward", returned, "the output")
            values.append(_outputs(caller, y, plan, len(flat), network))
            if plan.outputs:
                check_layer(caller, plan, flat, network.dtype, exact=exact)
        network.state_vector[...] = state


def _check_nested(caller: Caller, plan: LayerBuilder, dtype: npt.DTypeLike, *, exact: bool) -> None:
    """Check a layer on random numbers; an activation also as a dense layer runs it."""
    layer = caller.component
    assert isinstance(layer, Layer)
    nested, shape = one_input(layer, plan.inputs)
    integer = nested.integer_input
    x = np.zeros((ROWS, *shape), np.intp) if integer else numbers((ROWS, *shape)).astype(dtype)
    check_layer(caller, plan, x, dtype, exact=exact)
    if isinstance(layer, TrainableActivation) and len(shape) == 1:
        dense = replace(caller, component=Dense(shape[0], layer))
        check_layer(dense, LayerBuilder(plan.path, inputs=(shape,)), x, dtype, exact=exact)


def _outputs(caller: Caller, y: Any, plan: LayerBuilder, rows: int, network: Network) -> Any:
    """Require an array of the shape that the layer declared, or several by name."""
    if not plan.outputs:
        return caller.array("forward", y, (rows, *plan.output), network.dtype)
    if not isinstance(y, dict) or y.keys() != plan.outputs.keys():
        found = f"with {', '.join(map(str, y))}" if isinstance(y, dict) else describe(y)
        expected = f"a dictionary with the outputs of build, {', '.join(plan.outputs)}"
        raise caller.error("forward", f"returned {found}; expected {expected}")
    return {
        name: caller.array("forward", y[name], (rows, *shape), network.dtype)
        for name, shape in plan.outputs.items()
    }


def check_layer(
    caller: Caller, plan: LayerBuilder, x: Array, dtype: npt.DTypeLike, *, exact: bool = True
) -> None:
    """Check what a layer returns for the input `x`, and its gradients."""
    size = max(total_size(declared(plan)[0]), math.prod(x.shape[1:]))
    if size > MAX_VALUES:
        return
    single = OneLayer(caller, plan, x, dtype)
    for training in (False, True):
        single.run(training=training)
    single.require_mask()
    if not exact:
        return
    with _unless_unsupported(dtype):
        double = OneLayer(caller, plan, x, np.float64)
        dx = double.run(training=True)
        double.require_gradients(dx)


@contextmanager
def _unless_unsupported(dtype: npt.DTypeLike) -> Iterator[None]:
    """Skip the test of a gradient for a component that computes in float32 only."""
    try:
        yield
    except GradientError:
        raise
    except Exception:
        if np.dtype(dtype) == np.float64:
            raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings about numbers outside the domain of a function, as in training."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def within(bounds: tuple[float, float], x: Array) -> Array:
    """Return numbers within bounds, and not too close to them, from any numbers `x`."""
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * (0.05 + 0.9 * np.abs(np.sin(x)))
    if math.isfinite(low):
        return low + 0.1 + np.abs(x)
    return high - 0.1 - np.abs(x) if math.isfinite(high) else x
