"""Saving models to checkpoints, and loading them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnreg._types import Array
from nnreg._utils.atomic_files import real_path, remove_stale_temp_files
from nnreg._utils.home import with_home, without_home
from nnreg._utils.json_text import with_numbers, with_text
from nnreg.checkpoint.array_rules import check_arrays, check_values
from nnreg.checkpoint.best_weights import values_of, where_best
from nnreg.checkpoint.file_format import (
    CheckListener,
    Checkpoint,
    check_readable,
    no_listener,
    read_checkpoint,
    write_checkpoint,
)
from nnreg.checkpoint.manifest import (
    BestWeights,
    EpochStateRecord,
    Manifest,
    inconsistent,
    read_manifest,
    read_preprocessing,
    recorded_names,
)
from nnreg.checkpoint.paths import checkpoint_file, run_directory_of
from nnreg.checkpoint.resume_rules import check_resume
from nnreg.errors import CheckpointError, FormatError
from nnreg.model.model import Model
from nnreg.network.parameters import belongs_to, views
from nnreg.provenance.components import changes, possibly_changed, require
from nnreg.provenance.environment import library_versions as here
from nnreg.registry.names import Preferences
from nnreg.registry.registry import Registry, installed
from nnreg.spec.document import Document, read_spec
from nnreg.spec.overrides import Overrides, as_tuple
from nnreg.spec.validation import to_json
from nnreg.training.history import records, table
from nnreg.training.state import EpochState, TrainingState
from nnreg.training.update import reset_optimizer


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Save a model with its training state, atomically.

    Another thread may be training it: what is saved is a snapshot between two of its steps, a copy,
    with which training does not interfere. Training that starts later waits until the file is
    written. Raises `CheckpointError` if the file cannot be written, or could not be loaded: for
    example, if weights are not finite, or a name is not UTF-8.
    """
    file, lock = Path(path), model.training_state.lock
    with lock.reading():
        content = to_file_content(model)
        if not lock.in_training:
            _write(model, content, file)
            return
        arrays = {name: array.copy() for name, array in content.arrays.items()}
    _write(model, replace(content, arrays=arrays), file)  # training need not wait for it


def _write(model: Model, content: Checkpoint, file: Path) -> None:
    """Write what a reader accepts, and remove what killed processes left beside it."""
    check_content(model, content, file)
    write_checkpoint(file, content)
    if file.is_file():  # not a device
        remove_stale_temp_files(real_path(file).parent)


def check_saveable(model: Model, path: Path) -> None:
    """Raise `CheckpointError` if a checkpoint of this model could not be loaded again.

    Nothing is written. The message names `path`, where checkpoints will be written.
    """
    checkpoint = to_file_content(model)
    check_readable(path, checkpoint)
    check_content(model, checkpoint, path)


def check_content(
    model: Model, checkpoint: Checkpoint, path: Path, *, document: bool = True
) -> None:
    """Raise `CheckpointError` for content of a model that `load` would refuse.

    Without `document`, only the arrays are checked.
    """
    arrays = checkpoint.arrays
    try:
        if document:
            manifest = read_manifest(checkpoint.document, arrays, "the content")
            with inconsistent("the content"):
                read_preprocessing(manifest, model.document.registry)
        check_values(arrays, model.network.state_params, model.spec.optimizer)
    except (CheckpointError, FormatError) as error:
        raise CheckpointError(f"{path}: cannot save: {error}") from error


def load(
    path: str | os.PathLike[str],
    overrides: Overrides = (),
    registry: Registry | None = None,
    *,
    allow_changed: bool = False,
) -> Model:
    """Load a model whose predictions and further training are bit-identical to the saved one's.

    `path` is a checkpoint, or a run directory, whose best checkpoint is loaded. `overrides` change
    its spec, as in `{"train.epochs": 20}`; of a checkpoint for resuming, what `resume_rules` allow.
    Components are those of `registry`, by default all that are installed and registered. Raises
    `CheckpointError` for a file that is damaged or not a checkpoint, or, without `allow_changed`,
    if a plugin behaves differently than when it was saved; `SpecError` for refused overrides;
    `MissingPluginError` if a plugin is not installed.
    """
    file = checkpoint_file(Path(path))
    model = from_file_content(
        read_checkpoint(file), str(file), overrides, registry, allow_changed=allow_changed
    )
    model.run_directory = run_directory_of(file)
    return model


