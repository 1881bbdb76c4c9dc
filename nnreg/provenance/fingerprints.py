"""Fingerprints of components: a few numbers computed from their outputs for fixed inputs.

Everything but kernels is computed in float64 with NumPy's kernels, independent of the network's
settings, so that the numbers depend on the component alone. A large array is reduced to a few
weighted sums, which depend on every value.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg._utils.threads import blas_threads
from nnreg.errors import ComponentError, NnregError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.component import Component, Configurable
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.encoder import Encoder, RawColumn
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import one_input, one_output, one_shape
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.optimizer_trial import trial_state
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.schedule import Schedule, ScheduleContext
from nnreg.network.dense_chain import dense_chain
from nnreg.network.joined_layers import joined_kernels
from nnreg.network.network import Network
from nnreg.provenance.component_paths import components_of
from nnreg.provenance.fixed_inputs import DATES, WORDS, fixed_input
from nnreg.provenance.kernel_outputs import OUTPUTS, RecordingKernels
from nnreg.training.formulas import lacks_derivative

MAX_NUMBERS = 12
"""The maximum number of values recorded per array."""

DIGITS = 9
"""The significant digits recorded per value."""

ROWS = 2
"""The number of examples in a batch."""

MIN_SIZE = 4
"""The size to which an example's dimensions are reduced first, if the layer accepts it."""

MAX_VALUES = 1_000_000
"""The maximum number of values of an example: a file may declare any input shape."""

Fingerprint: TypeAlias = dict[str, list[float]]
"""The recorded values by name, as in `{"output": […], "gradient": […]}`."""


def fingerprint(
    spec: Configurable,
    network: Network,
    only: Collection[type],
    methods: Collection[str] | None = None,
) -> dict[str, tuple[Component, Fingerprint]]:
    """Return each component with its fingerprint, by its path in the spec; of equal ones the first.

    `only` are the classes of the components. `methods` are those of kernels, by default all that
    the other components call: compiling more could take seconds.

    Components that do not accept the fixed inputs are omitted, and so are sources, which need a
    file.
    """
    found, seen, kernels = {}, set(), RecordingKernels()
    if dense_chain(network) is not None:
        of_chains = "chain_steps", "threaded_chain_steps", "chain_outputs"
        kernels.called.update(of_chains)  # instead of the layers
    kernels.called.update(joined_kernels(network))
    with blas_threads(1), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, component, plan in components_of(spec, network):
            key = (type(component), repr(component), plan and plan.inputs)
            if key in seen or type(component) not in only:
                continue
            seen.add(key)
            called = kernels.called if methods is None else methods
            numbers = _fingerprint(component, network, plan, kernels, called)
            if numbers:
                found[path] = component, numbers
    return found


def _fingerprint(
    component: Component,
    network: Network,
    plan: LayerBuilder | None,
    kernels: Kernels,
    methods: Collection[str],
) -> Fingerprint | None:
    """Return the fingerprint of one component, or None if it has none."""
    try:
        if isinstance(component, Kernels):
            outputs: Mapping[str, Any] = _kernels(component, network.dtype, methods)
        else:
            outputs = _outputs(component, network, plan, kernels)
        with _component_code():  # may return anything
            arrays = {name: np.asarray(output, np.float64) for name, output in outputs.items()}
    except ComponentError:
        return None
    numbers = {name: _compress(array) for name, array in arrays.items() if array.size}
    finite = all(math.isfinite(number) for values in numbers.values() for number in values)
    return numbers if finite else None


@contextmanager
def _component_code() -> Iterator[None]:
    """Raise any exception as `ComponentError`: a component need not accept the fixed inputs.

    Only calls of a component belong inside.
    """
    try:
        yield
    except Exception as error:
        raise ComponentError(repr(error)) from error


