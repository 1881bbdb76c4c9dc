"""Sequences of different lengths in a model: their targets, their padding, and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from nnreg._types import Array, Shapes
from nnreg._utils.memory import array_bytes, require_memory
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import DataError, Problem, SpecError
from nnreg.model.build import plan_network
from nnreg.model.outputs import Output
from nnreg.network.network import Network
from nnreg.network.parameters import declared, within_member
from nnreg.spec.sections import Spec
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.padded import Padded
from nnreg.tables.table import Table


def check_steps(preprocessing: Preprocessing, network: Network, outputs: Sequence[Output]) -> None:
    """Raise `SpecError` for an output per step whose target is one per sequence, or the reverse."""
    for output in outputs:
        masked = network.output_masks[output.name] is not None
        per_step = output.name in preprocessing.targets_per_step
        loss = output.spec.loss
        if masked == per_step or loss is None or not loss.takes_target:
            continue
        problem = (
            "the network gives an output for each step, but the target has one value per sequence; "
            "reduce the sequence to one value first, as by an LSTM or a mean over time"
            if masked and loss.predicts_target
            else "the loss takes sequences of one length, but these have different ones; fill them "
            "up in the data, and remove data.sequences"
            if masked
            else "the target has a value for each step, but the network gives one output per "
            "sequence; keep the steps in every layer, or, if a sequence has one target, list "
            'it in "constant" of data.sequences'
        )
        raise SpecError([Problem(output.path, problem)])


def fit_padding(x: Any, table: Table, spec: Spec, known: Preprocessing, network: Network) -> Inputs:
    """Return sequences with the steps that the network was built for, or more if it takes them.

    Raises `DataError` for a row that is longer than the network takes.
    """
    several = isinstance(x, NamedArrays)
    given: dict[str, Padded] = {name: x[name] if several else x for name in known.steps}
    longest = {name: int(one.lengths.max(initial=0)) for name, one in given.items()}
    longer = {name: steps for name, steps in longest.items() if steps > known.steps[name]}
    if longer and (problem := _refusal(longer, spec, known, network)):
        name = next(iter(longer))
        row = int(np.argmax(given[name].lengths))
        raise DataError(
            f"{table.origin}, {table.row_label(row)}: a sequence of {longer[name]} steps, but the "
            f"longest in training has {known.steps[name]}, and {problem}; shorten the sequence, or "
            "train on longer ones"
        )
    fitted = dict[str, Padded]()
    for name, one in given.items():
        steps = max(longest[name], known.steps[name])
        size = array_bytes((len(one), steps, *one.shape[2:]), one.dtype)
        require_memory(size, f"{table.origin}, {len(one):,} sequences padded to {steps:,} steps")
        fitted[name] = one.resized(steps)
    if not several:
        (only,) = fitted.values()
        return only
    return NamedArrays(x.arrays | fitted)


def _refusal(
    longer: Mapping[str, int], spec: Spec, known: Preprocessing, network: Network
) -> str | None:
    """Return why a network does not take more steps than in training; None if it does."""
    if any(mask is not None for mask in network.output_masks.values()) and spec.several:
        return "the outputs have as many steps"
    shapes: Shapes
    if isinstance(known.input_shape, tuple):
        shapes = (next(iter(longer.values())), *known.input_shape[1:])
    else:
        shapes = {
            name: (longer[name], *shape[1:]) if name in longer else shape
            for name, shape in known.input_shape.items()
        }
    try:
        plan = plan_network(spec, shapes, known.classes, known.steps, known.features).plan
    except SpecError as error:
        return f"the network does not take them ({error})"
    for own, now in zip((network.params, network.state_params), declared(plan), strict=True):
        for name, param in {within_member(name): param for name, param in own.items()}.items():
            if now[name].shape != param.shape:
                return f"{name} has the shape {param.shape} for these"
    return None


def targets_per_step(
    targets: Mapping[str, tuple[Any, Any]],
    outputs: Sequence[Output],
    x: Inputs,
    network: Network,
    table: Table,
) -> dict[str, tuple[Padded, Padded]]:
    """Return the targets of the outputs per step, padded as their inputs.

    They are those of the loss and those of the metrics; empty ones of a loss without targets.
    Raises `DataError` for a row whose targets are not as many as its steps.
    """
    found = {}
    for output in outputs:
        own = _sequences_of(x, network.output_masks[output.name])
        if own is not None and output.spec.loss is not None:
            t, raw = targets.get(output.name, (None, None))
            found[output.name] = _fitted(t, own, table), _fitted(raw, own, table)
    return found


def _sequences_of(x: Inputs, mask: str | None) -> Padded | None:
    """Return the input with a mask, that of an output; None without one."""
    if mask is None:
        return None
    own = x[mask] if isinstance(x, NamedArrays) else x
    assert isinstance(own, Padded)  # it has a mask
    return own


def _fitted(targets: Any, own: Padded, table: Table) -> Padded:
    """Return targets with the number of steps of their inputs, and with their lengths."""
    if not own.lengths.any():
        raise DataError(f"{table.origin}: all sequences are empty; nothing can be compared")
    if not isinstance(targets, Padded):
        return Padded(np.empty((*own.shape[:2], 0)), own.lengths)
    if len(targets) != len(own):
        raise DataError(f"{len(own)} rows of inputs, but {len(targets)} of targets")
    differ = targets.lengths != own.lengths
    if differ.any():
        row = int(np.argmax(differ))
        raise DataError(
            f"{table.origin}, {table.row_label(row)}: {targets.lengths[row]} targets for a "
            f"sequence of {own.lengths[row]} steps; give one for each step"
        )
    return targets.resized(own.steps)


def real_points(y: Array, x: Inputs, mask: str | None) -> tuple[Array, Array | None]:
    """Return the outputs for the real steps of sequences, and the lengths of these.

    Without a mask, that is all outputs and None.
    """
    own = _sequences_of(x, mask)
    return (y, None) if own is None else (y[own.mask], own.lengths)


def split_points(points: Array, lengths: Array | None) -> Any:
    """Return predictions for steps as a list of arrays, one per row; others as they are."""
    return points if lengths is None else np.split(points, np.cumsum(lengths))[:-1]


def refuse_not_finite(points: Array, lengths: Array | None, table: Table) -> NoReturn:
    """Raise `DataError` for the first row with a prediction that is not finite."""
    row = int(np.argwhere(~np.isfinite(points))[0][0])
    if lengths is not None:
        row = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
    raise DataError(
        f"{table.origin}, {table.row_label(row)}: the prediction is not finite; look for extreme "
        "values in the row and in the weights"
    )


def padded_as(scores: Array, targets: Any) -> Array | Padded:
    """Return the scores of outputs per step as `Padded`, as their targets are; others unchanged."""
    return Padded(scores, targets.lengths) if isinstance(targets, Padded) else scores
