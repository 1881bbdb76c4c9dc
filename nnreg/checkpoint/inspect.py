"""Inspecting checkpoints and runs without building a model: none of this needs a plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg._utils.atomic_files import real_path
from nnreg._utils.json_text import with_numbers
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.regular_files import MAX_RECORDS_BYTES, read_regular
from nnreg.checkpoint.file_format import CheckListener, is_checkpoint, no_listener, read_checkpoint
from nnreg.checkpoint.manifest import Manifest, read_manifest
from nnreg.checkpoint.paths import checkpoint_file
from nnreg.errors import CheckpointError
from nnreg.training.history import History, records


@dataclass(frozen=True)
class CheckpointSummary:
    """A checkpoint's file, its document, and its arrays."""

    path: Path
    manifest: Manifest
    arrays: Mapping[str, Array]

    @property
    def history(self) -> History:
        """The records of the epochs so far."""
        arrays = self.arrays
        measured = arrays.get("history_measured")
        return History(records(self.manifest.history, arrays["history"], measured))

    @property
    def not_finite(self) -> dict[str, int]:
        """The number of NaN or infinite values of each array with any, except the history."""
        counts = {
            name: array.size - int(np.isfinite(array).sum())
            for name, array in self.arrays.items()
            if name != "history"
        }
        return {name: count for name, count in counts.items() if count}


def read_summary(
    path: str | os.PathLike[str], on_check: CheckListener = no_listener
) -> CheckpointSummary:
    """Read a checkpoint, or the best one in a run directory.

    `on_check` is called with each passed check. Raises `CheckpointError` for a file that is damaged
    or not a checkpoint.
    """
    file = checkpoint_file(Path(path))
    checkpoint = read_checkpoint(file, on_check)
    manifest = read_manifest(checkpoint.document, checkpoint.arrays, str(file))
    return CheckpointSummary(file, manifest, checkpoint.arrays)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return the arrays of a checkpoint, or of the best one in a run directory, by name.

    `parameters/layers/0/weight` is a weight; `docs/file-format.md` lists the others. The model's
    plugins are not needed. Raises `CheckpointError` for a file that is damaged or not a checkpoint.
    """
    return dict(read_summary(path).arrays)


def read_history(path: str | os.PathLike[str]) -> History:
    """Return the history of a run directory, a checkpoint, or a metrics.jsonl.

    The run may be in progress: an incomplete last line is ignored. Raises `CheckpointError` for
    anything else.
    """
    file = Path(path)
    if file.is_dir() and os.path.lexists(file / "metrics.jsonl"):
        file = file / "metrics.jsonl"
    elif file.is_dir() or is_checkpoint(file):
        return read_summary(file).history
    else:
        file = real_path(file)  # the user may name a link
    try:
        with os_errors_as(CheckpointError, path, "cannot read"):
            lines = read_regular(file, MAX_RECORDS_BYTES).decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: neither a checkpoint nor text") from error
    return History([_record(line, f"{file}, line {n}") for n, line in enumerate(lines, 1)])


def _record(line: str, where: str) -> dict[str, float]:
    try:
        record = json.loads(line)  # also the bare NaN of earlier versions
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: not a record of an epoch: {error}") from error
    record = with_numbers(record) if isinstance(record, dict) else {"": None}
    if not all(type(value) in (int, float) for value in record.values()):
        raise CheckpointError(f"{where}: not a record of an epoch: expected an object of numbers")
    return record
