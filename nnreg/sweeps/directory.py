"""The directory of a sweep: its file `sweep.json`, and one run directory per point and seed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.regular_files import make_directory
from nnreg._version import __version__
from nnreg.errors import UsageError
from nnreg.runs.directory import write_json
from nnreg.runs.listing import SUMMARY_FILES
from nnreg.runs.prepare import digests
from nnreg.runs.read_files import read_object
from nnreg.spec.validation import to_json
from nnreg.sweeps.plan import Plan, digest_of
from nnreg.sweeps.settings import Point
from nnreg.sweeps.space import distinct

SWEEP = "sweep.json"

DIGEST = "spec_sha256"
"""The key of `sweep.json` that a sweep file of a user does not have."""

DATA = "data_sha256"
"""The key with the hashes of the data files, by the paths in the spec."""


def is_sweep(directory: Path) -> bool:
    """Return whether a directory is that of a sweep."""
    return directory.is_dir() and DIGEST in read_object(directory / SWEEP)


def read_sweep(directory: Path) -> dict[str, Any]:
    """Return the content of a `sweep.json`; empty if there is none.

    Raises `UsageError` for a file of that name which a user wrote.
    """
    content = read_object(directory / SWEEP)
    if content and DIGEST not in content:
        raise UsageError(
            f"{directory}: has a {SWEEP} that is not the description of a directory of runs; "
            "choose another directory with --out"
        )
    return content


def begin(plan: Plan, directory: Path) -> Plan:
    """Write `sweep.json`, and return the plan as `continued` does."""
    plan = continued(plan, directory)
    content = _content(plan, directory)
    if content != read_sweep(directory):
        with os_errors_as(UsageError, directory):
            make_directory(directory)
            write_json(directory / SWEEP, content)
    return plan


def continued(plan: Plan, directory: Path) -> Plan:
    """Return a plan with the numbers that its points have in a directory.

    A sweep that was begun may get more points, seeds or trials. Raises `UsageError` if the
    directory has something else.
    """
    before = read_sweep(directory)
    if before:
        return _continued(plan, before, directory)
    if any(os.path.lexists(directory / name) for name in SUMMARY_FILES):
        raise UsageError(f"{directory}: has a run; choose another directory with --out")
    return plan


def _content(plan: Plan, directory: Path) -> dict[str, Any]:
    settings = to_json(plan.settings, plan.document.registry)
    given = {name: value for name, value in settings.items() if value not in (None, {})}
    return {
        "nnreg": __version__,
        "name": plan.name,
        "sweep": given | {"spec": _relocated(plan, directory)},
        DIGEST: digest_of(plan.document),
        DATA: digests(plan.document),
        "metric": plan.metric,
        "higher_is_better": plan.higher_is_better,
        "seeds": list(plan.seeds),
        "points": [dict(point) for point in plan.points],
    }


def _relocated(plan: Plan, directory: Path) -> Any:
    """Return the spec of a sweep as a file in its directory names it."""
    if not isinstance(plan.settings.spec, str):
        return plan.settings.spec
    path = plan.document.texts[-1].path
    assert path is not None
    try:
        return Path(os.path.relpath(path, directory.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path)


def _continued(plan: Plan, before: Mapping[str, Any], directory: Path) -> Plan:
    """Return a plan with the points of a sweep that was begun first, in their order."""
    advice = "choose another directory with --out"
    if before.get(DIGEST) != digest_of(plan.document):
        raise UsageError(f"{directory}: its runs are of another spec than now; {advice}")
    if before.get(DATA) != digests(plan.document):
        problem = "its runs were trained on other data than the files have now"
        raise UsageError(f"{directory}: {problem}; restore the files, or {advice}")
    old: Sequence[Point] = before.get("points", [])
    seeds: Sequence[int] = before.get("seeds", [])
    points = distinct([*old, *plan.points])
    if len(points) > len(plan.points) or not set(seeds) <= set(plan.seeds):
        raise UsageError(
            f"{directory}: has runs of points or seeds that this sweep does not have; {advice}"
        )
    _require_same_search(plan, before, directory, advice)
    order = [*seeds, *(seed for seed in plan.seeds if seed not in seeds)]
    return dataclasses.replace(plan, points=tuple(points), seeds=tuple(order))


def _require_same_search(
    plan: Plan, before: Mapping[str, Any], directory: Path, advice: str
) -> None:
    """Raise `UsageError` if a search by Optuna is another one than before, but for its trials."""
    search = to_json(plan.settings.optuna, plan.document.registry) or {}
    earlier = before.get("sweep", {}).get("optuna") or {}
    same = {**search, "trials": 0} == {**earlier, "trials": 0} and list(plan.seeds) == before.get(
        "seeds"
    )
    if (search or earlier) and not (same and plan.metric == before.get("metric")):
        raise UsageError(f"{directory}: has another search than this one; {advice}")
