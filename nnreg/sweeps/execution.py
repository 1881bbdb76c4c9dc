"""The execution of a sweep: what is left is given to an executor, run by run."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path

from nnreg._utils.signals import OnSignal, deferred_signals
from nnreg.interfaces.executor import Executor
from nnreg.registry.registry import Registry
from nnreg.sweeps.outcomes import (
    DONE,
    ELSEWHERE,
    ENDED,
    FAILED,
    INTERRUPTED,
    outcome_of,
    summary_of,
    value_of,
)
from nnreg.sweeps.plan import Plan, PlannedRun, digest_of
from nnreg.sweeps.queue import Queue, Queued
from nnreg.sweeps.results import RunResult
from nnreg.sweeps.worker import Ended, Job, work

POLL_SECONDS = 0.2
"""The most seconds until a signal is noticed, and between two looks at runs of other processes."""


class Execution:
    """The execution of a plan in a directory.

    `running` are the runs that are executed now, `elsewhere` those that another process trains.
    `on_result` is called with each result, and `on_note` with each note of a run.
    """

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        *,
        check: bool = True,
        on_result: Callable[[RunResult], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self.results: dict[str, RunResult] = {}
        self.running: dict[futures.Future[str], Queued] = {}
        self.elsewhere: list[Queued] = []
        self.trained: set[str] = set()
        """The names of the runs that ended during the execution, not before."""
        self._check = check
        self._on_result = on_result or (lambda _: None)
        self._on_note = on_note or (lambda _: None)
        self._looked = 0.0

    def run(
        self,
        queue: Queue,
        executor: Executor,
        jobs: int | None,
        *,
        signals: Iterable[int] = (signal.SIGINT,),
        on_signal: OnSignal | None = None,
    ) -> None:
        """Execute the runs of a queue that have not ended.

        At one of the `signals`, runs are stopped and saved, and KeyboardInterrupt is raised; a
        second one stops at once.
        """
        with ExitStack() as stack:
            stop = stack.enter_context(deferred_signals(signals, on_signal))
            pool, count = stack.enter_context(executor.open(jobs, self.directory))
            while True:
                self._submit(queue, pool, count)
                if not (self.running or self.elsewhere):
                    return
                if self.running:
                    done, _ = futures.wait(
                        self.running, POLL_SECONDS, return_when=futures.FIRST_COMPLETED
                    )
                    for future in done:
                        self._ended(queue, future)
                else:
                    time.sleep(POLL_SECONDS)
                if stop.requested:
                    raise KeyboardInterrupt(stop.signal)

    def _submit(self, queue: Queue, pool: futures.Executor, count: int) -> None:
        """Submit runs until as many are executed as the executor can."""
        self._look_elsewhere(queue)
        while len(self.running) < count and (queued := queue.next()) is not None:
            outcome = outcome_of(self.directory / queued.run.name)
            if outcome in ENDED:
                self._report(queue, queued, outcome)
            elif outcome == ELSEWHERE:
                self.elsewhere.append(queued)
            else:
                self.running[pool.submit(work, self._job(queued).text())] = queued

    def _look_elsewhere(self, queue: Queue) -> None:
        """Take the runs back that other processes have finished, or left."""
        if not self.elsewhere or time.monotonic() < self._looked + POLL_SECONDS:
            return
        self._looked, waiting, self.elsewhere = time.monotonic(), self.elsewhere, []
        for queued in waiting:
            if outcome_of(self.directory / queued.run.name) == ELSEWHERE:
                self.elsewhere.append(queued)
            else:
                queue.again(queued)

    def _job(self, queued: Queued) -> Job:
        settings, document = self.plan.settings, self.plan.document
        registry, spec = document.registry, settings.spec
        path = document.texts[-1].path
        return Job(
            directory=str((self.directory / queued.run.name).resolve()),
            spec=str(path) if isinstance(spec, str) else spec,
            base=str(document.directory),
            digest=digest_of(document),
            fixed=document.overrides,
            overrides=queued.run.overrides,
            files=plugin_files(registry),
            blocked=registry.selection.blocked,
            check=self._check,
            trial=queued.trial,
        )

    def _ended(self, queue: Queue, future: futures.Future[str]) -> None:
        queued = self.running.pop(future)
        try:
            ended = Ended(**json.loads(future.result()))
        except futures.CancelledError:
            ended = Ended(INTERRUPTED, "stopped")
        except Exception as error:
            ended = Ended(FAILED, str(error))
        for note in ended.notes:
            self._on_note(note)
        if ended.outcome == ELSEWHERE:
            self.elsewhere.append(queued)
            return
        self.trained.add(queued.run.name)
        outcome = ended.outcome
        if outcome == DONE:
            outcome = outcome_of(self.directory / queued.run.name)
        self._report(queue, queued, outcome, ended.reason)

    def _report(self, queue: Queue, queued: Queued, outcome: str, reason: str = "") -> None:
        result = result_of(self.plan, self.directory, queued.run, outcome, reason)
        self.results[result.name] = result
        queue.ended(queued, result)
        self._on_result(result)


def result_of(
    plan: Plan, directory: Path, run: PlannedRun, outcome: str = "", reason: str = ""
) -> RunResult:
    """Return the result of a run, from its directory."""
    path = directory / run.name
    outcome = outcome or outcome_of(path)
    summary = summary_of(path) if outcome in ENDED else {}
    if not reason:
        reason = str(summary.get("reason", ""))
        if outcome == "diverged":
            reason = f"after {summary['epochs']} epochs" if "epochs" in summary else "in a fold"
    value = value_of(summary, plan.metric) if outcome == DONE else None
    return RunResult(
        run.name, path, run.number, run.point, run.seed, outcome, reason, value, summary
    )


def plugin_files(registry: Registry) -> tuple[str, ...]:
    """Return the plugin files that were loaded."""
    plugins = registry.plugins.values()
    return tuple(str(one.path) for one in plugins if one.path and not one.blocked_by)
