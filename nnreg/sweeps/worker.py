"""The execution of one run of a sweep in a process of an executor.

Only texts travel between processes: a job is a JSON object, and so is its result. A process
executes several runs, one after another, and reads the spec and the data files once for all.
"""

from __future__ import annotations

import functools
import json
import signal
import threading
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg.data.loading import DataReader
from nnreg.errors import DivergedError, NnregError, NnregWarning, UsageError
from nnreg.registry.loading import Selection
from nnreg.registry.registry import Registry, discover, installed
from nnreg.runs.api import prepare, prepare_resumed
from nnreg.runs.cross_validation import CrossValidation
from nnreg.runs.run import Run
from nnreg.spec.document import Document, read_spec
from nnreg.sweeps.outcomes import (
    DIVERGED,
    DONE,
    ELSEWHERE,
    ENDED,
    FAILED,
    INTERRUPTED,
    begun,
    outcome_of,
)
from nnreg.sweeps.plan import digest_of, read_base

_one_at_a_time = threading.Lock()
"""A worker of another program, such as Dask's, may have several threads; a process executes one run
at a time, whose notes are its own."""


@dataclass(frozen=True)
class Job:
    """A run to execute.

    `base` is the directory where the relative paths of the spec start, `digest` the hash of the
    spec of all runs, `files` the plugin files and `blocked` the plugins that do not load. `trial`
    has what a search by Optuna needs to prune the run.
    """

    directory: str
    spec: str | Mapping[str, Any]
    base: str
    digest: str
    fixed: tuple[str, ...]
    overrides: tuple[str, ...]
    files: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    check: bool = True
    trial: Mapping[str, Any] | None = None

    def text(self) -> str:
        """Return the JSON of the job."""
        return json_text.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Job:
        """Return the job of a JSON text."""
        values = json.loads(text)
        fields: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**fields)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its outcome, the reason if it is not done, and its notes."""

    outcome: str
    reason: str = ""
    notes: tuple[str, ...] = field(default=())


def work(text: str) -> str:
    """Execute a job: train its run, or resume it. Both texts are JSON."""
    job = Job.of_text(text)
    with _one_at_a_time, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NnregWarning)
        ended = _outcome(job)
    notes = [str(one.message) for one in caught if issubclass(one.category, NnregWarning)]
    reply = asdict(ended) | {"notes": tuple(dict.fromkeys(notes))}
    return json_text.dumps(reply)


def _outcome(job: Job) -> Ended:
    directory = Path(job.directory)
    if outcome_of(directory) in (*ENDED, ELSEWHERE):  # by another process, since it was submitted
        return Ended(ELSEWHERE)
    try:
        _train(job, directory)
    except DivergedError as error:
        return Ended(DIVERGED, error.lines[0])
    except KeyboardInterrupt:
        return Ended(INTERRUPTED, "stopped")
    except UsageError as error:
        if outcome_of(directory) in (*ENDED, ELSEWHERE):  # or since it was prepared
            return Ended(ELSEWHERE)
        return Ended(FAILED, "; ".join(error.lines))
    except NnregError as error:
        return Ended(FAILED, "; ".join(error.lines))
    except MemoryError:
        return Ended(FAILED, "out of memory")
    except Exception as error:  # of a plugin
        return Ended(FAILED, f"{type(error).__name__}: {error}")
    return Ended(DONE)


def _train(job: Job, directory: Path) -> None:
    spec = json_text.dumps([job.spec, job.base, job.digest, job.fixed])
    process = _Process.of(spec, job.files, job.blocked)
    if begun(directory):
        prepared = prepare_resumed(
            directory, registry=process.registry, reader=process.reader, check=job.check
        )
    else:
        document = read_spec(process.document, job.overrides)
        prepared = prepare(document, out=directory, reader=process.reader, check=job.check)
    with _pruning(job, prepared):
        prepared.train(signals=(signal.SIGINT, signal.SIGTERM))


def _pruning(job: Job, prepared: Run | CrossValidation) -> Any:
    """Return the context in which the run is pruned, if it is one of a trial."""
    if job.trial is None or not isinstance(prepared, Run):
        return nullcontext()
    from nnreg.sweeps.pruning import pruned

    return pruned(prepared, job.trial)


@dataclass(frozen=True)
class _Process:
    """What a process keeps from run to run: plugins, the spec of all runs, and the data files."""

    registry: Registry
    document: Document
    reader: DataReader

    @classmethod
    @functools.lru_cache(maxsize=1)
    def of(cls, spec: str, files: tuple[str, ...], blocked: tuple[str, ...]) -> _Process:
        """Return those of a sweep. Raises `UsageError` if the spec is another one by now."""
        registry = installed()
        if files or blocked:
            registry = discover(Selection.of_environment(blocked))
            for file in files:
                registry.add_file(Path(file))
        source, base, digest, fixed = json.loads(spec)
        document = read_base(source, Path(base), fixed, registry)
        if digest_of(document) != digest:
            raise UsageError(
                f"{document.origin}: is not the spec with which the sweep was started, in this "
                "process; it or an environment variable that it names was changed"
            )
        return cls(document.registry, document, _KeptReader())


class _KeptReader(DataReader):
    """Reads each file once for all runs of a process."""

    def __exit__(self, *_: object) -> None:
        """Keep the tables for the next run."""
