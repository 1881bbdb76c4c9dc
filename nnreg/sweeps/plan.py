"""The plan of a sweep: its spec, its points and seeds, checked before anything runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg.errors import Override, Problem, SpecError, UsageError
from nnreg.ranks.variables import SWITCH, processes_started
from nnreg.registry.registry import Registry, installed
from nnreg.spec.compose import ComposedSpec, Origins, compose
from nnreg.spec.document import Document, read_spec
from nnreg.spec.overrides import Overrides
from nnreg.spec.validation import Reader, read
from nnreg.sweeps.checks import Candidate, Checker
from nnreg.sweeps.settings import Axis, Point, Sweep
from nnreg.sweeps.space import (
    combinations,
    distinct,
    one_at_a_time,
    point_overrides,
    random_point,
)

MAX_RUNS = 10_000
"""The most runs of a sweep."""


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep: the number of its point, counted from 1, and its seed."""

    number: int
    point: Point
    seed: int

    @property
    def name(self) -> str:
        """The name of its directory."""
        return run_name(self.number, self.seed)

    @property
    def overrides(self) -> tuple[str, ...]:
        """What it changes in the spec of the sweep, as `--set` does."""
        return (*point_overrides(self.point), f"seed={self.seed}")


def run_name(number: int, seed: int) -> str:
    """Return the name of the directory of a run."""
    return f"{number:03}-seed-{seed}"