def to_file_content(
    model: Model, *, best: bool = False, environment: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return a model as plain data.

    With `best`, the weights are those of the best epoch, and the training state is omitted.
    `environment` is that of the training, by default the current one.
    """
    training_state, document, history = model.training_state, model.document, model.history
    columns, origin = history.names, Path(document.origin)
    parameters, state = model.parameters, model.buffers
    best_vector, best_state = training_state.best_vector, training_state.best_state
    if best and best_vector is not None and best_state is not None:
        parameters = views(best_vector, model.network.params)
        state = views(best_state, model.network.state_params)
    resumable = model.resumable and not best
    best_weights = where_best(model) if resumable else "best"
    arrays = {f"parameters/{name}": array for name, array in parameters.items()}
    arrays |= {f"state/{name}": array for name, array in state.items()}
    if resumable:
        if training_state.step:  # before, they are zeros
            vectors = training_state.optimizer_state
            arrays |= {f"optimizer/{name}": vector for name, vector in vectors.items()}
        if best_vector is not None and best_state is not None and best_weights == "best":
            arrays["best/parameters"], arrays["best/state"] = best_vector, best_state
        if training_state.ema_steps and training_state.ema is not None:
            arrays["average/parameters"], arrays["average/state"] = training_state.ema
        if training_state.epoch_state and training_state.epoch_state.outputs is not None:
            arrays["partial/outputs"] = training_state.epoch_state.outputs
    arrays["history"], measured = table(columns, history)
    if measured is not None:
        arrays["history_measured"] = measured
    return Checkpoint(
        {
            "spec": document.tree,
            "origin": origin.name if origin.is_absolute() else document.origin,
            "directory": without_home(str(document.directory)),
            "preprocessing": to_json(model.preprocessing, document.registry),
            "components": model.components,
            "progress": _progress_json(training_state, best_weights, resumable=resumable),
            "history": columns,
            "data": dict(model.data_digests),
            "started_from": dict(model.started_from),
            "environment": environment or here(),
            **({"results": with_text(results)} if (results := training_state.evaluated) else {}),
        },
        arrays,
    )


def from_file_content(
    checkpoint: Checkpoint,
    where: str,
    overrides: Overrides = (),
    registry: Registry | None = None,
    *,
    allow_changed: bool = False,
    run_plugin_file: bool = False,
    on_check: CheckListener = no_listener,
) -> Model:
    """Return the model of a checkpoint; `on_check` is called with each passed check.

    `run_plugin_file` is for resuming: an `nnregfile.py` beside the spec is run, as at the start.

    Every step raises its own error for an invalid file, and nothing else is caught: any other
    exception is a bug.
    """
    arrays, registry, overrides = checkpoint.arrays, registry or installed(), as_tuple(overrides)
    hint = "; --set cannot change the network of a checkpoint: start a new run" if overrides else ""
    manifest = read_manifest(checkpoint.document, arrays, where)
    manifest = replace(manifest, directory=with_home(manifest.directory))
    on_check("the document has every key of the format and no other")
    if run_plugin_file:
        registry = registry.with_plugin_file(Path(manifest.directory), run=True)
    registry = registry.preferring(Preferences(recorded=recorded_names(manifest)))
    with inconsistent(where):
        require(manifest.components, registry, where, manifest.directory)
    document = _document(manifest, where, registry, overrides)
    before = None
    if overrides and manifest.progress.resumable:
        before = _document(manifest, where, registry, ())
        check_resume(before, document, where, mid_epoch=manifest.progress.partial is not None)
    on_check("the spec is valid, and all its components are installed")
    with inconsistent(where, hint):
        preprocessing = read_preprocessing(manifest, document.registry)
        check_arrays(arrays, manifest, preprocessing, document.spec)
    on_check("the arrays have the names, shapes and types that the spec requires")
    with inconsistent(where, hint):
        model = Model(document, preprocessing, check=False)
    with inconsistent(where):
        check_values(arrays, model.network.state_params, model.spec.optimizer)
    on_check("their values are finite, and none is negative that cannot be")
    if not allow_changed:
        _check_fingerprints(model, manifest, where, overrides)
    on_check("its components behave as they did when it was saved")
    _restore(model, manifest, arrays)
    if before:
        freeze = before.spec.train.freeze
        frozen = {name for name in model.network.params if belongs_to(name, freeze)}
        names = frozen - model.network.frozen
        reset_optimizer(model.network, model.spec.optimizer, model.training_state, names)
    return model


def _document(
    manifest: Manifest, where: str, registry: Registry, overrides: Sequence[str]
) -> Document:
    """Return the spec of a checkpoint, with overrides."""
    with inconsistent(where):
        document = read_spec(
            manifest.spec,
            overrides,
            directory=Path(manifest.directory),
            registry=registry,
            recorded=recorded_names(manifest),
            written_by={(one.kind, one.name): one.version for one in manifest.components},
        )
    return replace(document, origin=manifest.origin)


def _check_fingerprints(
    model: Model, manifest: Manifest, where: str, overrides: Sequence[str]
) -> None:
    """Raise `CheckpointError` if components behave differently from when they were saved.

    Overrides may change the results of components, so they are not applied here.
    """
    pairs = possibly_changed(manifest.components, model.document.registry, model.network)
    if pairs and overrides:
        document = _document(manifest, where, model.document.registry, ())
        with inconsistent(where):
            model = Model(document, model.preprocessing, check=False)
    lines = changes(pairs, model.document, model.network) if pairs else []
    if lines:
        title = f"{where}: components behave differently from when this checkpoint was saved:"
        raise CheckpointError(
            "\n  ".join([title, *lines])
            + "\nInstall the versions, or restore the code, that it was saved with, or load it "
            "anyway with --allow-changed (in Python, allow_changed=True)"
        )


def _restore(model: Model, manifest: Manifest, arrays: Mapping[str, Array]) -> None:
    """Copy arrays and training state into a new model."""
    for prefix, targets in (("parameters", model.parameters), ("state", model.buffers)):
        for name, target in targets.items():
            target[...] = arrays[f"{prefix}/{name}"]
    state, saved = model.training_state, manifest.progress
    model.resumable = saved.resumable
    model.data_digests, model.environment = manifest.data, manifest.environment
    model.started_from = manifest.started_from
    state.epoch, state.step, state.best_epoch = saved.epoch, saved.step, saved.best_epoch
    if saved.best_value is not None:
        state.best_value = saved.best_value
    measured = arrays.get("history_measured")
    state.history = records(manifest.history, arrays["history"], measured)
    state.optimizer_state = {
        name.removeprefix("optimizer/"): array
        for name, array in arrays.items()
        if name.startswith("optimizer/")
    }
    if saved.averaged:
        state.ema_steps = saved.averaged
        state.ema = arrays["average/parameters"], arrays["average/state"]
    state.best_vector, state.best_state = arrays.get("best/parameters"), arrays.get("best/state")
    if saved.best_weights != "best":
        one, other = values_of(model, saved.best_weights)
        state.best_vector, state.best_state = one.copy(), other.copy()
    state.unfrozen = dict(saved.unfrozen)
    state.evaluated = {split: with_numbers(found) for split, found in manifest.results.items()}
    state.epoch_state = _epoch_state(saved.partial, arrays.get("partial/outputs"))


def _progress_json(
    state: TrainingState, best_weights: BestWeights, *, resumable: bool
) -> dict[str, Any]:
    """Return the JSON of a `ProgressRecord`."""
    shared = {} if best_weights == "best" else {"best_weights": best_weights}
    return {
        "epoch": state.epoch,
        "step": state.step,
        "best_epoch": state.best_epoch,
        "best_value": state.best_value if math.isfinite(state.best_value) else None,
        "resumable": resumable,
        "partial": _epoch_state_json(state.epoch_state) if resumable else None,
        "averaged": state.ema_steps if resumable else 0,
        "unfrozen": state.unfrozen if resumable else {},
        **shared,
    }


def _epoch_state_json(epoch_state: EpochState | None) -> dict[str, Any] | None:
    """Return the JSON of an `EpochStateRecord`."""
    if epoch_state is None:
        return None
    streams = [
        {
            **{name: str(value) for name, value in stream["state"].items()},
            "has_uint32": stream["has_uint32"],
            "uinteger": stream["uinteger"],
        }
        for stream in epoch_state.streams
    ]
    return {
        "count": epoch_state.count,
        "seen": epoch_state.seen,
        "loss": epoch_state.loss,
        "streams": streams,
        "examples": epoch_state.examples,
    }


def _epoch_state(record: EpochStateRecord | None, outputs: Array | None) -> EpochState | None:
    if record is None:
        return None
    streams = [
        {
            "bit_generator": "PCG64",
            "state": {"state": int(stream.state), "inc": int(stream.inc)},
            "has_uint32": stream.has_uint32,
            "uinteger": stream.uinteger,
        }
        for stream in record.streams
    ]
    return EpochState(record.count, record.seen, record.loss, outputs, streams, record.examples)
