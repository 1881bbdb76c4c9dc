"""What a component makes of fixed inputs, in a few numbers.

Everything is computed in float64 with NumPy's kernels, whatever the network uses, so that the
numbers depend on the component alone. An array of many values becomes a few weighted sums, in each
of which every value counts.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.threads import matrix_threads
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component, Configurable
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, Plan
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer, Step
from nnreg.interfaces.schedule import Moment, Schedule
from nnreg.network.network import Network
from nnreg.network.parameters import nested

NUMBERS = 12
"""The most numbers that are kept of an array."""

DIGITS = 9
"""The digits that are kept of a number."""

ROWS = 2
"""The examples in a batch."""

LEAST = 4
"""The size to which an example's dimensions are cut first, as far as a layer takes that."""

MOST_VALUES = 1_000_000
"""The largest example that is made: a file may claim any shape for its inputs."""

Figures: TypeAlias = dict[str, list[float]]
"""What a probe gave, as in `{"output": […], "gradient": […]}`."""


def probe(spec: Configurable, network: Network) -> dict[str, tuple[Component, Figures]]:
    """Return by its path in the spec each component with its figures; of equal ones the first.

    A component that cannot take the fixed inputs is left out, and so is one of a kind that makes
    no numbers: sources and kernels.
    """
    found, seen = {}, set()
    with matrix_threads(1), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, component, plan in _components(spec, network):
            key = (type(component), repr(component), plan and plan.input)
            if key in seen:
                continue
            seen.add(key)
            figures = _figures(component, network, plan)
            if figures:
                found[path] = component, figures
    return found


