"""Taking the weights of a network from a file of PyTorch, of Keras, or of an export."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg.errors import CheckpointError, FormatError, NnregWarning, UsageError
from nnreg.model.build import unknown_layers
from nnreg.model.model import Model
from nnreg.network.parameters import belongs_to, layer_names, within_member
from nnreg.weights.files import ForeignFile, read_foreign
from nnreg.weights.layouts import Source
from nnreg.weights.matching import Match, Matching, leaves

MAX_SHOWN = 8
"""The most layers or arrays in a message."""


def load_weights(
    model: Model,
    path: str | PathLike[str],
    names: Mapping[str, str] | None = None,
    layers: Sequence[str] | None = None,
) -> dict[str, str]:
    """Replace weights of a model by those of a `.safetensors`, `.weights.h5` or `.keras` file.

    The file is a `state_dict` of PyTorch, weights of Keras, or an export of nnreg; arrays are
    transposed as their layers need it. By default each layer takes the arrays of its shapes,
    several of a kind in their order. `names` says it otherwise: from a layer of the model, such as
    `layers/0`, to a module of the file, or from an array to an array. `layers` are those to
    replace, by default all. Returns from which arrays of the file each array was made.

    Raises `CheckpointError`, and leaves the model as it was, for a file that is damaged or does not
    fit. Warns of arrays of the file that no layer takes.
    """
    unknown = unknown_layers(model.network.plan, layers or (), "layers")
    if unknown:
        raise UsageError("; ".join(map(str, unknown)))
    if model.inference_network is not model.network:
        raise UsageError(
            "the model predicts with averages of its training, which would stay; take a new one, "
            "from nnreg.build"
        )
    found = weights_from(model, Path(path), names or {}, layers)
    for name, (values, _) in found.items():
        _arrays(model)[name][...] = values
    return {name: " and ".join(theirs) for name, (_, theirs) in found.items()}


def weights_from(
    model: Model, path: Path, names: Mapping[str, str], layers: Collection[str] | None
) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """Return the values of the arrays of these layers, with the names that they have in the file.

    Raises `CheckpointError`; see `load_weights`.
    """
    file = read_foreign(path)
    arrays = _arrays(model)
    chosen = frozenset(layer_names(model.network.plan) if layers is None else layers)
    wanted = [name for name in arrays if belongs_to(within_member(name), chosen)]
    try:
        matches = _matches(model, file, names, chosen, wanted)
        found = {
            name: (_value(file, matches[name], arrays[name], name), matches[name].names)
            for name in wanted
        }
        _require_variances(model, found)
    except FormatError as error:
        raise CheckpointError(f"{path}: {error}") from error
    used = {name for match in matches.values() for name in match.names}
    if unused := [name for name in file.arrays if name not in used]:
        text = f"{path}: no layer takes {_shown(unused)}"
        warnings.warn(text, NnregWarning, stacklevel=3)
    return found


def _arrays(model: Model) -> dict[str, Array]:
    return {**model.network.parameters, **model.network.state}


def _matches(
    model: Model,
    file: ForeignFile,
    names: Mapping[str, str],
    chosen: frozenset[str],
    wanted: Sequence[str],
) -> dict[str, Match]:
    """Return where the arrays of a model are in a file, among them all that are wanted."""
    arrays = _arrays(model)
    own = {
        name: next((one for one in (name, within_member(name)) if one in file.arrays), "")
        for name in arrays
    }
    if not names and any(own.values()):  # an export of nnreg
        if missing := [name for name in wanted if not own[name]]:
            raise FormatError(f"it has no {_shown(missing)}")
        return {
            name: Match((found,), Source({found: arrays[name].shape}, lambda values: values))
            for name, found in own.items()
            if found
        }
    matching = Matching(file, list(leaves(model.network.plan, file.framework)), {}, {})
    whole = matching.open
    matching.named(names)
    matching.rest()
    problems = [
        f"{one.name}: {matching.problems.get(one.name, 'some of its arrays are not named')}"
        for one in whole
        if belongs_to(f"{one.name}/", chosen) and not matching.has_all(one)
    ]
    if problems:
        raise FormatError(f"it does not match the model: {_shown(problems, '; ')}")
    found = {name: matching.matches.get(within_member(name)) for name in arrays}
    return {name: match for name, match in found.items() if match is not None}


def _value(file: ForeignFile, match: Match, ours: Array, name: str) -> Array:
    """Return the values for one of our arrays. Raises `FormatError` if they do not fit."""
    given = [file.arrays[one] for one in match.names]
    shapes = [values.shape for values in given]
    if shapes != list(match.source.shapes.values()):
        expected = ", ".join(map(str, match.source.shapes.values()))
        raise FormatError(f"{name} takes {expected}; the file has {', '.join(map(str, shapes))}")
    for one, values in zip(match.names, given, strict=True):
        if values.dtype.kind not in "fiu":
            raise FormatError(f"{one!r} is not an array of numbers")
    with np.errstate(over="ignore"):
        found = match.source.convert(*given).astype(ours.dtype)
    if not np.isfinite(found).all():
        raise FormatError(
            f"{' and '.join(match.names)}, for {name}, has values that are not finite"
        )
    return found


def _require_variances(model: Model, found: Mapping[str, tuple[Array, tuple[str, ...]]]) -> None:
    for name, param in model.network.state_params.items():
        if param.non_negative and name in found and (found[name][0] < 0).any():
            raise FormatError(f"{' '.join(found[name][1])}, for {name}, has values below 0")


def _shown(texts: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(texts) - MAX_SHOWN} more" if len(texts) > MAX_SHOWN else ""
    return between.join(texts[:MAX_SHOWN]) + more