@dataclass(frozen=True)
class Plan:
    """A sweep that was checked.

    `document` is the spec of all runs; `source` is what names it, a path or the spec itself.
    `points` are those known before the start: none for a search by Optuna. `higher_is_better` is
    the direction of `metric`.
    """

    name: str
    settings: Sweep
    document: Document
    seeds: tuple[int, ...]
    points: tuple[Point, ...]
    metric: str
    higher_is_better: bool

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """The runs that are known before the start, all seeds of a point after each other."""
        return tuple(
            PlannedRun(number, point, seed)
            for number, point in enumerate(self.points, 1)
            for seed in self.seeds
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths in the spec that vary."""
        search = self.settings.search
        points = [search.space] if search else self.points
        return tuple(dict.fromkeys(path for point in points for path in point))

    @property
    def count(self) -> int:
        """The number of runs; of a search by Optuna, if none is pruned."""
        trials = self.settings.optuna.trials if self.settings.optuna else len(self.points)
        return trials * len(self.seeds)


def digest_of(document: Document) -> str:
    """Return a hash of the composed spec of all runs."""
    return hashlib.sha256(json_text.dumps(document.tree).encode()).hexdigest()


def plan_sweep(
    source: str | Path | Mapping[str, Any],
    *,
    registry: Registry | None = None,
    directory: Path | None = None,
    name: str = "",
    run_plugin_file: bool = True,
    check: bool = True,
) -> Plan:
    """Read a sweep from a file or a mapping, and check all of it; nothing is written.

    Relative paths in a mapping start at `directory`, by default the working directory. An
    `nnregfile.py` beside the spec is run unless `run_plugin_file` is false. Raises `SpecError` with
    every problem, located in the sweep file, and `UsageError` if several processes of a launcher
    would all train the sweep.
    """
    _require_one_process()
    if isinstance(source, Mapping):
        composed = ComposedSpec(dict(source), Origins(), ())
        base, origin = directory or Path(), name or "sweep"
    else:
        composed = compose(str(source))
        base, origin = Path(source).parent, str(source)
    registry = registry or installed()
    with composed.origins.locating_errors(origin):
        if not isinstance(composed.tree, dict):
            raise SpecError([Problem("$", "must be a JSON object with a spec and a grid, …")])
        body = {key: value for key, value in composed.tree.items() if key != "$schema"}
        settings = read(Sweep, body, Reader(registry), origin)
        with _locating_in_sweep(settings):
            document = read_base(
                settings.spec, base, settings.overrides, registry, run_plugin_file=run_plugin_file
            )
        seeds = _seeds(settings, document)
        points = _points(settings)
        _require_few(settings, len(points), len(seeds))
        checker = Checker(document, check=check)
        checker.require_valid(_candidates(settings, points))
        metric, higher = checker.metric(settings.metric)
    return Plan(name or Path(origin).stem, settings, document, seeds, tuple(points), metric, higher)


def _require_one_process() -> None:
    """Raise `UsageError` if a launcher started this process with others."""
    if processes_started() != 1:
        raise UsageError(
            "mpiexec or srun started several processes, and a sweep starts its own: start it "
            f"without them, with --jobs; or set {SWITCH}=0 if they may share its directory"
        )


@contextmanager
def _locating_in_sweep(settings: Sweep) -> Iterator[None]:
    """Locate the problems of a spec that is in the sweep file, and those of its overrides."""
    try:
        yield
    except SpecError as error:
        error.problems = tuple(_located(problem, settings) for problem in error.problems)
        raise


def _located(problem: Problem, settings: Sweep) -> Problem:
    location = problem.location
    if isinstance(location, Override):
        inside = "" if location.sets(problem.path) else f"{problem.path}: "
        place = f"$.overrides.{location.text.partition('=')[0]}"
        return Problem(place, f"{inside}{problem.message}")
    if isinstance(settings.spec, str):
        return problem
    return replace(problem, path=f"$.spec{problem.path[1:]}")


def read_base(
    spec: str | Mapping[str, Any],
    base: Path,
    overrides: Overrides,
    registry: Registry,
    *,
    run_plugin_file: bool = True,
) -> Document:
    """Read the spec of a sweep: a path that starts at `base`, or a mapping whose paths do."""
    if isinstance(spec, str):
        path = str(base / spec)
        return read_spec(path, overrides, registry=registry, run_plugin_file=run_plugin_file)
    return read_spec(spec, overrides, directory=base.resolve(), registry=registry)


def _seeds(settings: Sweep, document: Document) -> tuple[int, ...]:
    """Return the seeds, by default that of the spec."""
    given = settings.seeds
    if isinstance(given, tuple):
        return tuple(dict.fromkeys(given))
    first = document.spec.seed
    return tuple(range(first, first + (given or 1)))


def _points(settings: Sweep) -> list[Point]:
    if settings.grid:
        _require_few(settings, math.prod(map(len, settings.grid.values())), 1)
        return distinct(combinations(settings.grid))
    if settings.points:
        return distinct(settings.points)
    if settings.random:
        search = settings.random
        _require_few(settings, search.trials, 1)
        return distinct(
            random_point(search.space, search.seed, trial) for trial in range(search.trials)
        )
    return [] if settings.optuna else [{}]


def _require_few(settings: Sweep, points: int, seeds: int) -> None:
    points = settings.optuna.trials if settings.optuna else points
    if points * seeds > MAX_RUNS:
        raise SpecError(
            [Problem("$", f"{points * seeds:,} runs; the maximum of a sweep is {MAX_RUNS:,}")]
        )


def _candidates(settings: Sweep, points: Sequence[Point]) -> Iterator[Candidate]:
    """Yield the points to check, with the locations of their values in the sweep file."""
    if settings.points:
        for index, given in enumerate(settings.points):
            section = f"$.points[{index}]"
            yield Candidate(given, {path: f"{section}.{path}" for path in given}, section)
        return
    search, section = settings.search, "$.grid"
    space: Mapping[str, Axis] = search.space if search else settings.grid or {}
    if search:
        section = "$.random.space" if settings.random else "$.optuna.space"
    for point in distinct([*one_at_a_time(space), *points]):
        places = {path: _place(section, path, space[path], value) for path, value in point.items()}
        yield Candidate(point, places, section if space else "$.seeds")


def _place(section: str, path: str, axis: Axis, value: Any) -> str:
    """Return the location of a value of an axis: an item of a list, or a range."""
    place = f"{section}.{path}"
    if not isinstance(axis, tuple):
        return place
    texts = list(map(repr, axis))  # 1 and True are equal
    return f"{place}[{texts.index(repr(value))}]"