def _outputs(
    component: Component, network: Network, plan: LayerBuilder | None, kernels: Kernels
) -> Mapping[str, Any]:
    match component:
        case Layer() if plan is not None:
            return _layer(component, plan, kernels)
        case Activation():
            x = fixed_input((ROWS, MAX_NUMBERS // ROWS))
            dy = fixed_input(x.shape)
            with _component_code():
                y, backward = component.forward(x)
            return {"output": y, **_gradients(component, lambda: {"gradient": backward(dy)})}
        case Loss():
            return _loss(component, network, kernels)
        case Optimizer():
            return {"change": _change(component, kernels)}
        case Schedule():
            return {"factors": _factors(component)}
        case Regularizer():
            w = fixed_input((4, MAX_NUMBERS // 4))
            with _component_code():
                penalty, gradient = component.forward(w)
                return {"penalty": penalty, "gradient": gradient()}
        case Constraint():
            with _component_code():
                return {"values": component.project(fixed_input((4, MAX_NUMBERS // 4)))}
        case Augmentation():
            batch = fixed_input((4, 4, 3)), np.eye(4), np.random.default_rng(0)
            with _component_code():
                inputs, targets = component.augment(*batch)
                return {"inputs": inputs, "targets": targets}
        case Initializer():
            rng = np.random.default_rng(0)
            with _component_code():
                return {"draw": component.draw((3, 4), rng)}
        case Encoder():
            return {"encoded": _encoded(component)}
        case Metric():
            y, t = fixed_input((8, 1)), fixed_input((8, 1))[::-1]
            if component.classification:
                y, t = np.arange(8) % 2, np.arange(8) // 3 % 2
            if component.of_scores:
                y = fixed_input((8, 2))
            with _component_code():
                return {"value": component.compute(y, t)}
    return {}


def _encoded(encoder: Encoder) -> Array:
    """Return the output of an encoder that learned the first fixed column that it takes."""
    numbers = fixed_input((MAX_NUMBERS,))
    candidates: dict[str, list[Any]] = {
        "numbers": [numbers, 1 + np.abs(numbers), np.arange(MAX_NUMBERS)],
        "text": [WORDS, DATES],
        "arrays": [fixed_input((ROWS, *shape)) for shape in ((MIN_SIZE,), (MIN_SIZE, MIN_SIZE))],
    }
    for values in candidates[encoder.takes]:
        column = RawColumn.of(values, encoder.takes, target=np.arange(len(values)) % 2)
        with suppress(ComponentError), _component_code():
            return np.asarray(encoder.learn(column).encode(column), np.float64)
    raise ComponentError(f"{encoder} takes none of the fixed columns")


def _kernels(kernels: Kernels, dtype: npt.DTypeLike, methods: Collection[str]) -> Mapping[str, Any]:
    """Return what each of these methods computes, if it accepts the fixed inputs."""
    found = {}
    for name, outputs in OUTPUTS.items():
        if name in methods:
            with suppress(ComponentError), _component_code():
                if values := outputs(kernels, dtype):
                    found[name] = np.concatenate([np.ravel(one) for one in values])
    return found


def _loss(loss: Loss, network: Network, kernels: Kernels) -> Mapping[str, Any]:
    """Run a loss on outputs of the network's shape and targets of the matching form."""
    of_one, last = network.output_shape, network.output_activation
    if network.named_outputs:
        of_one, last = max(  # one that this loss can be computed of, from the logits if possible
            network.named_outputs.values(),
            key=lambda one: (
                one.activation is not None and type(one.activation) is loss.fused_activation,
                _takes(loss, one.shape),
            ),
        )
    shape, logits = (ROWS, *of_one), last is not None
    if math.prod(of_one) > MAX_VALUES:
        return {}
    y = fixed_input(shape)
    if not logits and loss.input_range != (-math.inf, math.inf):
        y = 0.05 + 0.9 * np.abs(np.sin(y))  # inside (0, 1)
    indices = np.arange(math.prod(shape[:-1])).reshape(shape[:-1])
    t: Array
    if not loss.takes_target:
        t = np.empty((ROWS, 0))
    elif not loss.classification and len(of_one) == 2 and _target_width(loss, of_one) is None:
        t = (indices % shape[-1])[:, :1]  # a sequence of classes, shorter than that of the outputs
    elif not loss.classification:
        t = np.flip(fixed_input(shape))[..., : _target_width(loss, of_one) or of_one[-1]]
    elif shape[-1] == 1:
        t = (indices % 2)[..., None].astype(float)
    else:
        labels = indices % shape[-1]
        t = labels
        if not loss.takes_labels:
            t = np.equal(labels[..., None], np.arange(shape[-1])).astype(float)
    context = Context({}, {}, {}, {}, Workspace(np.float64, reuse=False, kernels=kernels))
    with _component_code():
        value, backward = loss.forward_with_workspace(y, t, context, logits=logits)
        if math.isnan(value) and not loss.classification:  # it may not take negative targets
            t = np.abs(t)
            value, backward = loss.forward_with_workspace(y, t, context, logits=logits)
        found = {"value": value}
        if loss.independent:
            weights = np.linspace(0.5, 1.5, ROWS)
            found["weighted"], _ = loss.forward_weighted(y, t, weights, context, logits=logits)
    return {**found, **_gradients(loss, lambda: {"gradient": backward()})}


def _takes(loss: Loss, output: Shape) -> bool:
    """Return whether a loss takes outputs of this shape for some target."""
    if not loss.classification:
        return _target_width(loss, output) is not None
    with suppress(Exception):
        return bool(loss.fits(output, output[:-1], max(output[-1], 2)))
    return False


def _target_width(loss: Loss, output: Shape) -> int | None:
    """Return the length of the last axis of targets of this loss, at most that of the outputs.

    None if it takes none of them.
    """
    for width in range(output[-1], 0, -1):
        with suppress(Exception):
            if loss.fits(output, (*output[:-1], width), None):
                return width
    return None


def _change(optimizer: Optimizer, kernels: Kernels) -> Array:
    """Return the change of parameters by two updates."""
    before, gradient = fixed_input((6,)), fixed_input((6,))[::-1].copy()
    parameters = before.copy()
    workspace = Workspace(np.float64, reuse=False, kernels=kernels)
    vectors = {name: np.zeros(6) for name in optimizer.state_names}
    for count in (1, 2):
        scaled = gradient / count
        state = trial_state(optimizer, parameters, scaled, vectors, workspace, count)
        with _component_code():
            optimizer.update(parameters, scaled, state)
    return parameters - before


def _factors(schedule: Schedule) -> list[float]:
    """Return the factors for some steps of a training that stops improving."""
    with _component_code():
        monitor = schedule.monitored_metric() or "val_loss"
    records = [{monitor: max(4.0 - epoch, 1.0)} for epoch in range(MAX_NUMBERS)]
    points = [
        ScheduleContext(2 * epoch + 1, 2 * MAX_NUMBERS, 2, records[:epoch])
        for epoch in range(MAX_NUMBERS)
    ]
    with _component_code():
        return [schedule.factor(point) for point in points]


def _layer(layer_or_join: Layer, plan: LayerBuilder, kernels: Kernels) -> Mapping[str, Any]:
    """Run a layer on the smallest examples that it accepts, in a separate network."""
    for shapes in (*zip(*map(_shapes, plan.inputs), strict=False), plan.inputs):
        layer, shape = one_input(layer_or_join, shapes)
        if math.prod(shape) > MAX_VALUES:
            break
        try:
            arrays = _run(layer, shape, plan.classes, kernels)
        except NnregError:  # too small for this layer
            continue
        if arrays["output"].size:
            return arrays
    return {}


def _shapes(shape: Shape) -> list[Shape]:
    """Return reduced shapes, the smallest first; all but the first keep the number of features."""
    sizes = [MIN_SIZE * 2**power for power in range(max(shape, default=1).bit_length())]
    cut = [tuple(min(size, MIN_SIZE) for size in shape)]
    cut += [(*(min(length, size) for length in shape[:-1]), *shape[-1:]) for size in sizes]
    return list(dict.fromkeys([*cut, shape]))


def _run(layer: Layer, shape: Shape, classes: int | None, kernels: Kernels) -> Mapping[str, Any]:
    """Return a layer's output in inference, and its gradients in training."""
    plan = LayerBuilder("$", classes)
    output = one_shape(plan.layer("layers/0", layer, shape))
    network = Network(plan, shape, output, dtype=np.float64, kernels=kernels)
    network.vector[...] = 0.2 * fixed_input(network.vector.shape)
    for name, param in network.state_params.items():
        rng = np.random.default_rng(0)
        with _component_code():
            network.state[name][...] = param.initializer.draw(param.shape, rng)
    x = fixed_input((ROWS, *shape))
    if layer.integer_input:
        x = np.arange(x.size).reshape(x.shape) % 2
    context = network.context(network.workspace(reuse=False))
    with _component_code():
        y = np.asarray(one_output(layer.forward(x, context.children["layers/0"]))[0])

    gradient = np.zeros_like(network.vector)
    workspace = network.workspace(reuse=False)
    workspace.rng = np.random.default_rng(0)
    wanted = not layer.integer_input
    context = network.context(workspace, gradient, training=True, input_gradient=wanted)

    def gradients() -> Mapping[str, Any]:
        z, backward = one_output(layer.forward(x, context.children["layers/0"]))
        dx = backward(fixed_input(np.shape(z)))
        return {"input gradient": dx if wanted else (), "parameter gradient": gradient}

    return {"output": y, **_gradients(layer, gradients)}


def _gradients(component: Component, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return gradients; none of a formula that predicts without autograd."""
    try:
        with _component_code():
            return compute()
    except ComponentError:
        if lacks_derivative(type(component)):
            return {}
        raise


def _compress(array: Any) -> list[float]:
    """Return the rounded values of an array, or weighted sums if there are many."""
    flat = np.asarray(array, np.float64).reshape(-1)
    if flat.size > MAX_NUMBERS:
        padded = np.zeros(-(-flat.size // MAX_NUMBERS) * MAX_NUMBERS)
        padded[: flat.size] = flat * fixed_input(flat.shape)
        flat = padded.reshape(-1, MAX_NUMBERS).sum(axis=0)
    return [float(f"{value:.{DIGITS}g}") for value in flat]
