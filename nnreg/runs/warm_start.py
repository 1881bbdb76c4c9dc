"""Beginning with the weights of another checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from nnreg._types import Array
from nnreg.checkpoint.file_format import is_checkpoint
from nnreg.checkpoint.inspect import read_summary
from nnreg.checkpoint.paths import checkpoint_file
from nnreg.errors import CheckpointError, DataError, Problem, SpecError
from nnreg.model.build import unknown_layers
from nnreg.model.model import Model
from nnreg.network.parameters import belongs_to, layer_names

MAX_SHOWN = 8
"""The most arrays that do not fit of which an error tells."""

PATH = "$.train.start_from"


def take_weights(model: Model) -> None:
    """Copy into a new model what its spec's `train.start_from` names, and note where from.

    Raises `SpecError` for a file that cannot be read or does not fit.
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
        for group, arrays in (("parameters", model.parameters), ("state", model.state))
        for name, array in arrays.items()
        if belongs_to(name, layers)
    }
    try:
        file = _file(model)
        given = read_summary(file).arrays
    except CheckpointError as error:
        raise SpecError([Problem(PATH, str(error))]) from error
    misfits = {
        name: why for name, array in wanted.items() if (why := _mismatch(array, given, name))
    }
    if misfits:
        problem = _describe_mismatches(
            file, misfits, [n for n in model.network.layers if n in layers]
        )
        raise SpecError([Problem(PATH, problem)])
    for name, array in wanted.items():
        array[...] = given[name]
    model.started_from = {str(file): _digest(file)}


def check_start(model: Model) -> None:
    """Refuse a checkpoint other than the one that a loaded model started from.

    Raises `DataError`; nothing of the file is used but its digest.
    """
    if model.spec.train.start is None:
        return
    file, known = _file(model), list(model.started_from.values())
    if not is_checkpoint(file) or [_digest(file)] != known:
        expected = f" (SHA-256 {known[0][:16]}…)" if known else ""
        raise DataError(
            f"{file}: not the checkpoint that it started from{expected}; put the old file back"
        )


def _file(model: Model) -> Path:
    option = model.spec.train.start
    assert option is not None  # both callers have looked
    return checkpoint_file(model.document.directory / option.checkpoint)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _mismatch(array: Array, given: Mapping[str, Array], name: str) -> str:
    """Say why an array cannot be taken over, or nothing."""
    if name not in given:
        return "is not there"
    there = given[name].shape
    return "" if there == array.shape else f"has the shape {array.shape} here and {there} there"


def _describe_mismatches(file: Path, misfits: Mapping[str, str], layers: Iterable[str]) -> str:
    """Say what does not fit, and which of these layers do."""
    why = {name.split("/", 1)[1]: text for name, text in misfits.items()}
    told = [f"{name} {text}" for name, text in why.items()]
    more = f", and {len(told) - MAX_SHOWN} more" if len(told) > MAX_SHOWN else ""
    fit = [f'"{layer}"' for layer in layers if not any(belongs_to(name, {layer}) for name in why)]
    advice = f'; take what fits with "layers": [{", ".join(fit)}]' if fit else "; no layer fits"
    return f"{file} does not fit: {'; '.join(told[:MAX_SHOWN])}{more}{advice}"
