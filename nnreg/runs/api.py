"""Training a spec, once or once per fold: `nnreg.run` and `nnreg.resume`."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from nnreg.checkpoint.inspect import read_summary
from nnreg.checkpoint.paths import fold_directories
from nnreg.checkpoint.save_load import check_saveable
from nnreg.data.loading import DataReader
from nnreg.errors import CheckpointError, UsageError
from nnreg.model.model import Model
from nnreg.ranks.launcher import launched_ranks
from nnreg.registry.registry import Registry
from nnreg.runs.cross_validation import CrossValidation, check_folds, without_fold
from nnreg.runs.directory import RunDirectory
from nnreg.runs.prepare import tables_of
from nnreg.runs.run import OnEpoch, Out, Run, directory_of, prepare_resume, prepare_run
from nnreg.spec.document import SpecSource, read_spec
from nnreg.spec.overrides import Overrides


def run(
    spec: SpecSource,
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    data: tuple[Any, Any] | None = None,
    on_epoch: OnEpoch | None = None,
    check: bool = True,
    progress: bool = True,
) -> Model | Any:
    """Train a spec (a path or a mapping) and return the model with its best weights.

    `out` is the run directory; without it, nothing is written. `overrides` set values, as in
    `{"train.epochs": 5}`, or as text in the form of `--set`, `["train.epochs=5"]`. `data=(x, y)`
    replaces the spec's data files, and `on_epoch` is called with each record. Raises an
    `NnregError` for an invalid spec or data before anything is written, and for a component of a
    plugin that fails a test of its methods and gradients, unless `check` is false. A Jupyter
    notebook shows a line of `progress` unless that is false; elsewhere nothing is printed.

    A spec with `train.folds` returns a `CrossValidation` instead. (Hence the `Any` in the return
    type: with a union, every caller would have to narrow it.)

    Of several processes that mpiexec started, each computes a part, all return the same model, and
    the first alone writes, notifies plugins and calls `on_epoch`.
    """
    with launched_ranks().together():
        prepared = prepare(spec, out=out, overrides=overrides, data=data, check=check)
        return _train(prepared, on_epoch, progress=progress)


def resume(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    allow_changed: bool = False,
    on_epoch: OnEpoch | None = None,
    check: bool = True,
    progress: bool = True,
) -> Model | Any:
    """Resume a run from its directory or from a checkpoint, as if it had never stopped.

    `allow_changed` accepts plugins that behave differently from when it was saved; for `check` and
    `progress`, see `run`. In the directory of a cross-validation, the remaining folds are trained.
    Returns what `run` returns, and raises what `load` raises.
    """
    with launched_ranks().together():
        prepared = prepare_resumed(
            path, out=out, overrides=overrides, allow_changed=allow_changed, check=check
        )
        return _train(prepared, on_epoch, progress=progress)


def _train(
    prepared: Run | CrossValidation, on_epoch: OnEpoch | None, *, progress: bool
) -> Model | CrossValidation:
    """Train a run or the folds of one, with their progress if this is a notebook."""
    if not progress or "IPython" not in sys.modules:
        return prepared.train(on_epoch)
    from nnreg.runs.notebook import ProgressLine, display_of_notebook

    display = display_of_notebook()
    if display is None:
        return prepared.train(on_epoch)
    line = ProgressLine(display)
    if isinstance(prepared, Run):
        line.train(prepared, on_epoch)
        return prepared.model
    with closing(prepared.runs()) as runs:
        for run in runs:
            line.train(run, on_epoch)
    return prepared


def prepare(
    spec: SpecSource,
    *,
    out: Out = None,
    overrides: Overrides = (),
    data: tuple[Any, Any] | None = None,
    reader: DataReader | None = None,
    check: bool = True,
) -> Run | CrossValidation:
    """Prepare a run, or one per fold: read, check and build everything, and write nothing.

    A `reader` caches the data that it read, for the next run.
    """
    document = read_spec(spec, overrides, run_plugin_file=True)
    if not document.spec.train.folds or document.spec.train.fold:
        return prepare_run(document, out=out, data=data, reader=reader, check=check)
    directory = directory_of(out)
    if directory:
        directory.refuse_if_run(document.text)
    reader = reader or DataReader()
    if data is not None:
        data = tables_of(data)
    prepared = check_folds(document, data, reader, check=check)
    if directory:
        check_saveable(prepared.model, directory.path)
    return CrossValidation(document, directory, data, reader=reader, check=False)


def prepare_resumed(
    path: str | os.PathLike[str],
    *,
    out: Out = None,
    overrides: Overrides = (),
    registry: Registry | None = None,
    allow_changed: bool = False,
    reader: DataReader | None = None,
    check: bool = True,
) -> Run | CrossValidation:
    """Prepare to resume a run, or the remaining folds of a cross-validation.

    A `reader` caches the data that it read, for the next run.
    """
    prepare_one = functools.partial(
        prepare_resume,
        overrides=overrides,
        registry=registry,
        allow_changed=allow_changed,
        check=check,
    )
    begun = fold_directories(Path(path))
    if not begun:
        return prepare_one(path, out=out, reader=reader)
    if out is not None:
        raise UsageError(f"{path}: a cross-validation resumes in its own directory; omit --out")
    if not (begun[0] / "checkpoints" / "last.h5").exists():
        raise CheckpointError(
            f"{path}: the first fold has not saved anything to resume from; start again with "
            f"nnreg run SPEC --out {path}"
        )
    reader = reader or DataReader()
    prepare_fold = functools.partial(prepare_one, reader=reader)
    document = prepare_fold(begun[0]).model.document
    before = read_summary(begun[0] / "checkpoints" / "last.h5").manifest.spec.get("train", {})
    if not document.spec.train.folds or document.spec.train.folds != before.get("folds"):
        raise UsageError(
            f"{path}: {begun[0].name} was begun with {before.get('folds', 'no')} folds, whose "
            "number cannot be changed on resuming; start a new run"
        )
    whole = without_fold(document)
    if len(begun) < document.spec.train.folds:
        check_folds(whole, reader=reader, begun=len(begun), check=check)
    return CrossValidation(
        whole,
        RunDirectory(Path(path)),
        resume=functools.partial(prepare_fold, registry=document.registry),
        reader=reader,
        check=False,
    )
