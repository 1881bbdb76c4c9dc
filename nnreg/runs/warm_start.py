"""Initial weights from another checkpoint, or from a file of another library."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nnreg._types import Array
from nnreg._utils import json_text
from nnreg._utils.secret_text import reveal_path
from nnreg.builtin.encoders import Category, Index, Number, Values
from nnreg.checkpoint.file_format import is_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.checkpoint.manifest import read_preprocessing
from nnreg.checkpoint.paths import checkpoint_file
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.targets import ClassTarget, NumericTarget
from nnreg.errors import CheckpointError, DataError, NnregWarning, Problem, SpecError
from nnreg.model.build import unknown_layers
from nnreg.model.model import Model
from nnreg.network.parameters import belongs_to, layer_names, within_member
from nnreg.training.settings import StartFrom

MAX_SHOWN = 8
"""The most mismatched arrays in an error message."""

PATH = "$.train.start_from"

EQUAL_MEMBERS = (
    "all members of the ensemble would start from the same weights, and stay alike; name "
    'the "layers" to copy, without the last one'
)


def take_weights(model: Model) -> None:
    """Copy the weights of `train.start_from` into a new model, and record the file.

    Raises `SpecError` for a file that cannot be read or does not match.
    """
    option = model.spec.train.start
    if option is None:
        return
    plan = model.network.plan
    problems = unknown_layers(plan, option.layers or (), f"{PATH}.layers")
    if problems:
        raise SpecError(problems)
    layers = frozenset(layer_names(plan) if option.layers is None else option.layers)
    wanted = {
        f"{group}/{name}": array
        for group, arrays in (("parameters", model.parameters), ("state", model.buffers))
        for name, array in arrays.items()
        if belongs_to(within_member(name), layers)
    }
    if option.foreign:
        _take_foreign(model, option, layers)
        return
    if option.names:
        problem = "a checkpoint of nnreg has the names of the model; remove it"
        raise SpecError([Problem(f"{PATH}.names", problem)])
    try:
        file = _file(model)
        summary = read_summary(file)
        saved, before = (
            _of_members(summary.arrays, wanted),
            read_preprocessing(summary.manifest, model.document.registry),
        )
    except (CheckpointError, SpecError) as error:
        raise SpecError([Problem(PATH, str(error))]) from error
    saved = {**saved, **_rows_by_category(model, before, saved)}
    mismatches = {
        name: why for name, array in wanted.items() if (why := _mismatch(array, saved, name))
    }
    whole = len(wanted) == len(model.parameters) + len(model.buffers)
    if whole and not mismatches and wanted.keys().isdisjoint(summary.arrays):
        raise SpecError([Problem(PATH, EQUAL_MEMBERS)])
    if mismatches:
        named = [name for name in model.network.layers if name in layers]
        raise SpecError([Problem(PATH, _describe_mismatches(file, mismatches, named))])
    _compare_meaning(file, before, model, list(wanted))
    for name, array in wanted.items():
        array[...] = saved[name]
    model.started_from = {option.checkpoint: _digest(file)}


def _take_foreign(model: Model, option: StartFrom, layers: frozenset[str]) -> None:
    """Copy the weights of a file of another library, or of an export."""
    from nnreg.weights.api import weights_from  # its table imports the modules of many layers

    try:
        file = _file(model)
        found = weights_from(model, file, option.names, layers)
    except CheckpointError as error:
        raise SpecError([Problem(PATH, str(error))]) from error
    arrays = {**model.parameters, **model.buffers}
    taken = {names for _, names in found.values()}
    if len(found) == len(arrays) and len(taken) < len(found) and model.network.members > 1:
        raise SpecError([Problem(PATH, EQUAL_MEMBERS)])
    for name, (values, _) in found.items():
        arrays[name][...] = values
    model.started_from = {option.checkpoint: _digest(file)}


def _rows_by_category(
    model: Model, before: Preprocessing, saved: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the vectors of the categories of columns, in the order of those of a new model.

    A category that the checkpoint does not have keeps its initial values.
    """
    found = dict[str, Array]()
    known = {one.name: one.encoder for one in before.inputs}
    own = {one.name: one.encoder for one in model.preprocessing.inputs}
    places = {
        column: number
        for features in before.features.values()
        for number, column in enumerate(features.columns.values())
    }
    for name, (_, plan) in model.network.plan.children.items():
        for number, column in enumerate(plan.features.columns.values() if plan.features else ()):
            path, old, new = f"{name}/columns/{number}/weight", known.get(column), own[column]
            saved_rows = saved.get(f"parameters/{name}/columns/{places.get(column)}/weight")
            if saved_rows is None or path not in model.parameters:
                continue
            if not isinstance(old, Index) or not isinstance(new, Index):
                continue
            rows = model.parameters[path].copy()
            if rows.shape[1:] == saved_rows.shape[1:] and len(saved_rows) == old.index_count:
                now, then = new.places_of(old)
                rows[now] = saved_rows[then]
                found[f"parameters/{path}"] = rows
    return found


