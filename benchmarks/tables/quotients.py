"""How much longer a step takes late in a training, of long sequences, and with weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.harness import Effort, Row, Table, interleave
from benchmarks.peers import OWN
from benchmarks.processes import Worker, Workers
from benchmarks.workloads import DIGITS, LONG, SHORTER, SMALL_DENSE, TINY, ZIPF, Workload

LATE = 2_000
"""The step up to which the long training goes; it is timed in passes of a hundred."""

ROUNDS = 3
"""Fewer for the long training, of several seconds."""

Timed = tuple[str, Workload]
"""A task of a worker and a network."""

QUOTIENTS: tuple[tuple[str, Timed, int, Timed], ...] = (
    (f"{LONG.title}: a step over eight of 100x16", ("train", LONG), 8, ("train", SHORTER)),
    *(
        (f"{one.title}: weighted examples over others", ("train_weighted", one), 1, ("train", one))
        for one in (TINY, SMALL_DENSE, DIGITS)
    ),
)
"""The title of each row, what is timed, and how many times what else."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each quotient."""
    if effort.only in ZIPF.name and not effort.quick:
        samplers = {peer: partial(_late, peer, effort) for peer in OWN}
        fewer = replace(effort, rounds=min(effort.rounds, ROUNDS))
        title = f"{ZIPF.title}: the last 100 of {LATE:,} steps over the second 100"
        yield Row(title, "", *interleave(samplers, fewer))
    with Workers(effort) as these, Workers(effort) as those:

        def quotient(peer: str, one: Timed, times: int, other: Timed) -> float:
            seconds = [
                workers.ask(peer, task, effort.seconds, workload=workload.name) / workload.steps
                for workers, (task, workload) in ((these, one), (those, other))
            ]
            return seconds[0] / (times * seconds[1])

        for title, *timed in QUOTIENTS:
            if effort.only in title:
                samplers = {peer: partial(quotient, peer, *timed) for peer in OWN}
                yield Row(title, "", *interleave(samplers, effort))


def _late(peer: str, effort: Effort) -> float:
    """Return the time of the last pass of a long training, divided by that of the second.

    The worker makes the first one to warm up, before it measures the next.
    """
    worker = Worker(peer, effort.threads, processor=effort.processor)
    try:
        passes = [
            worker.ask("train_on_new", 0, workload=ZIPF.name) for _ in range(LATE // ZIPF.steps - 1)
        ]
    finally:
        worker.close()
    return passes[-1] / passes[0]


TABLE = Table("quotients", "one step over another", OWN, (), measure, plotted=False)
