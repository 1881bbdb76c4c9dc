"""The runs at some paths: run directories, cross-validations, and directories that contain runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnreg.checkpoint.paths import fold_directories
from nnreg.errors import NnregError
from nnreg.reports.run_record import RunRecord, read_mean, read_run
from nnreg.runs.listing import OUTCOMES, SUMMARY_FILES, describe
from nnreg.runs.summary import FINISHED_OUTCOMES

FINISHED = {OUTCOMES[stopped] for stopped in FINISHED_OUTCOMES}


@dataclass(frozen=True)
class Collection:
    """Runs by name: `runs` has each fold of a cross-validation, `means` their mean as one run.

    `unreadable` has the reason for each run that could not be read.
    """

    runs: Mapping[str, RunRecord]
    means: Mapping[str, RunRecord]
    unreadable: Mapping[str, str]


def collect(paths: Iterable[Path]) -> Collection:
    """Return the runs at paths; those in a directory of runs are in the order of their names.

    Raises `UsageError` for a path that has none, or whose own run cannot be read.
    """
    chosen, contained = list[Path](), set[Path]()
    for path in dict.fromkeys(paths):
        found = runs_inside(path)
        chosen += found or [path]
        contained.update(found)
    chosen = list(dict.fromkeys(chosen))
    names = dict(zip(chosen, labels(chosen), strict=True))
    records, means, unreadable = dict[Path, RunRecord](), dict[str, RunRecord](), dict[str, str]()
    for path in chosen:
        try:
            folds = fold_directories(path)
            read = {one: read_run(one) for one in folds or [path]}
        except NnregError as error:
            if path not in contained:
                raise
            unreadable[names[path]] = str(error).removeprefix(f"{path}: ")
        else:
            records |= read
            means[names[path]] = read_mean(path, [*read.values()]) if folds else read[path]
    return Collection(dict(zip(labels(records), records.values(), strict=True)), means, unreadable)


def runs_inside(path: Path) -> list[Path]:
    """Return the runs in a directory that is none itself, in natural order of their names."""
    own = ("metrics.jsonl", "checkpoints", "fold-1")
    if not path.is_dir() or any(os.path.lexists(path / name) for name in own):
        return []
    inside = [
        one
        for one in path.iterdir()
        if one.is_dir() and any(os.path.lexists(one / name) for name in SUMMARY_FILES)
    ]
    return sorted(inside, key=lambda one: _natural(one.name))


def _natural(name: str) -> list[Any]:
    """Return a sort key by which `run-2` precedes `run-10`."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def unfinished(runs: Mapping[str, RunRecord]) -> Iterator[tuple[str, str]]:
    """Yield the name of each run that did not end regularly, and what happened."""
    for name, record in runs.items():
        found = describe(record.path)
        if found.outcome in FINISHED and record.split_metrics:
            continue
        planned = f" of {found.planned}" if found.planned else ""
        after = f"after epoch {found.epochs or 0}{planned}"
        if found.outcome in FINISHED:
            yield name, "its summary has no metrics"
        elif found.outcome == "corrupt":
            yield name, f"corrupt: {found.problem}"
        elif found.outcome == "running":
            yield name, f"still running, {after}"
        elif found.outcome == "crashed":
            yield name, f"ended without a summary {after}"
        else:
            yield name, f"{found.outcome} {after}"


def labels(paths: Iterable[Any]) -> list[str]:
    """Return the directory names of runs, or their paths as given if the names are not unique."""
    given = list(paths)
    names = [path.resolve().name for path in given]
    return names if len(set(names)) == len(names) else [str(path) for path in given]