def check_start(model: Model) -> None:
    """Raise `DataError` for a checkpoint other than the one that a loaded model started from.

    Only the file's digest is used.
    """
    if model.spec.train.start is None:
        return
    file, known = _file(model), list(model.started_from.values())
    readable = file.is_file() if model.spec.train.start.foreign else is_checkpoint(file)
    if not readable or [_digest(file)] != known:
        expected = f" (SHA-256 {known[0][:16]}…)" if known else ""
        raise DataError(
            f"{file}: not the checkpoint that it started from{expected}; restore the old file"
        )


def _file(model: Model) -> Path:
    option = model.spec.train.start
    assert option is not None  # both callers check it
    return checkpoint_file(model.document.directory / reveal_path(option.checkpoint))


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _mismatch(array: Array, saved: Mapping[str, Array], name: str) -> str:
    """Return why an array cannot be copied; empty if it can."""
    if name not in saved:
        return "is missing"
    shape = saved[name].shape
    return "" if shape == array.shape else f"has the shape {shape}, not {array.shape}"


def _of_members(saved: Mapping[str, Array], wanted: Iterable[str]) -> dict[str, Array]:
    """Return the arrays of a file, with those of a single network for each member."""
    found = dict(saved)
    for name in wanted:
        group, own = name.split("/", 1)
        if name not in saved and (one := f"{group}/{within_member(own)}") in saved:
            found[name] = saved[one]
    return found


def _compare_meaning(
    file: Path, before: Preprocessing, model: Model, copied: Sequence[str]
) -> None:
    """Compare the inputs of the first layer, and the classes of the last, if they are copied.

    Raises `SpecError` if they are the same in another order; warns if they are others.
    """
    names, now = list(model.parameters), model.preprocessing
    pairs = {}
    if names and f"parameters/{names[0]}" in copied:
        pairs["inputs"] = _features(before), _features(now)
    if names and f"parameters/{names[-1]}" in copied:
        pairs["classes"] = _classes(before), _classes(now)
        pairs["scalings of the target"] = _curves(before), _curves(now)
    for what, (old, new) in pairs.items():
        if old == new:
            continue
        listed = f"{', '.join(old[:MAX_SHOWN])}, here they are {', '.join(new[:MAX_SHOWN])}"
        if sorted(old) == sorted(new):
            given = {name: part.names for name, part in before.parts.items()} or before.names
            fix = f'set "inputs": {json_text.dumps(given, ensure_ascii=False)} in data'
            if what == "classes":
                fix = '"layers" without the last one copies the others'
            problem = f"the {what} of {file} are in another order: {listed}; {fix}"
            raise SpecError([Problem(PATH, problem)])
        text = f"the {what} of {file} were {listed}; their weights are taken by position"
        warnings.warn(f"{PATH}: {text}", NnregWarning, stacklevel=3)


def _classes(preprocessing: Preprocessing) -> tuple[str, ...]:
    targets = preprocessing.by_output.values()
    return tuple(name for one in targets if isinstance(one, ClassTarget) for name in one.names)


def _curves(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Return how each numeric target is scaled, of those that are not scaled linearly."""
    targets = preprocessing.by_output.values()
    numeric = (one for one in targets if isinstance(one, NumericTarget))
    return tuple(curve.type for target in numeric for curve in target.curves) or ("linear",)


def _features(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Return what each input of a network is: a column, or a category of one."""
    return tuple(feature for column in preprocessing.inputs for feature in _features_of(column))


def _features_of(column: InputColumn) -> list[str]:
    features, encoder = [column.name], column.encoder
    if isinstance(encoder, Category):
        features = [f"{column.name}={category}" for category in encoder.categories]
    if isinstance(encoder, Number | Values) and encoder.scale.curve is not None:
        features = [f"{column.name} (scaling {encoder.scaling})"]
    if column.indicator:
        features.append(f"{column.name} is missing")
    return features


def _describe_mismatches(file: Path, mismatches: Mapping[str, str], layers: Iterable[str]) -> str:
    """Return an error message with the mismatches, and with those of the layers that match."""
    why = {name.split("/", 1)[1]: text for name, text in mismatches.items()}
    lines = [f"{name} {text}" for name, text in why.items()]
    more = f", and {len(lines) - MAX_SHOWN} more" if len(lines) > MAX_SHOWN else ""
    match = [f'"{layer}"' for layer in layers if not any(belongs_to(name, {layer}) for name in why)]
    fix = f'; to copy only what matches, set "layers": [{", ".join(match)}]'
    return (
        f"{file} does not match: {', '.join(lines[:MAX_SHOWN])}{more}"
        f"{fix if match else '; no layer matches'}"
    )
