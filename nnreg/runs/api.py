"""Training by a spec, once or once for each of its folds: `nnreg.run` and `nnreg.resume`."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnreg.checkpoint.inspect import read_summary
from nnreg.checkpoint.paths import fold_directories
from nnreg.data.loading import DataReader
from nnreg.errors import UsageError
from nnreg.model.model import Model
from nnreg.registry.registry import Registry
from nnreg.runs.cross_validation import CrossValidation, check_folds, document_of_all
from nnreg.runs.directory import RunDirectory
from nnreg.runs.prepare import tables_of
from nnreg.runs.run import OnEpoch, Out, Run, directory_of, prepare_resume, prepare_run
from nnreg.spec.document import SpecSource, read_spec


def run(
    spec: SpecSource,
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    data: tuple[Any, Any] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Model | Any:
    """Train by a spec (a path or a mapping) and return the model with its best weights.

    `out` is the folder to write, nothing is written without; `overrides` are values such as
    `train.epochs=5`; `data=(x, y)` takes the place of the spec's data files; `on_epoch` gets each
    record. Raises an `NnregError` for a bad spec or bad data before anything is written.

    Where the spec has `train.folds`, a `CrossValidation` is returned instead. (The type says `Any`
    for that: as a union it would ask every caller to tell the two apart.)
    """
    return prepare(spec, out=out, overrides=overrides, data=data).train(on_epoch)


def resume(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    allow_changed: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Model | Any:
    """Go on with a run from its folder or from a checkpoint, as if it had never stopped.

    `allow_changed` goes on with plugins that compute something else than when it was saved. The
    folder of a cross-validation goes on with the folds that are left; see `run` for what returns.
    """
    prepared = prepare_resumed(path, out=out, overrides=overrides, allow_changed=allow_changed)
    return prepared.train(on_epoch)


def prepare(
    spec: SpecSource,
    *,
    out: Out = None,
    overrides: Iterable[str] = (),
    data: tuple[Any, Any] | None = None,
) -> Run | CrossValidation:
    """Prepare a run, or one for each fold: read, check and build everything, and write nothing."""
    document = read_spec(spec, overrides)
    if not document.spec.train.folds or document.spec.train.fold:
        return prepare_run(document, out=out, data=data)
    directory = directory_of(out)
    if directory:
        directory.refuse_if_run()
    reader = DataReader()
    if data is not None:
        data = tables_of(data)
    check_folds(document, data, reader)
    return CrossValidation(document, directory, data, reader=reader)


def prepare_resumed(
    path: str | os.PathLike[str],
    *,
    out: Out = None,
    overrides: Iterable[str] = (),
    registry: Registry | None = None,
    allow_changed: bool = False,
) -> Run | CrossValidation:
    """Prepare to go on with a run, or with the folds that are left, from its folder."""
    again = functools.partial(
        prepare_resume, overrides=overrides, registry=registry, allow_changed=allow_changed
    )
    begun = fold_directories(Path(path))
    if not begun:
        return again(path, out=out)
    if out is not None:
        raise UsageError(f"{path}: a cross-validation goes on in its own folder; leave out --out")
    reader = DataReader()
    again = functools.partial(again, reader=reader)
    document = again(begun[0]).model.document
    before = read_summary(begun[0] / "checkpoints" / "last.h5").manifest.spec.get("train", {})
    if not document.spec.train.folds or document.spec.train.folds != before.get("folds"):
        raise UsageError(
            f"{path}: {begun[0].name} was begun as one of {before.get('folds', 'no')} folds, which "
            "settles their number; for another, begin a new run"
        )
    return CrossValidation(
        document_of_all(document), RunDirectory(Path(path)), again=again, reader=reader
    )
