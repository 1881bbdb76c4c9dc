"""A model to a checkpoint and back."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.atomic_files import sweep
from nnreg.checkpoint.file_format import (
    Checkpoint,
    Passed,
    ignore,
    read_checkpoint,
    write_checkpoint,
)
from nnreg.checkpoint.manifest import Begun, Manifest, check_array, read_manifest
from nnreg.checkpoint.paths import checkpoint_file
from nnreg.errors import (
    CheckpointError,
    MissingPluginError,
    NnregError,
    PluginError,
    SpecError,
    UsageError,
)
from nnreg.model.build import plan_network
from nnreg.model.model import Model
from nnreg.network.parameters import declared, total_size, views
from nnreg.provenance.components import changes, exchanged
from nnreg.provenance.environment import environment as here
from nnreg.registry.loading import PROGRAM
from nnreg.registry.registry import KINDS, Registry, installed
from nnreg.spec.compose import each_of
from nnreg.spec.document import read_spec
from nnreg.spec.sections import Spec
from nnreg.spec.validation import to_json
from nnreg.training.history import records
from nnreg.training.state import Partial


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Save a model with its training state, replacing a file that is there only when it is whole.

    Raises `CheckpointError` where the file cannot be written, or weights are not finite: the file
    would not load.
    """
    file, checkpoint = Path(path), to_checkpoint(model)
    try:
        check_finite(checkpoint.arrays)
    except ValueError as error:
        raise CheckpointError(f"{file}: cannot save: {error}") from error
    write_checkpoint(file, checkpoint)
    sweep(file.parent)


def load(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
    *,
    allow_changed: bool = False,
) -> Model:
    """Load a model that predicts, and trains on, with the same bits as when it was saved.

    `path` is a checkpoint, or the folder of a run, whose best one is loaded.
    `overrides` change its spec, as in `train.epochs=20`; components come from `registry`, by
    default from all that is installed and registered. Raises `CheckpointError` for a file that
    is damaged or foreign, or, without `allow_changed`, where another version of a plugin computes
    something else; `MissingPluginError` where a plugin that it needs is not installed.
    """
    file = checkpoint_file(Path(path))
    return from_checkpoint(
        read_checkpoint(file), str(file), overrides, registry, allow_changed=allow_changed
    )


