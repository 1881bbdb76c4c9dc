"""The study of a search by Optuna, in a journal file in the directory of the sweep."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnreg._utils.atomic_files import locked
from nnreg._utils.regular_files import make_directory
from nnreg.errors import UsageError

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

NAME = "sweep"
"""The name of the study in its journal."""

JOURNAL = Path("optuna") / "journal.log"

LOCK_SECONDS = 0.005
"""The seconds between two attempts to lock the journal, to which a write takes milliseconds."""

REASONS = {
    "median": "worse than the median of the earlier trials at this epoch",
    "halving": "not among the best trials at this epoch",
}
"""Why a trial is pruned, by the setting `prune`."""


def open_storage(directory: Path) -> JournalStorage:
    """Return the storage of a sweep."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = directory / JOURNAL
    make_directory(path.parent)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path), _Lock(path.parent)))


class _Lock:
    """The lock of a journal. It ends with the process; Optuna's own stays if that is killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait until no other process has it."""
        while True:
            try:
                self._held.enter_context(locked(self._directory))
            except UsageError:
                time.sleep(LOCK_SECONDS)
            else:
                return True

    def release(self) -> None:
        """Let other processes have it."""
        self._held.close()


def pruner(prune: str) -> Any:
    """Return the pruner of a setting."""
    import optuna

    if prune == "median":
        return optuna.pruners.MedianPruner()
    if prune == "halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    return optuna.pruners.NopPruner()
