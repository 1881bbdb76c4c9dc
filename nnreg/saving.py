"""A model to a checkpoint and back."""

from __future__ import annotations

import functools
import json
import math
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import nnreg
from nnreg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import CheckpointError, MissingPluginError, NnregError
from nnreg.interfaces import Array
from nnreg.model import Model
from nnreg.network import views
from nnreg.plugins import PROGRAM
from nnreg.provenance import Recorded, changes, exchanged
from nnreg.registry import Registry, installed
from nnreg.schema import Reader, read, to_json
from nnreg.spec import read_spec
from nnreg.threads import matrix_libraries


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Save a model with its training state, replacing a file that is there only when it is whole.

    Raises `CheckpointError` where the file cannot be written.
    """
    write_checkpoint(Path(path), to_checkpoint(model))


def load(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
    *,
    allow_changed: bool = False,
) -> Model:
    """Load a model that predicts, and trains on, with the same bits as when it was saved.

    `overrides` change its spec, as in `train.epochs=20`; components come from `registry`, by
    default from all that is installed and registered. Raises `CheckpointError` for a file that
    is damaged or foreign, or, without `allow_changed`, where another version of a plugin computes
    something else; `MissingPluginError` where a plugin that it needs is not installed.
    """
    file = Path(path)
    return from_checkpoint(
        read_checkpoint(file), str(file), overrides, registry, allow_changed=allow_changed
    )


def to_checkpoint(model: Model, *, best: bool = False) -> Checkpoint:
    """Return everything that a model is, as plain data.

    With `best`, the weights are those of the best epoch, and what training goes on from is left
    out.
    """
    progress, document, history = model.progress, model.document, model.history
    parameters, state = model.parameters, model.state
    if best and progress.best_vector is not None and progress.best_state is not None:
        parameters = views(progress.best_vector, model.network.params)
        state = views(progress.best_state, model.network.state_params)
    resumable = model.resumable and not best
    arrays = {f"parameters/{name}": array for name, array in parameters.items()}
    arrays |= {f"state/{name}": array for name, array in state.items()}
    if resumable:
        arrays |= {f"optimizer/{name}": slot for name, slot in progress.slots.items()}
        if progress.best_vector is not None and progress.best_state is not None:
            arrays["best/parameters"] = progress.best_vector
            arrays["best/state"] = progress.best_state
    arrays["history"] = np.array(
        [[record.get(name, math.nan) for name in history.names] for record in history], np.float64
    ).reshape(len(history), len(history.names))
    return Checkpoint(
        {
            "spec": document.tree,
            "origin": document.origin,
            "folder": str(document.folder),
            "preprocessing": to_json(model.preprocessing, document.registry),
            "components": model.components,
            "progress": {
                "epoch": progress.epoch,
                "step": progress.step,
                "best_epoch": progress.best_epoch,
                "best_value": progress.best_value if math.isfinite(progress.best_value) else None,
                "resumable": resumable,
            },
            "random": {
                "bit_generator": "PCG64",
                "seed": str(model.spec.seed),
                "streams": "SeedSequence([seed, stream, epoch])",
                "epoch": progress.epoch,
            },
            "history": history.names,
            "data": dict(model.data_digests),
            "environment": environment(),
        },
        arrays,
    )


def from_checkpoint(
    checkpoint: Checkpoint,
    where: str,
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
    *,
    allow_changed: bool = False,
) -> Model:
    """Return the model that a checkpoint holds."""
    document, registry = checkpoint.document, registry or installed()
    overrides = tuple(overrides)
    try:
        recorded = [Recorded.read(item) for item in document["components"]]
        _check_plugins(recorded, where, registry)
        tree = json.loads(json.dumps(document["spec"]))
        written = functools.partial(
            read_spec,
            tree,
            folder=Path(document["folder"]),
            registry=registry,
            written_by={(one.kind, one.name): one.version for one in recorded},
        )
        preprocessing = read(
            Preprocessing, document["preprocessing"], Reader(registry), "preprocessing"
        )
        spec = replace(written(overrides), origin=str(document["origin"]))
        model = Model(spec, preprocessing)
        pairs = exchanged(recorded, registry)
        if pairs and not allow_changed:
            # what is computed may well be changed by overrides, so these are left out
            saved = Model(written(), preprocessing) if overrides else model
            _refuse_changes(changes(pairs, saved.document, saved.network), where)
        _restore(model, document, dict(checkpoint.arrays))
    except (CheckpointError, MissingPluginError):
        raise
    except (NnregError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{where}: the parts do not fit together: {error}") from error
    return model


def environment() -> dict[str, Any]:
    """Return what the bits of a result depend on besides the spec."""
    blas = [
        {key: info.get(key) for key in ("internal_api", "version", "num_threads", "architecture")}
        for info in matrix_libraries()
    ]
    return {
        "nnreg": nnreg.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "blas": blas,
    }


def _refuse_changes(lines: Sequence[str], where: str) -> None:
    """Raise `CheckpointError` where components compute something else than they did."""
    if lines:
        raise CheckpointError(
            "\n  ".join([f"{where}: not what was saved, with the plugins of today:", *lines])
            + "\nInstall the versions it was saved with, or take it as it is now with "
            "--allow-changed (in Python, allow_changed=True)"
        )


def _check_plugins(recorded: Iterable[Recorded], where: str, registry: Registry) -> None:
    """Refuse a checkpoint with a component that nothing installed provides."""
    for one in recorded:
        if registry.find(one.kind, one.name) is not None:
            continue
        # they are shown as a command to type
        if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", f"{one.distribution}=={one.version}"):
            raise ValueError(f"{one.distribution}=={one.version} is not a distribution and version")
        needs = f"{where} needs the {one.kind} {one.name!r} of {one.provider}"
        there = registry.of_distribution(one.distribution)
        if there is not None and there.why:
            raise MissingPluginError(f"{needs}, which is {there.state}: {there.why}")
        if one.plugin.startswith(PROGRAM):
            raise MissingPluginError(f"{needs}, which a program registered; call {PROGRAM} first")
        if one.distribution.endswith(".py"):
            file = one.distribution
            advice = f"give it with --plugin {file}, or {PROGRAM}('{file}')"
            raise MissingPluginError(f"{needs}, which is a file: {advice}", file)
        found = f"{there.version} is" if there else "is not"
        raise MissingPluginError(
            f"{needs}, which {found} installed; run: pip install {one.distribution}=={one.version}"
        )


def _restore(model: Model, document: Mapping[str, Any], arrays: dict[str, Array]) -> None:
    """Put arrays and progress in place. Raises ValueError for what is missing or too much."""
    for prefix, targets in (("parameters", model.parameters), ("state", model.state)):
        for name, target in targets.items():
            target[...] = _take(arrays, f"{prefix}/{name}", target)
    progress, saved, vector = model.progress, document["progress"], model.network.vector
    model.resumable = bool(saved["resumable"])
    model.data_digests = {str(key): str(value) for key, value in document["data"].items()}
    progress.epoch, progress.step = int(saved["epoch"]), int(saved["step"])
    progress.best_epoch = int(saved["best_epoch"])
    if saved["best_value"] is not None:
        progress.best_value = float(saved["best_value"])
    names = [str(name) for name in document["history"]]
    rows = _take(arrays, "history", np.empty((progress.epoch, len(names))))
    progress.history = [
        {
            name: int(value) if name == "epoch" else float(value)
            for name, value in zip(names, row, strict=True)
            if not math.isnan(value)
        }
        for row in rows
    ]
    if model.resumable:
        if "best/parameters" in arrays:
            progress.best_vector = _take(arrays, "best/parameters", vector)
            progress.best_state = _take(arrays, "best/state", model.network.state_vector)
        if progress.step or any(name.startswith("optimizer/") for name in arrays):
            for name in model.spec.optimizer.slots:
                progress.slots[name] = _take(arrays, f"optimizer/{name}", vector)
    if arrays:
        raise ValueError(f"the file holds {sorted(arrays)[0]!r}, which this model has not")


def _take(arrays: dict[str, Array], name: str, like: Array) -> Array:
    """Return an array of exactly the shape and type of another."""
    if name not in arrays:
        raise ValueError(f"the file lacks {name!r}")
    array = arrays.pop(name)
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"{name!r} is {array.dtype} {array.shape}; the spec makes it {like.dtype} {like.shape}"
        )
    return array