def to_checkpoint(
    model: Model, *, best: bool = False, environment: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return everything that a model is, as plain data.

    With `best`, the weights are those of the best epoch, and what training goes on from is left
    out. `environment` says where it was trained, by default what that is here and now.
    """
    progress, document, history = model.progress, model.document, model.history
    columns = history.names
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
        if progress.averaged and progress.means is not None:
            arrays["average/parameters"], arrays["average/state"] = progress.means
        if progress.partial and progress.partial.outputs is not None:
            arrays["partial/outputs"] = progress.partial.outputs
    arrays["history"] = np.array(
        [[record.get(name, math.nan) for name in columns] for record in history], np.float64
    ).reshape(len(history), len(columns))
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
                "partial": _begun(progress.partial) if resumable else None,
                "averaged": progress.averaged if resumable else 0,
            },
            "history": columns,
            "data": dict(model.data_digests),
            "started_from": dict(model.started_from),
            "environment": environment or here(),
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
    passed: Passed = ignore,
) -> Model:
    """Return the model that a checkpoint holds. `passed` is told each check that it has passed."""
    arrays, registry = checkpoint.arrays, registry or installed()
    overrides = each_of(overrides)
    try:
        manifest = read_manifest(checkpoint.document, arrays)
        passed("the document has every key of the format and no other")
        _check_plugins(manifest, where, registry)
        written = functools.partial(
            read_spec,
            manifest.spec,
            folder=Path(manifest.folder),
            registry=registry,
            written_by={(one.kind, one.name): one.version for one in manifest.components},
        )
        document = replace(written(overrides), origin=manifest.origin)
        passed("the spec is valid, and all that it names is installed")
        _check_arrays(arrays, manifest, document.spec)
        passed("names, shapes and types of the arrays are those that the spec builds")
        check_finite(arrays)
        passed("all weights are finite")
        model = Model(document, manifest.preprocessing)
        pairs = exchanged(manifest.components, registry)
        if pairs and not allow_changed:
            # what is computed may well be changed by overrides, so these are left out
            saved = Model(written(), manifest.preprocessing) if overrides else model
            _refuse_changes(changes(pairs, saved.document, saved.network), where)
        passed("its components compute what they did when it was saved")
        _restore(model, manifest, arrays)
    except (CheckpointError, PluginError, UsageError):
        raise
    except (NnregError, ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, SpecError) and error.of_changes:
            error.where = where
            raise
        fix = ""
        if overrides:
            fix = "; --set cannot change the network of a checkpoint: begin a new run"
        raise CheckpointError(f"{where}: the parts do not fit together: {error}{fix}") from error
    return model


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Raise ValueError for weights or state with which a network would predict NaN."""
    for name, array in arrays.items():
        if name.startswith(("parameters/", "state/", "best/", "average/")):
            bad = array.size - int(np.isfinite(array).sum())
            if bad:
                raise ValueError(f"{bad:,} of the {array.size:,} values of {name!r} are not finite")


def _refuse_changes(lines: Sequence[str], where: str) -> None:
    """Raise `CheckpointError` where components compute something else than they did."""
    if lines:
        raise CheckpointError(
            "\n  ".join([f"{where}: not what was saved, with the plugins of today:", *lines])
            + "\nInstall the versions it was saved with, or take it as it is now with "
            "--allow-changed (in Python, allow_changed=True)"
        )


def _check_plugins(manifest: Manifest, where: str, registry: Registry) -> None:
    """Refuse a checkpoint with a component that nothing installed provides."""
    for one in manifest.components:
        if one.kind not in KINDS:
            raise ValueError(f"{one.kind!r} is not a kind of component")
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
            file = _plugin_file(one.distribution, manifest.folder)
            advice = f"if you trust it, give it with --plugin {file}, or {PROGRAM}('{file}')"
            raise MissingPluginError(f"{needs}, which is a file: {advice}", file)
        found = f"{there.version} is" if there else "is not"
        raise MissingPluginError(
            f"{needs}, which {found} installed; if you trust it, "
            f"run: pip install {one.distribution}=={one.version}"
        )


def _plugin_file(name: str, folder: str) -> str:
    """Return where a plugin's file is: here, or where the spec was; otherwise its bare name."""
    for path in (Path(name), Path(folder) / name):
        if path.is_file():
            inside = path.is_absolute() and path.is_relative_to(Path.cwd())
            return str(path.relative_to(Path.cwd()) if inside else path)
    return name


def _check_arrays(arrays: Mapping[str, Array], manifest: Manifest, spec: Spec) -> None:
    """Compare with what the spec builds, before anything is made of that size.

    Raises ValueError for an array that is missing, too much, or of another shape or type.
    """
    preprocessing, names = manifest.preprocessing, manifest.preprocessing.class_names
    classes = None if names is None else len(names)
    blueprint = plan_network(spec, preprocessing.input_shape, classes)
    if not preprocessing.fits(blueprint.output_shape):
        raise ValueError(f"the outputs {blueprint.output_shape} do not fit the target")
    parameters, state = declared(blueprint.plan)
    expected = {f"parameters/{name}": param.shape for name, param in parameters.items()}
    expected |= {f"state/{name}": param.shape for name, param in state.items()}
    if manifest.progress.resumable:
        size, rest = total_size(parameters), total_size(state)
        if "best/parameters" in arrays:
            expected |= {"best/parameters": (size,), "best/state": (rest,)}
        if manifest.progress.averaged:
            if not _averages(manifest.spec):
                raise ValueError("the file has averages, but its spec asks for none (train.ema)")
            expected |= {"average/parameters": (size,), "average/state": (rest,)}
        if manifest.progress.step or any(name.startswith("optimizer/") for name in arrays):
            expected |= {f"optimizer/{name}": (size,) for name in spec.optimizer.slots}
        if manifest.progress.partial and spec.metrics:
            seen = manifest.progress.partial.seen
            expected["partial/outputs"] = (seen, *blueprint.output_shape)
    for name, shape in expected.items():
        check_array(arrays, name, shape, np.dtype(spec.model.dtype))
    for name in sorted(arrays.keys() - expected.keys() - {"history"}):
        raise ValueError(f"the file holds {name!r}, which this model has not")


def _averages(tree: Mapping[str, Any]) -> bool:
    """Tell whether a spec, as it was saved, keeps averages; changes of today do not count."""
    train = tree.get("train")
    return isinstance(train, Mapping) and train.get("ema") is not None


def _restore(model: Model, manifest: Manifest, arrays: Mapping[str, Array]) -> None:
    """Put arrays and progress in place."""
    for prefix, targets in (("parameters", model.parameters), ("state", model.state)):
        for name, target in targets.items():
            target[...] = arrays[f"{prefix}/{name}"]
    progress, saved = model.progress, manifest.progress
    model.resumable = saved.resumable
    model.data_digests, model.environment = manifest.data, manifest.environment
    model.started_from = manifest.started_from
    progress.epoch, progress.step, progress.best_epoch = saved.epoch, saved.step, saved.best_epoch
    if saved.best_value is not None:
        progress.best_value = saved.best_value
    progress.history = records(manifest.history, arrays["history"])
    progress.best_vector, progress.best_state = (
        arrays.get("best/parameters"), arrays.get("best/state")
    )  # fmt: skip
    progress.slots = {
        name.removeprefix("optimizer/"): array
        for name, array in arrays.items()
        if name.startswith("optimizer/")
    }
    if saved.averaged:
        progress.averaged = saved.averaged
        progress.means = arrays["average/parameters"], arrays["average/state"]
    progress.partial = _partial(saved.partial, arrays.get("partial/outputs"))


def _begun(partial: Partial | None) -> dict[str, Any] | None:
    """Return what `manifest.Begun` reads."""
    if partial is None:
        return None
    streams = [
        {
            **{name: str(value) for name, value in stream["state"].items()},
            "has_uint32": stream["has_uint32"],
            "uinteger": stream["uinteger"],
        }
        for stream in partial.streams
    ]
    numbers = {"count": partial.count, "seen": partial.seen, "loss": partial.loss}
    return {**numbers, "streams": streams}


def _partial(begun: Begun | None, outputs: Array | None) -> Partial | None:
    if begun is None:
        return None
    streams = [
        {
            "bit_generator": "PCG64",
            "state": {"state": int(stream.state), "inc": int(stream.inc)},
            "has_uint32": stream.has_uint32,
            "uinteger": stream.uinteger,
        }
        for stream in begun.streams
    ]
    return Partial(begun.count, begun.seen, begun.loss, outputs, streams)
