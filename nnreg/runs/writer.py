"""Writing the files of a run while it trains."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg._utils.atomic_files import (
    append_text,
    locked,
    remove_stale_temp_files,
    replace_regular,
)
from nnreg._utils.os_errors import explain_os_error, os_errors_as
from nnreg._utils.regular_files import make_directory, make_real_directory
from nnreg.checkpoint.file_format import write_checkpoint
from nnreg.checkpoint.save_load import check_content, to_file_content
from nnreg.errors import CheckpointError, UnsavedError, UsageError
from nnreg.model.model import Model
from nnreg.runs.directory import (
    ENVIRONMENT,
    GRADIENTS,
    METRICS,
    RunDirectory,
    write_inside,
    write_json,
    write_spec,
)
from nnreg.runs.read_files import read_lines, read_object
from nnreg.runs.save_schedule import SaveSchedule
from nnreg.training.state import Record, TrainingState

SMALL_SAVE_BYTES = 1 << 23
"""The bytes up to which the time of a save depends little on their number."""

RECORD_SECONDS = 0.25
"""The least seconds between two writes of records: each takes as long as a small epoch's steps."""

RETRY_NOTE = "; training continues, and the next save tries again"

NUMBERED_CHECKPOINT = re.compile(r"epoch-(\d+)-step-(\d+)\.h5")


