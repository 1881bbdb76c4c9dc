"""Training a checkpoint's spec again, to compare the results."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nnreg.checkpoint.diff import Differences, _compare
from nnreg.checkpoint.inspect import Contents, read_contents
from nnreg.checkpoint.manifest import read_manifest
from nnreg.checkpoint.save_load import load, to_checkpoint
from nnreg.registry.registry import Registry
from nnreg.runs.prepare import assemble, check_data
from nnreg.runs.run import conditions
from nnreg.runs.warm_start import check_start
from nnreg.training.state import Record


def rerun(
    path: str | os.PathLike[str],
    *,
    registry: Registry | None = None,
    allow_changed: bool = False,
    on_epoch: Callable[[Record], None] | None = None,
) -> Differences:
    """Train again from what a checkpoint alone says, as many steps, and compare with it.

    Nothing is written. Raises `DataError` where the data files are not the ones it was trained on.
    """
    contents = read_contents(path)
    model = load(path, registry=registry, allow_changed=allow_changed)
    check_data(model)
    check_start(model)
    assembled = assemble(model.document)
    saved, progress = contents.manifest.progress, assembled.model.progress
    epochs = saved.epoch + (saved.partial is not None)
    trainer = assembled.model.trainer(assembled.train, assembled.validation, epochs=epochs)
    for record in trainer.stretches(lambda: progress.step == saved.step):
        if record is None:  # the middle of an epoch, where it was saved
            break
        if on_epoch:
            on_epoch(record)
    again = to_checkpoint(
        assembled.model,
        best=not saved.resumable,
        environment=conditions(assembled.model, trainer),
    )
    manifest = read_manifest(again.document, again.arrays)
    return _compare(contents, Contents(Path(), manifest, again.arrays))
