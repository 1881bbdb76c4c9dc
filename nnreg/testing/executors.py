"""The conformance checks of executors."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from nnreg.interfaces.executor import Executor

TEXTS = ("one", "two: ü", "three\n")


def results(executor: Executor) -> None:
    """It returns the result of each job, and says how many it runs at a time."""
    found = ended(executor)
    expected = {text: reverse(text) for text in TEXTS}
    given = {text: found[text] for text in TEXTS}
    if given != expected:
        raise AssertionError(f"{executor}: found the results {given}, expected {expected}")
    if not isinstance(found["count"], int) or found["count"] < 1:
        raise AssertionError(f"{executor}: runs {found['count']} jobs at a time")


def errors(executor: Executor) -> None:
    """The error of a job is that of its future alone."""
    found = ended(executor)["error"]
    if not isinstance(found, Exception) or "this job fails" not in str(found):
        raise AssertionError(f"{executor}: a job that raised ValueError gave {found!r}")


def each_once(executor: Executor) -> None:
    """Each job runs exactly once, also one that fails."""
    if any(count != 1 for count in ended(executor)["starts"].values()):
        raise AssertionError(f"{executor}: starts of each job: {ended(executor)['starts']}")


@functools.cache
def ended(executor: Executor) -> Mapping[str, Any]:
    """Return how a few jobs ended, one of which fails; processes are started only once."""
    with tempfile.TemporaryDirectory(prefix="nnreg-executor-") as given:
        directory = Path(given)
        jobs = {"first": leave_trace, "second": leave_trace, "failing": leave_trace_and_fail}
        for name in jobs:
            (directory / name).mkdir()
        with executor.open(1, directory) as (pool, count):
            traces = [pool.submit(job, str(directory / name)) for name, job in jobs.items()]
            failing = pool.submit(fail, "this job fails")
            futures = {text: pool.submit(reverse, text) for text in TEXTS}
            found: dict[str, Any] = {text: one.result() for text, one in futures.items()}
            error = failing.exception()
            wait(traces)
        starts = {name: len(list((directory / name).iterdir())) for name in jobs}
        return {**found, "error": error, "count": count, "starts": starts}


def reverse(text: str) -> str:
    """Return a text in reverse: a job of the checks."""
    return text[::-1]


def fail(text: str) -> str:
    """Raise ValueError: a job of the checks."""
    raise ValueError(text)


def leave_trace(text: str) -> str:
    """Make a new directory in that of this name: a job of the checks."""
    return tempfile.mkdtemp(dir=text)


def leave_trace_and_fail(text: str) -> str:
    """Make a new directory in that of this name, and raise ValueError: a job of the checks."""
    raise ValueError(leave_trace(text))


CHECKS = (results, errors, each_once)


def checks_of(cls: type[Executor]) -> Sequence[Any]:
    """Return the checks of a class; none if its library is not installed."""
    return () if cls.missing() else CHECKS


def cases(executor: Executor) -> Sequence[Executor]:
    """Return the arguments of the checks: the options may name machines that do not exist."""
    examples = list(type(executor).examples())
    return [executor] if executor in examples or not examples else []