def _components(
    spec: Configurable, network: Network
) -> Iterator[tuple[str, Component, Plan | None]]:
    """Yield the layers as they were built, each with its plan, then everything else of a spec."""
    for layer, plan in nested(network.plan):
        yield plan.path, layer, plan
    for path, value in _walk(spec, "$"):
        if isinstance(value, Component) and not isinstance(value, Layer):
            yield path, value, None


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, value
    inner: Mapping[str, Any] = {}
    if isinstance(value, Configurable) and dataclasses.is_dataclass(value):
        inner = {f".{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        inner = {f".{key}": item for key, item in value.items()}
    elif isinstance(value, tuple | list):
        inner = {f"[{index}]": item for index, item in enumerate(value)}
    for step, item in inner.items():
        yield from _walk(item, path + step)


def _figures(component: Component, network: Network, plan: Plan | None) -> Figures | None:
    """Return the figures of one component, or None where there are none to be had."""
    try:
        arrays = _arrays(component, network, plan)
    except Exception:  # a component need not take what it was not made for
        return None
    figures = {name: _few(array) for name, array in arrays.items() if np.size(array)}
    finite = all(math.isfinite(number) for numbers in figures.values() for number in numbers)
    return figures if finite else None


def _arrays(component: Component, network: Network, plan: Plan | None) -> Mapping[str, Any]:
    match component:
        case Layer() if plan is not None:
            return _layer(component, plan)
        case Activation():
            x = fixed((ROWS, NUMBERS // ROWS))
            y, backward = component.forward(x)
            return {"output": y, "gradient": backward(fixed(x.shape))}
        case Loss():
            return _loss(component, network)
        case Optimizer():
            return {"change": _change(component)}
        case Schedule():
            return {"factors": _factors(component)}
        case Initializer():
            return {"draw": component.draw((3, 4), np.random.default_rng(0))}
        case Metric() if component.of_classes:
            return {"value": component.compute(np.arange(8) % 2, np.arange(8) // 3 % 2)}
        case Metric():
            return {"value": component.compute(fixed((8, 1)), fixed((8, 1))[::-1])}
    return {}


def _loss(loss: Loss, network: Network) -> Mapping[str, Any]:
    """Take outputs of the network's shape, and targets as such a loss has them."""
    shape = (ROWS, *network.output_shape)
    logits = network.head is not None
    y = fixed(shape)
    if not logits and loss.domain != (-math.inf, math.inf):
        y = 0.05 + 0.9 * np.abs(np.sin(y))  # inside (0, 1)
    places = np.arange(math.prod(shape[:-1])).reshape(shape[:-1])
    if not loss.of_classes:
        t = np.flip(fixed(shape))
    elif shape[-1] == 1:
        t = (places % 2)[..., None].astype(float)
    else:
        labels = places % shape[-1]
        t = labels if loss.takes_labels else np.eye(shape[-1])[labels]
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False))
    value, backward = loss.forward_buffered(y, t, context, logits=logits)
    return {"value": value, "gradient": backward()}


def _change(optimizer: Optimizer) -> Array:
    """Return by how much two updates change parameters."""
    before, gradient = fixed((6,)), fixed((6,))[::-1].copy()
    parameters, workspace = before.copy(), Workspace(np.float64, reuse=False)
    slots = {name: np.zeros(6) for name in optimizer.slots}
    for count in (1, 2):
        optimizer.update(parameters, gradient / count, Step(count, slots, workspace))
    return parameters - before


def _factors(schedule: Schedule) -> list[float]:
    """Return the factors of some steps of a training that stops getting better."""
    watched = schedule.watches() or "val_loss"
    records = [{watched: max(4.0 - epoch, 1.0)} for epoch in range(NUMBERS)]
    return [
        schedule.factor(Moment(2 * epoch + 1, 2 * NUMBERS, 2, records[:epoch]))
        for epoch in range(NUMBERS)
    ]


def _layer(layer: Layer, plan: Plan) -> Mapping[str, Any]:
    """Run a layer on examples that are as small as it takes, in a network of its own."""
    for shape in _shapes(plan.input):
        if math.prod(shape) > MOST_VALUES:
            break
        try:
            arrays = _run(layer, shape, plan.classes)
        except Exception:  # too small for it
            continue
        if arrays["output"].size:
            return arrays
    return {}


def _shapes(shape: Shape) -> list[Shape]:
    """Return a shape cut down: everywhere, then less and less along all but the features."""
    sizes = [LEAST * 2**power for power in range(max(shape, default=1).bit_length())]
    cut = [tuple(min(size, LEAST) for size in shape)]
    cut += [(*(min(length, size) for length in shape[:-1]), *shape[-1:]) for size in sizes]
    return list(dict.fromkeys([*cut, shape]))


def _run(layer: Layer, shape: Shape, classes: int | None) -> Mapping[str, Any]:
    """Return a layer's output in prediction, and its gradients in training."""
    plan = Plan("$", classes)
    output = plan.layer("layers/0", layer, shape)
    network = Network(plan, shape, output, dtype=np.float64)
    network.vector[...] = 0.2 * fixed(network.vector.shape)
    for name, param in network.state_params.items():
        network.state[name][...] = param.initializer.draw(param.shape, np.random.default_rng(0))
    x = fixed((ROWS, *shape))
    if layer.integer_input:
        x = np.arange(x.size).reshape(x.shape) % 2
    y = network.scores(x)

    gradient = np.zeros_like(network.vector)
    workspace = network.workspace(reuse=False)
    workspace.rng = np.random.default_rng(0)
    wanted = not layer.integer_input
    context = network.context(workspace, gradient, training=True, input_gradient=wanted)
    z, backward = network.forward(x, context)
    dx = backward(fixed(z.shape))
    return {"output": y, "input gradient": dx if wanted else (), "parameter gradient": gradient}


def fixed(shape: Shape) -> Array:
    """Return float64 numbers within 4 of zero, half of them within 1, and none alike nearby."""
    spread = np.resize(_PATTERN, math.prod(shape))
    return spread.reshape(shape)


def _few(array: Any) -> list[float]:
    """Return an array's values, or of many values weighted sums, rounded."""
    flat = np.asarray(array, np.float64).reshape(-1)
    if flat.size > NUMBERS:
        padded = np.zeros(-(-flat.size // NUMBERS) * NUMBERS)
        padded[: flat.size] = flat * np.resize(_PATTERN, flat.size)
        flat = padded.reshape(-1, NUMBERS).sum(axis=0)
    return [float(f"{value:.{DIGITS}g}") for value in flat]


_GOLDEN = (2 * (np.arange(1009) * ((5**0.5 - 1) / 2) % 1) - 1)[1:]
_PATTERN = 4 * _GOLDEN * np.abs(_GOLDEN)
"""Multiples of the golden ratio lie as far apart as may be; squared, more of them near zero."""
