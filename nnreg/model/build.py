"""Building a network from a spec and the shape of the data, checked layer by layer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nnreg._types import Array, Shape, Shapes
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.features import Features
from nnreg.interfaces.graph import INPUT
from nnreg.interfaces.integers import integer_inputs
from nnreg.interfaces.join import one_shape
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBuilder, LayerEntry
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import RESERVED_NAMES, Metric, NamedMetric, without_name
from nnreg.interfaces.outputs import OutputSpec
from nnreg.interfaces.returned import Caller
from nnreg.interfaces.trainable_activation import TrainableActivation, trainable_options
from nnreg.network.ensemble import Average, Ensemble
from nnreg.network.network import NamedOutput, Network
from nnreg.network.parameters import belongs_to, declared, layer_names, nested, total_size
from nnreg.registry.registry import Registry
from nnreg.spec.sections import Spec
from nnreg.training.parallelism import mostly_large

SUM_TOLERANCE = 1e-3
"""How far from 1 the sum of probabilities given as targets may be."""

MAX_UNKNOWN_SHOWN = 20
"""The maximum number of unknown layers reported: an untrusted spec may contain any number."""


class Blueprint(NamedTuple):
    """The structure of a network, without its arrays."""

    plan: LayerBuilder
    output_shape: Shape
    output_activation: Activation | None
    named_outputs: dict[str, NamedOutput]

    @property
    def output_shapes(self) -> dict[str, Shape]:
        """The shape of each output by its name, which is empty for a single one."""
        named = {name: one.shape for name, one in self.named_outputs.items()}
        return named or {"": self.output_shape}


Classes: TypeAlias = int | Mapping[str, int | None] | None
"""The number of classes of the target, None if it is numeric; or those of several by output."""


def plan_network(
    spec: Spec,
    input_shape: Shapes,
    classes: Classes,
    masked: Collection[str] = (),
    features: Mapping[str, Features] | None = None,
) -> Blueprint:
    """Return the structure of the network that a spec describes, with the shapes of all arrays.

    `input_shape` is the shape of one example, or those of several inputs by name, `classes` the
    number of classes or None. `masked` are the names of the inputs that are sequences of different
    lengths, "input" for the only one; `features` says what the features of each are. Raises
    `SpecError` with the path of a layer that does not support its input.
    """
    layers, activations = _fuse_loss_activations(spec)
    inputs = () if isinstance(input_shape, tuple) else input_shape
    integers = integer_inputs(layers, inputs, spec.several)
    plan = LayerBuilder("$.model", integer=INPUT in integers, integers=integers)
    plan.input_features = features or {}
    plan.masked, plan.masks = masked, (INPUT if INPUT in masked else None,)
    if isinstance(classes, Mapping):
        known = [count for count in classes.values() if count is not None]
        plan.classes, plan.classes_of = known[0] if len(known) == 1 else None, classes
    else:
        plan.classes = classes
    shape = plan.chain(layers, input_shape, spec.several)
    _check_activations(spec, plan)
    _check_frozen(plan, spec.train.freeze)
    if spec.several:
        named = {name: NamedOutput(one, activations[name]) for name, one in shape.items()}
        return Blueprint(plan, one_shape(shape), None, named)
    if not isinstance(shape, tuple):
        problem = f"has several outputs, {', '.join(shape)}; read one of them in a last layer"
        raise SpecError([Problem(f"$.model.layers[{len(layers) - 1}]", problem)])
    return Blueprint(plan, shape, activations[""], {})


def build_network(
    spec: Spec,
    input_shape: Shapes,
    classes: Classes,
    kernels: Kernels,
    *,
    masked: Collection[str],
    features: Mapping[str, Features],
    averages: Mapping[str, Average] | None = None,
) -> Network:
    """Return the network that a spec describes, not yet initialized; see `plan_network`.

    `averages` are those of the outputs of an ensemble, by the name of each.
    """
    plan, shape, output_activation, named = plan_network(
        spec, input_shape, classes, masked, features
    )
    _check_memory(plan, np.dtype(spec.model.dtype).itemsize * spec.model.members)
    network = Network(
        plan,
        input_shape,
        shape,
        output_activation=output_activation,
        named_outputs=named,
        dtype=spec.model.dtype,
        kernels=kernels,
        frozen=spec.train.freeze,
        threads=spec.train.threads,
    )
    asked, batch = spec.train.reproducible, spec.train.batch_size
    if spec.model.members > 1:
        network = Ensemble(network, spec.model.members, averages or {})
    network.reproducible = mostly_large(network, batch) if asked is None else asked
    return network


def _check_activations(spec: Spec, plan: LayerBuilder) -> None:
    """Raise `SpecError` for activations with parameters that what contains them did not build."""
    built: list[tuple[Any, str, set[int]]] = [(spec, "$", set())]
    for layer, child in nested(plan):
        if child.owner is None:
            activations = {id(activation) for activation, _ in child.children.values()}
            built.append((layer, child.path, activations))
    problems = [
        Problem(
            where,
            f"{type(activation).__name__} has parameters, which {type(owner).__name__} does not "
            "support in its activations; use one without, or in another layer, such as dense or "
            "activation",
        )
        for owner, path, activations in built
        for where, activation in trainable_options(owner, path)
        if id(activation) not in activations
    ]
    if problems:
        raise SpecError(problems)
    for layer, child in nested(plan):
        if isinstance(layer, TrainableActivation) and child.output != child.input:
            found = f"returned {child.output}; expected {child.input}, the shape that it was given"
            raise Caller(layer, child.path).error("build", found)


def _check_frozen(plan: LayerBuilder, frozen: tuple[str, ...]) -> None:
    """Raise `SpecError` for unknown layers, or if all parameters are frozen."""
    problems = unknown_layers(plan, frozen, "$.train.freeze")
    layers = frozenset(frozen)
    if frozen and not problems and all(belongs_to(name, layers) for name in declared(plan)[0]):
        problems = [Problem("$.train.freeze", "nothing is left to train; remove a layer")]
    if problems:
        raise SpecError(problems)


def unknown_layers(plan: LayerBuilder, names: Sequence[str], path: str) -> list[Problem]:
    """Return a problem for each name in a list of the spec that is not the name of a layer."""
    known = set(layer_names(plan))
    unknown = [(index, name) for index, name in enumerate(names) if name not in known]
    return [
        Problem(f"{path}[{index}]", f"no layer {name!r}{suggest(name, known)}")
        for index, name in unknown[:MAX_UNKNOWN_SHOWN]
    ]


def _fuse_loss_activations(
    spec: Spec,
) -> tuple[tuple[Layer, ...], dict[str, Activation | None]]:
    """Return the layers and the output activations, which are removed if fused with the loss."""
    layers, activations = list(spec.model.layers), dict[str, Activation | None]()
    for output in spec.outputs:
        activations[output.name] = None
        index = layer_of(spec, output.name)
        if index is None or output.loss is None:
            continue
        layers[index], activations[output.name] = _fuse(
            layers[index], output.loss, index, fusible=_is_read_as_output_only(spec, output.name)
        )
    return tuple(layers), activations


def layer_of(spec: Spec, output: str) -> int | None:
    """Return the number of the entry that an output is of, the last if its name is empty.

    None for one of several outputs of a layer.
    """
    if not output:
        return len(spec.model.layers) - 1
    names = [e.keys.name if isinstance(e, LayerEntry) else None for e in spec.model.layers]
    return names.index(output) if output in names else None


def _is_read_as_output_only(spec: Spec, output: str) -> bool:
    """Return True if no entry reads an output or applies its layer again."""
    entries = [entry.keys for entry in spec.model.layers if isinstance(entry, LayerEntry)]
    inputs = [(k.inputs,) if isinstance(k.inputs, str) else k.inputs or () for k in entries]
    if not output or output in {keys.use for keys in entries} | set().union(*inputs):
        return not output
    index = layer_of(spec, output)
    following = spec.model.layers[index + 1 : index + 2] if index is not None else ()
    return all(isinstance(one, LayerEntry) and bool(one.keys.inputs) for one in following)


def _fuse(last: Layer, loss: Loss, index: int, *, fusible: bool) -> tuple[Layer, Activation | None]:
    """Return a layer and its activation, which is removed if it is fused with the loss."""
    split, fused = last.split_output_activation(), loss.fused_activation
    fusible = fusible and split is not None and not isinstance(split[1], TrainableActivation)
    if fusible and split is not None and fused is not None and type(split[1]) is fused:
        return split
    (low, high), bounds = loss.input_range, last.output_range
    if bounds is not None and (bounds[0] < low or bounds[1] > high):
        path, outputs, fix = f"$.model.layers[{index}]", "this layer", "add an activation"
        if split is not None:
            path += ".activation"
            outputs, fix = type(split[1]).__name__.lower(), "give this layer another activation"
        problem = (
            f"the loss takes outputs within {low:g} and {high:g}, but those of {outputs} are "
            f"within {bounds[0]:g} and {bounds[1]:g}; {fix}{such_as(fused)}"
        )
        raise SpecError([Problem(path, problem)])
    return last, None


def such_as(activation: type[Activation] | None) -> str:
    """Return the end of a message that suggests an activation, if there is one."""
    return f", such as {activation.__name__.lower()}" if activation else ""


def _check_memory(plan: LayerBuilder, itemsize: int) -> None:
    """Raise `SpecError` if weights, gradients and optimizer state do not fit into memory."""
    size = sum(map(total_size, declared(plan)))
    if exceeds_memory(needed := 4 * size * itemsize):
        problem = (
            f"training {size:,} parameters needs about {byte_size(needed)}, more than the memory "
            "limit of this process, which nnreg doctor shows; use smaller layers"
        )
        raise SpecError([Problem(plan.path, problem)])


def name_metrics(
    output: OutputSpec,
    registry: Registry,
    classes: Sequence[str] | None,
    labels: Sequence[str] | None = None,
) -> dict[str, Metric]:
    """Return the metrics of an output by name, for `classes` or a numeric target.

    The numbers of the target are `labels`, each 0 or 1, if their names are given.

    Raises `SpecError` for a metric that does not fit the target.
    """
    problems, named = [], {}
    classification = classes is not None
    metrics = list(map(without_name, output.metrics))
    entries = [registry.entry_of(metric) for metric in metrics]
    for index, (metric, entry) in enumerate(zip(metrics, entries, strict=True)):
        others = [one for one in entries if one.name == entry.name and one.cls is not entry.cls]
        given, name = output.metrics[index], entry.qualified if others else entry.name
        if isinstance(given, NamedMetric):
            name = given.name
        path = f"{output.metrics_path}[{index}]"
        of_labels = metric.classification and not classification and labels is not None
        if metric.classification != classification and not of_labels:
            needs = "classes" if metric.classification else "numbers"
            target = "categorical" if classification else "numeric"
            problems.append(
                Problem(path, f"{name} compares {needs}, but the target is {target}; remove it")
            )
        if name in named or name in RESERVED_NAMES:
            text = f"the name {name} is already in use; give one of the two another 'name'"
            problems.append(Problem(path, text))
        if output.loss is not None and not output.loss.predicts_target:
            text = (
                f"{name} compares predictions with the target, but outputs for this loss are none"
            )
            problems.append(Problem(path, f"{text}; remove it"))
        if metric.of_probabilities and not (output.loss or Loss()).scores_are_probabilities:
            text = f"{name} compares probabilities, but the outputs for this loss are other scores"
            problems.append(Problem(path, f"{text}; remove it"))
        named[name] = metric
        try:
            if metric.classification and classes is not None:
                named[name] = metric.for_classes(classes)
            elif of_labels:
                named[name] = metric.for_labels(labels or ())
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    if problems:
        raise SpecError(problems)
    return named


def check_monitored(spec: Spec, names: Sequence[str]) -> None:
    """Raise `SpecError` if early stopping or the schedule monitors another metric than these."""
    problems = []
    stopping = spec.train.early_stopping
    known = [f"{prefix}{name}" for prefix in ("", "val_") for name in names]
    for path, monitored in (
        ("$.train.early_stopping.monitor", stopping.monitor if stopping else None),
        ("$.schedule", spec.schedule.monitored_metric()),
    ):
        if monitored is not None and monitored not in known:
            problems.append(
                Problem(path, f"unknown metric {monitored!r}{suggest(monitored, known)}")
            )
    if problems:
        raise SpecError(problems)


def encode_targets(
    targets: Array, output: Shape, loss: Loss, classes: int | None, dtype: Any, last: str
) -> Array:
    """Return targets as the loss takes them. Raises `SpecError` if the outputs do not fit them.

    Class indices are unchanged for a loss that takes labels; for others they are one-hot encoded,
    or become one column of 0 and 1 for a network with a single output. `output` is the shape of the
    outputs, `last` the path of their layer.
    """
    expected = targets.shape[1:] if loss.takes_target else ()
    if not loss.takes_target and type(loss).fits is Loss.fits:
        return np.empty((len(targets), 0), dtype)
    try:
        problem = (
            "" if loss.fits(output, expected, classes) else _misfit(loss, output, expected, classes)
        )
    except ValueError as error:
        problem = f"{error}, but the network gives shape {output} for one example"
    if problem:
        raise SpecError([Problem(last, problem)])
    if not loss.takes_target:
        return np.empty((len(targets), 0), dtype)
    if classes is None:
        _check_numbers(targets, loss)
        return targets.astype(dtype)
    if loss.takes_labels:
        return targets
    if output == (*expected, 1) and classes == 2:
        return targets[..., None].astype(dtype)
    return np.equal(targets[..., None], np.arange(classes)).astype(dtype)


def _misfit(loss: Loss, output: Shape, target: Shape, classes: int | None) -> str:
    """Return why outputs do not fit the targets of a loss."""
    found = f"the network gives shape {output} for one example, but"
    if type(loss).fits is not Loss.fits:
        return f"{found} the loss does not take that for a target of shape {target}"
    if classes is not None:
        reason = f'the target has {classes} classes, so that "units": "classes" would give'
        wanted = (*target, classes)
        remedy = "" if len(output) == len(wanted) else _remedy(output, wanted)
        return f"{found} {reason} {wanted}{remedy}"
    problem = f"{found} the target has {target}"
    if loss.classification and output[:-1] == target:
        return f'{problem}; if its numbers are classes, set "units" to "classes"'
    return problem + _remedy(output, target)


def _remedy(output: Shape, wanted: Shape) -> str:
    """Return what to do about outputs of another shape than is wanted."""
    if (math.prod(output),) == wanted:
        return "; add the layer flatten"
    if len(output) == len(wanted):
        same = output[:-1] == wanted[:-1]
        return f"; give this layer {wanted[-1]} outputs" if same else ""
    if len(output) > len(wanted):
        return "; remove axes before this layer, as by flatten or global_average_pool"
    return "; keep the axes of the input in all layers"


def _check_numbers(targets: Array, loss: Loss) -> None:
    """Raise `DataError` for numeric targets that a loss does not take."""
    (low, high), (least, most) = loss.target_range, (np.min(targets), np.max(targets))
    if least < low or most > high:
        raise DataError(
            f"the loss takes targets within {low:g} and {high:g}, but they are from {least:g} to "
            f"{most:g}; fix the data or use another loss"
        )
    sums = np.sum(targets, axis=-1)
    wrong = np.abs(sums - 1) > SUM_TOLERANCE
    if loss.takes_distribution and wrong.any():
        raise DataError(
            "the loss takes targets that are probabilities of classes, but those of a row sum to "
            f"{sums[wrong][0]:g}, not 1; for labels that are independent, use binary_cross_entropy "
            "and a sigmoid"
        )
