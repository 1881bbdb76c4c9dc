"""A run's folder: what is written there, and when.

* `spec.json` as it was given, to the byte; `resolved.json` with every default, which can be run
* `environment.json`: versions, machine, data, command, and the same of each time it was resumed
* `metrics.jsonl` with a record an epoch, `gradients.jsonl` with the length of each layer's last
  gradient in it; `summary.json`
* `checkpoints/last.h5` to go on from, `checkpoints/best.h5` to predict with, earlier checkpoints
  where the spec keeps some
* `lock` while a process is at work in it
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import append_text, locked, remove_stale_temp_files, replace_text
from nnreg._utils.os_errors import explain_os_error
from nnreg.checkpoint.file_format import write_checkpoint
from nnreg.checkpoint.inspect import read_lines, read_object
from nnreg.checkpoint.paths import fold_directories
from nnreg.checkpoint.save_load import to_file_content
from nnreg.errors import CheckpointError, NnregWarning, UnsavedError, UsageError
from nnreg.model.model import Model
from nnreg.runs.save_schedule import SaveSchedule
from nnreg.spec.document import Document
from nnreg.spec.resolve import resolved
from nnreg.training.state import Record, TrainingState

RETRY_NOTE = "; training goes on, and the next save tries again"

GRADIENTS = "gradients.jsonl"
ENVIRONMENT = "environment.json"

KEPT_CHECKPOINT = re.compile(r"epoch-(\d+)-step-(\d+)\.h5")


class RunDirectory:
    """The folder of one run. `open` it to write to it; `save` and `epoch` then never raise.

    What cannot be written, because the disk is full or the folder is gone, is warned of once and
    tried again at the next save. With a `name`, `path` is only a proposal: if another process has
    taken it meanwhile, `open` takes the next number of this name.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self._name = name
        self.saved = ""
        """What the last checkpoint holds, in words; empty before the first."""
        self._stamp = _stamp(self.last)
        self._saved_step = self._saved_best = -1
        self._records_lost = True
        self._gradients: list[Mapping[str, float]] = []
        self._gradients_written = 0
        self._problem = ""

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.path / "checkpoints" / "last.h5"

    @property
    def best(self) -> Path:
        """The checkpoint to predict with."""
        return self.path / "checkpoints" / "best.h5"

    @property
    def has_run(self) -> bool:
        """Whether there is a run in it already."""
        begun = self.last.exists() or fold_directories(self.path)
        return bool(begun) or (self.path / "spec.json").exists()

    def refuse_if_run(self) -> None:
        """Raise `UsageError` if there is a run in it already."""
        if self.has_run:
            problem = "there is a run already; choose another folder or resume it"
            raise UsageError(f"{self.path}: {problem}")

    def refuse_if_busy(self) -> None:
        """Raise `UsageError` if a process is at work in it."""
        with suppress(OSError), locked(self.path):
            pass

    @contextmanager
    def open(
        self, model: Model, environment: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> Iterator[None]:
        """Hold the folder for this process alone, and write what training begins from.

        `environment` is what the bits depend on; `circumstances` is what else is worth knowing.
        Raises `UsageError` where another process is at work in it, or was since this object was
        made; and where it cannot be written to.
        """
        self._model, self._environment, self._metadata = model, environment, metadata
        self.schedule = SaveSchedule(model.spec.checkpoint, model.training_state)
        with ExitStack() as stack:
            try:
                self.create()
                self.last.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.path))
                if _stamp(self.last) != self._stamp:
                    raise UsageError(
                        f"{self.path}: another process has trained here since this one looked; "
                        "resume again, or choose another folder"
                    )
                remove_stale_temp_files(self.path)
                remove_stale_temp_files(self.last.parent)
                self._gradients = self._load_gradient_log()
                self._save()
                self._write_description()
                self.schedule.saved(0.0)  # the first imports h5py, which says nothing of the next
            except OSError as error:
                raise UsageError(f"{self.path}: cannot write: {explain_os_error(error)}") from error
            yield

    def epoch(self, record: Record, gradients: Mapping[str, float]) -> None:
        """Note the record of an epoch and the lengths of its last gradients; save if it is time."""
        self._gradients.append({"epoch": record["epoch"], **gradients})
        if not self._records_lost:
            try:
                append_text(self.path / "metrics.jsonl", _line(record))
            except OSError as error:
                self._records_lost = True
                self._warn(
                    f"{self.path / 'metrics.jsonl'}: cannot write: {explain_os_error(error)}"
                    f"{RETRY_NOTE}"
                )
        if self.schedule.after_epoch():
            self.save()

    def save(self) -> None:
        """Write what training goes on from, and the best weights where they are new."""
        try:
            self._save()
            self._prune_checkpoints()
        except (CheckpointError, OSError) as error:
            self._warn(f"{error}{RETRY_NOTE}")

    def close(self, *, needed: bool) -> None:
        """Save for the last time, in a second try if need be.

        Raises `UnsavedError` if both fail, or warns if not `needed`. The best weights are written
        anew, so that they have the whole history.
        """
        self._saved_best = -1
        try:
            try:
                self._save()
            except (CheckpointError, OSError):
                self._save()
        except (CheckpointError, OSError) as error:
            if not needed:
                self._warn(str(error))
                return
            now = _position(self._model.training_state)
            raise UnsavedError(
                f"{error}. The run is {now}, but what is saved is {self.saved}; "
                f"make room or fix the disk, then: nnreg resume {self.path}",
                self._model,
            ) from error

    def summarize(self, summary: Mapping[str, Any]) -> None:
        """Write the summary."""
        try:
            _write_json(self.path / "summary.json", summary)
        except OSError as error:
            self._warn(f"{self.path / 'summary.json'}: cannot write: {explain_os_error(error)}")

    def create(self) -> None:
        """Make the folder of a name, where nobody else has."""
        while self._name is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.path.mkdir()
            except FileExistsError:
                self.path = next_directory(self._name, self.path.parent)
            else:
                return

    def _save(self) -> None:
        began = time.perf_counter()
        progress = self._model.training_state
        try:
            if not self.last.parent.is_dir():  # someone took it away
                self.last.parent.mkdir(parents=True)
                self._records_lost, self._saved_step, self._gradients_written = True, -1, 0
                self._write_description()
            if progress.step != self._saved_step:
                write_checkpoint(self.last, self._checkpoint())
                self._saved_step, self.saved = progress.step, _position(progress)
            if progress.best_epoch not in (0, self._saved_best):
                write_checkpoint(self.best, self._checkpoint(best=True))
                self._saved_best = progress.best_epoch
            if self._records_lost:
                lines = "".join(map(_line, self._model.history))
                replace_text(self.path / "metrics.jsonl", lines)
                self._records_lost = False
            if self._gradients:
                write = append_text if self._gradients_written else replace_text
                rest = self._gradients[self._gradients_written :]
                write(self.path / GRADIENTS, "".join(map(_line, rest)))
                self._gradients_written = len(self._gradients)
            self._problem = ""
        except BaseException:
            self._saved_step = self._saved_best = -1
            self._gradients_written = 0
            raise
        finally:
            self.schedule.saved(time.perf_counter() - began)

    def _checkpoint(self, *, best: bool = False) -> Any:
        return to_file_content(self._model, best=best, environment=self._environment)

    def _write_description(self) -> None:
        """Write what the run is made from."""
        environment = self.path / ENVIRONMENT
        write_description(self._model.document, self.path)
        record = {**self._environment, **self._metadata}
        before = read_object(environment)
        earlier = before.pop("earlier", [])
        if before and before != record:
            earlier = [*earlier, before]
        _write_json(environment, {**record, "earlier": earlier} if earlier else record)

    def _load_gradient_log(self) -> list[Mapping[str, float]]:
        """Return what is known of the epochs that are not trained again."""
        records = read_lines(self.path / GRADIENTS)
        done = range(1, self._model.training_state.epoch + 1)
        return [record for record in records if record.get("epoch") in done]

    def _prune_checkpoints(self) -> None:
        """Write a checkpoint that stays, and remove the oldest of those."""
        keep, progress = self._model.spec.checkpoint.keep, self._model.training_state
        if not keep:
            return
        name = f"epoch-{progress.epoch:04}-step-{progress.step:08}.h5"
        write_checkpoint(self.last.with_name(name), self._checkpoint())
        steps = {
            int(match[2]): file
            for file in self.last.parent.iterdir()
            if (match := KEPT_CHECKPOINT.fullmatch(file.name))
        }
        done = sorted(step for step in steps if step <= progress.step)  # it may have gone back
        for step in done[:-keep]:
            steps[step].unlink()

    def _warn(self, trouble: str) -> None:
        if trouble != self._problem:
            self._problem = trouble
            warnings.warn(trouble, NnregWarning, stacklevel=3)


def next_directory(name: str, parent: Path = Path("runs")) -> Path:
    """Return the first of `runs/name-001`, `runs/name-002`, … that is not there yet."""
    number = 1
    while (parent / f"{name}-{number:03}").exists():
        number += 1
    return parent / f"{name}-{number:03}"


def create_numbered(name: str, parent: Path = Path("runs")) -> RunDirectory:
    """Return the next folder of a name, which no other process gets too."""
    return RunDirectory(next_directory(name, parent), name)


def write_description(document: Document, directory: Path) -> None:
    """Write a spec as it was given, where there is none yet, and with every default."""
    if not (directory / "spec.json").exists():
        replace_text(directory / "spec.json", document.text)
    _write_json(directory / "resolved.json", resolved(document, directory))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    replace_text(path, json.dumps(value, indent=2) + "\n")


def _line(record: Mapping[str, float]) -> str:
    return json.dumps(dict(record)) + "\n"


def _position(progress: TrainingState) -> str:
    """Say where a run is."""
    if progress.epoch_state is None:
        return f"after epoch {progress.epoch}"
    return f"within epoch {progress.epoch + 1}, after step {progress.step}"


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
