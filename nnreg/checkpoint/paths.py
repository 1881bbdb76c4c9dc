"""Checkpoint files and fold directories below a run directory."""

from __future__ import annotations

import os
from pathlib import Path

from nnreg.errors import CheckpointError


def fold_directory(directory: Path, number: int) -> Path:
    """Return the directory of a fold in that of a cross-validation; folds are numbered from 1."""
    return directory / f"fold-{number}"


def fold_directories(directory: Path) -> list[Path]:
    """Return the directories of the folds that a cross-validation has begun; none for others."""
    found: list[Path] = []
    while os.path.isdir((fold := fold_directory(directory, len(found) + 1)) / "checkpoints"):
        refuse_links(fold / "checkpoints")
        found.append(fold)
    return found


def refuse_links(path: Path) -> None:
    """Raise `CheckpointError` if a file or directory within one of a run, or that one, is a link.

    A run directory itself may be one, and so may a checkpoint that the user names.
    """
    for one in (path.parent, path):
        if one.is_symlink():
            raise CheckpointError(f"{one}: a symbolic link within a run directory; remove it")


def refuse_folds(path: Path) -> None:
    """Raise `CheckpointError` for the directory of a cross-validation, which has several runs."""
    if folds := fold_directories(path):
        names = ", ".join(map(str, folds))
        raise CheckpointError(
            f"{path}: a cross-validation, whose folds are separate runs; choose one: {names}"
        )


def refuse_directories_of_runs(path: Path) -> None:
    """Raise `CheckpointError` for a directory that contains runs and is not one itself."""
    if not os.path.isdir(path) or os.path.isdir(path / "checkpoints"):  # False for an invalid name
        return
    runs = [run for run in path.iterdir() if os.path.isdir(run / "checkpoints")]
    if runs:
        latest = max(runs, key=lambda run: (run / "checkpoints").stat().st_mtime)
        raise CheckpointError(
            f"{path}: a directory of runs; choose one, such as {latest}, from: nnreg runs {path}"
        )


def run_directory_of(file: Path) -> Path | None:
    """Return the directory of the run that a checkpoint belongs to; None for a checkpoint alone."""
    directory = file.parent.resolve().parent  # not that of the file that a link leads to
    return directory if (directory / "spec.json").exists() else None


def checkpoint_file(path: Path) -> Path:
    """Return the best checkpoint in a run directory, or the file itself.

    Raises `CheckpointError` for a directory of several runs, or of none.
    """
    refuse_folds(path)
    refuse_directories_of_runs(path)
    directory = path / "checkpoints"
    if os.path.isdir(directory):
        refuse_links(best := directory / "best.h5")
        if not os.path.exists(best):
            raise CheckpointError(
                f"{path}: no checkpoints/{best.name} yet, which is written after an epoch or at "
                f"the end; continue a run that was stopped with nnreg resume {path}"
            )
        return best
    if os.path.isdir(path):
        raise CheckpointError(f"{path}: not a run directory, which has checkpoints")
    return path
