"""Combinations of components that cannot be right, refused when a network is built.

A checkpoint that has one still loads, and predicts what it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnreg.data.preprocessing import Preprocessing
from nnreg.data.targets import ClassTarget
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.metric import without_name
from nnreg.interfaces.numeric_derivative import is_elementwise
from nnreg.interfaces.outputs import OutputSpec
from nnreg.model.build import layer_of, such_as
from nnreg.network.network import Network
from nnreg.network.parameters import nested
from nnreg.spec.sections import Spec
from nnreg.training.inference import refuse_two_averages
from nnreg.training.patterns import check_patterns


def class_names(preprocessing: Preprocessing) -> dict[str, Sequence[str] | None]:
    """Return the names of the classes of each output; None for another target."""
    return {
        name: target.names if isinstance(target, ClassTarget) else None
        for name, target in preprocessing.by_output.items()
    }


def refuse_incompatible(
    spec: Spec, network: Network, classes: Mapping[str, Sequence[str] | None]
) -> None:
    """Raise `SpecError` for components that do not fit each other or the classes of the target.

    `classes` are those of each output.
    """
    refuse_two_averages(spec.optimizer, spec.train)
    check_patterns(network, spec.train, spec.optimizer)
    problems = [
        *_not_integers(network),
        *_constant_outputs(network),
        *_constant_layers(network),
        *(problem for output in spec.outputs for problem in _no_distribution(spec, output)),
        *(
            problem
            for output in spec.outputs
            for problem in _metrics_of_other_classes(output, classes.get(output.name) or ())
        ),
        *(
            problem
            for output in spec.outputs
            for problem in _loss_of_other_classes(output, network, classes.get(output.name) or ())
        ),
        *(problem for output in spec.outputs for problem in _divided_batches(spec, output)),
        *(problem for output in spec.outputs for problem in _rows_of_members(spec, output)),
    ]
    if problems:
        raise SpecError(problems)


def _not_integers(network: Network) -> Iterator[Problem]:
    """Yield a problem for each layer that takes integers, but gets other numbers."""
    for layer, plan in nested(network.plan):
        if layer.integer_input and plan.integer is False:
            problem = (
                "this layer takes integers, such as token indices, but its input is other numbers; "
                "make it the first layer, or the first after layers such as flatten"
            )
            yield Problem(plan.path, problem)


def _constant_outputs(network: Network) -> Iterator[Problem]:
    """Yield a problem for each activation that sums to 1 over a single value."""
    layers = list(nested(network.plan))
    removed = {id(list(network.plan.children.values())[-1][1]): network.output_activation}
    for name, output in network.named_outputs.items():
        if output.activation is not None:
            removed[id(network.plan.children[f"layers/{name}"][1])] = output.activation
    for layer, plan in layers:
        split = layer.split_output_activation()
        activation = removed.get(id(plan)) or (None if split is None else split[1])
        if activation is not None and activation.sums_to_one and plan.output[-1:] == (1,):
            name = type(activation).__name__.lower()
            problem = (
                f"{name} of a single output is 1 whatever the input, so that nothing can be "
                "learned; use more units, or another activation such as sigmoid"
            )
            yield Problem(f"{plan.path}.activation", problem)


def _constant_layers(network: Network) -> Iterator[Problem]:
    """Yield a problem for each layer whose output does not depend on its input of this shape."""
    for _, plan in nested(network.plan):
        if plan.constant:
            shape = ", ".join(["batch", *map(str, plan.input)])
            problem = (
                f"the output of this layer is the same for every input of shape ({shape}), so that "
                "nothing can be learned; use more units before it, or leave it out"
            )
            yield Problem(plan.path, problem)


def _no_distribution(spec: Spec, output: OutputSpec) -> Iterator[Problem]:
    """Yield a problem for outputs that do not sum to 1, if the loss takes only those that do."""
    index, loss = layer_of(spec, output.name), output.loss
    if index is None or loss is None:
        return
    split = spec.model.layers[index].split_output_activation()
    if loss.takes_distribution and split is not None and _never_sums_to_one(split[1]):
        problem = (
            f"the loss takes probabilities that sum to 1, but those of "
            f"{type(split[1]).__name__.lower()} do not; give this layer another activation"
            f"{such_as(loss.fused_activation)}, or use binary_cross_entropy for labels that "
            "are independent"
        )
        yield Problem(f"$.model.layers[{index}].activation", problem)


def _never_sums_to_one(activation: Activation) -> bool:
    """Return True if an activation declares it, or has an elementwise formula alone."""
    if activation.sums_to_one is not None or type(activation).forward is not Activation.forward:
        return activation.sums_to_one is False
    try:
        return is_elementwise(activation)
    except Exception:  # of the formula; the checks before training report it
        return False


def _metrics_of_other_classes(output: OutputSpec, classes: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each metric that has no meaning for these classes."""
    for index, metric in enumerate(map(without_name, output.metrics)):
        if metric.classification and classes:
            try:
                metric.check_classes(classes)
            except ValueError as error:
                yield Problem(f"{output.metrics_path}[{index}]", str(error))


def _loss_of_other_classes(
    output: OutputSpec, network: Network, classes: Sequence[str]
) -> Iterator[Problem]:
    """Yield a problem for a loss with an option that has no meaning for these classes."""
    if output.loss is None:
        return
    named = network.named_outputs.get(output.name)
    try:
        output.loss.check_classes(classes, named.shape if named else network.output_shape)
    except ValueError as error:
        yield Problem(output.loss_path, str(error))


def _divided_batches(spec: Spec, output: OutputSpec) -> Iterator[Problem]:
    """Yield a problem for a batch that is divided, if a loss compares its examples."""
    if spec.train.accumulate > 1 and output.loss is not None and not output.loss.independent:
        of = f" of {output.name}" if output.name else ""
        problem = (
            f"the loss{of} compares the examples of a batch, so that several batches are not a "
            f'larger one; set "batch_size" to {spec.train.step_size} instead'
        )
        yield Problem("$.train.accumulate", problem)


def _rows_of_members(spec: Spec, output: OutputSpec) -> Iterator[Problem]:
    """Yield a problem for an ensemble whose loss would compare examples of several members."""
    if spec.model.members > 1 and output.loss is not None and not output.loss.independent:
        problem = (
            "compares the examples of a batch, which the members of an ensemble cannot share; "
            'remove "members" from model, or use another loss'
        )
        yield Problem(output.loss_path, problem)