@contextmanager
def open_run(
    directory: RunDirectory,
    model: Model,
    environment: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Iterator[RunWriter]:
    """Lock a run directory, write the initial files, and return the writer of all others.

    Results depend on `environment`; `metadata` is written for information only. Raises
    `UsageError` if another process has locked the directory or trained in it since the object was
    created, and if it cannot be written to.
    """
    with ExitStack() as stack:
        try:
            directory.create()
            directory.refuse_obstacles([directory.last.parent])
            make_real_directory(directory.last.parent)
            stack.enter_context(locked(directory.path))
            directory.refuse_if_changed()
            remove_stale_temp_files(directory.path)
            remove_stale_temp_files(directory.last.parent)
            writer = RunWriter(directory, model, environment, metadata)
            writer.begin()
        except OSError as error:
            problem = f"cannot write: {explain_os_error(error)}"
            raise UsageError(f"{directory.path}: {problem}") from error
        stack.callback(writer.write_records)
        yield writer


class RunWriter:
    """Writes checkpoints and records to a locked run directory.

    `save`, `epoch` and `write_records` never raise.

    If something cannot be written, because the disk is full or the directory was removed, it warns
    once and tries again at the next save.
    """

    def __init__(
        self,
        directory: RunDirectory,
        model: Model,
        environment: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        self.directory = directory
        self.schedule = SaveSchedule(model.spec.checkpoint, model.training_state)
        self.saved = ""
        """The position of the last checkpoint, as in `after epoch 3`; empty before the first."""
        self._model = model
        self._environment = environment
        self._description = self._describe({**environment, **metadata})
        self._saved_step = self._saved_best = -1
        self._written_bytes = 0
        self._records_complete = False
        self._records: list[Record] = []
        self._records_due = 0.0
        self._gradients = self._read_gradients()
        self._gradients_written = 0

    def begin(self) -> None:
        """Write the initial files. Raises OSError or `CheckpointError`."""
        with self._counted():
            self._save()
            self._write_description()

    def epoch(self, record: Record, gradients: Mapping[str, float]) -> None:
        """Write the record of an epoch and the norms of its last gradients; save if it is time."""
        self._gradients.append({"epoch": record["epoch"], **gradients})
        self._records.append(record)
        if time.perf_counter() >= self._records_due:
            self.write_records()
        if self.schedule.after_epoch():
            self.save()

    def write_records(self) -> None:
        """Append the records that were not yet written."""
        if self._records and self._records_complete:
            path = self.directory.path / METRICS
            try:
                append_text(path, "".join(map(_line, self._records)))
            except OSError as error:
                self._records_complete = False
                problem = f"cannot write: {explain_os_error(error)}"
                self.directory.warn(f"{path}: {problem}{RETRY_NOTE}")
        self._records.clear()
        self._records_due = time.perf_counter() + RECORD_SECONDS

    def save(self) -> None:
        """Write the last checkpoint, the best one if it is new, and a numbered one if asked for."""
        try:
            with self._counted():
                self._save()
                self._save_numbered()
        except (CheckpointError, OSError) as error:
            self.directory.warn(f"{error}{RETRY_NOTE}")

    def close(self, *, needed: bool, best: bool) -> None:
        """Save for the last time; the best checkpoint too, with the whole history, if `best`.

        Raises `UnsavedError` if two tries fail, or warns if not `needed`.
        """
        state = self._model.training_state
        self._saved_best = -1 if best else state.best_epoch
        error = _error_of(self._save)
        if error and needed:
            raise UnsavedError(
                f"{error}. The run is {_position(state)}, but its last checkpoint is "
                f"{self.saved}; {self._advice}",
                self._model,
            ) from error
        if error:
            self.directory.warn(str(error))

    def write_best(self) -> None:
        """Write the best checkpoint, with the whole history and the metrics that are known.

        Raises `UnsavedError` if two tries fail, or warns if there is nothing to resume.
        """
        if not self._model.training_state.best_epoch:
            return
        error = _error_of(lambda: self._write(self.directory.best, best=True))
        if error and self.directory.last.exists():
            raise UnsavedError(f"{error}; {self._advice}", self._model) from error
        if error:  # someone removed the directory
            self.directory.warn(str(error))

    @property
    def _advice(self) -> str:
        return f"free disk space, then: nnreg resume {self.directory.path}"

    def _save(self) -> None:
        """Write everything that is not up to date. Raises OSError or `CheckpointError`."""
        try:
            self._restore_directory()
            try:
                self._save_gradients()  # first, because a checkpoint does not have them
            except CheckpointError:
                self._save_checkpoints()
                raise
            self._save_checkpoints()
            self._save_records()
            self.directory.clear_warning()
        except BaseException:
            self._forget_saved()
            raise

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Report the time within the context to the schedule."""
        began, self._written_bytes = time.perf_counter(), 0
        try:
            yield
        finally:
            cost = time.perf_counter() - began
            growth = self._largest_save() / max(self._written_bytes, SMALL_SAVE_BYTES)
            self.schedule.saved(cost, cost * max(growth, 1.0))

    def _largest_save(self) -> int:
        """Return the most bytes of weights in a save: before the first step, they are fewer."""
        network, state = self._model.network, self._model.training_state
        vectors = len(state.optimizer_state) + (state.ema is not None)
        return (3 + vectors) * (network.vector.nbytes + network.state_vector.nbytes)

    def _restore_directory(self) -> None:
        """Create the directory again if someone removed it."""
        checkpoints = self.directory.last.parent
        if not checkpoints.is_dir():
            make_directory(self.directory.path)
            make_real_directory(checkpoints)
            self._records_complete = False
            self._forget_saved()
            self._write_description()

    def _forget_saved(self) -> None:
        """Write every file again at the next save."""
        self._saved_step = self._saved_best = -1
        self._gradients_written = 0

    def _save_checkpoints(self) -> None:
        state = self._model.training_state
        if state.step != self._saved_step:
            self._write(self.directory.last)
            self._saved_step, self.saved = state.step, _position(state)
        if state.best_epoch not in (0, self._saved_best):
            self._write(self.directory.best, best=True)
            self._saved_best = state.best_epoch

    def _save_gradients(self) -> None:
        rest = self._gradients[self._gradients_written :]
        if rest:
            path, lines = self.directory.path / GRADIENTS, "".join(map(_line, rest))
            with os_errors_as(CheckpointError, path):
                if self._gradients_written:
                    append_text(path, lines, sync=True)
                else:
                    write_inside(path, lines)
            self._gradients_written = len(self._gradients)

    def _save_records(self) -> None:
        if self._records_complete:
            self.write_records()
        if not self._records_complete:
            path, lines = self.directory.path / METRICS, "".join(map(_line, self._model.history))
            with os_errors_as(CheckpointError, path):
                write_inside(path, lines, sync=False)  # the checkpoint has the history
            self._records_complete = True
            self._records.clear()

    def _save_numbered(self) -> None:
        """Write a numbered checkpoint if the spec retains some, and remove the oldest."""
        keep, state = self._model.spec.checkpoint.keep, self._model.training_state
        if not keep:
            return
        name = f"epoch-{state.epoch:04}-step-{state.step:08}.h5"
        file = self.directory.last.with_name(name)
        self._write(file)
        files = {
            int(match[2]): file
            for file in self.directory.last.parent.iterdir()
            if (match := NUMBERED_CHECKPOINT.fullmatch(file.name))
        }
        done = sorted(step for step in files if step <= state.step)  # a resumed run may be earlier
        for step in done[:-keep]:
            files[step].unlink()

    def _write(self, file: Path, *, best: bool = False) -> None:
        """Write a checkpoint, whose document `Run` has checked. Raises `CheckpointError`."""
        content = to_file_content(self._model, best=best, environment=self._environment)
        check_content(self._model, content, self.directory.path, document=False)
        write_checkpoint(file, content, replace_regular, check=False)
        self._written_bytes += sum(array.nbytes for array in content.arrays.values())

    def _write_description(self) -> None:
        """Write the spec and the environment."""
        write_spec(self._model.document, self.directory.path)
        write_json(self.directory.path / ENVIRONMENT, self._description)

    def _describe(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the environment with those of the earlier parts of the run."""
        path = self.directory.path / ENVIRONMENT
        before = read_object(path)
        earlier = before.pop("earlier", [])
        if not isinstance(earlier, list):
            raise UsageError(f'{path}: "earlier" is not a list; restore or remove the file')
        if before and before != record:
            earlier = [*earlier, before]
        return {**record, "earlier": earlier} if earlier else record

    def _read_gradients(self) -> list[Mapping[str, float]]:
        """Return the gradient norms of the epochs that are done."""
        done = range(1, self._model.training_state.epoch + 1)
        records = read_lines(self.directory.path / GRADIENTS)
        return [record for record in records if record.get("epoch") in done]


def _error_of(write: Callable[[], None]) -> Exception | None:
    """Write, once more if that fails, and return the error of the second try."""
    try:
        try:
            write()
        except (CheckpointError, OSError):
            write()
    except (CheckpointError, OSError) as error:
        return error
    return None


def _line(record: Mapping[str, float]) -> str:
    return json_text.dumps(dict(record)) + "\n"


def _position(state: TrainingState) -> str:
    """Return the position of a training, as in `after epoch 3`."""
    if state.epoch_state is None:
        return f"after epoch {state.epoch}"
    return f"within epoch {state.epoch + 1}, after step {state.step}"
