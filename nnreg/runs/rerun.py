"""Training a checkpoint's spec again and comparing the results."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nnreg.checkpoint.diff import Differences, _compare
from nnreg.checkpoint.inspect import CheckpointSummary, read_summary
from nnreg.checkpoint.manifest import read_manifest
from nnreg.checkpoint.save_load import load, to_file_content
from nnreg.registry.registry import Registry
from nnreg.runs.numeric_environment import numeric_environment
from nnreg.runs.prepare import check_data, prepare_from_spec
from nnreg.runs.warm_start import check_start
from nnreg.training.state import Record


def rerun(
    path: str | os.PathLike[str],
    *,
    registry: Registry | None = None,
    allow_changed: bool = False,
    on_epoch: Callable[[Record], None] | None = None,
) -> Differences:
    """Train the spec of a checkpoint again for as many steps, and compare the two.

    Nothing is written. Raises `DataError` if the data files differ from those it was trained on.
    """
    original = read_summary(path)
    model = load(path, registry=registry, allow_changed=allow_changed)
    check_data(model)
    check_start(model)
    prepared = prepare_from_spec(model.document)
    saved, state = original.manifest.progress, prepared.model.training_state
    epochs = saved.epoch + (saved.partial is not None)
    trainer = prepared.model.trainer(
        prepared.train, prepared.validation, epochs=epochs, check=False
    )
    for record in trainer.iterate(lambda: state.step == saved.step):
        if record is None:  # in mid-epoch, at the step where it was saved
            break
        if on_epoch:
            on_epoch(record)
    again = to_file_content(
        prepared.model,
        best=not saved.resumable,
        environment=numeric_environment(prepared.model, trainer),
    )
    manifest = read_manifest(again.document, again.arrays, "the new training")
    return _compare(original, CheckpointSummary(Path(), manifest, again.arrays))
