"""Checks of the points of a sweep before anything runs: each is read, and its network built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nnreg._utils.suggestions import suggest
from nnreg.data.loading import DataReader
from nnreg.errors import NnregError, Override, Problem, SpecError, UsageError
from nnreg.runs.prepare import PreparedRun, prepare_from_spec
from nnreg.runs.run import Run
from nnreg.spec.document import Document, read_spec
from nnreg.sweeps.settings import Point
from nnreg.sweeps.space import point_overrides

MAX_BUILT = 100
"""The most points of which the network is built before the start; the others are only read."""

SEED = "seed"


@dataclass(frozen=True)
class Candidate:
    """A point to check, with the location of each of its values in the sweep file."""

    point: Point
    places: Mapping[str, str]
    section: str


class Checker:
    """Checks points with the spec that they change."""

    def __init__(self, document: Document, *, check: bool) -> None:
        self._document = document
        self._check = check
        self._reader = DataReader()
        self._built: PreparedRun | None = None

    def require_valid(self, candidates: Iterable[Candidate]) -> None:
        """Raise `SpecError` with the problems of all points, each once."""
        problems: dict[tuple[str, str], Problem] = {}
        for number, candidate in enumerate(candidates):
            for problem in self._problems(candidate, build=number < MAX_BUILT):
                problems.setdefault((problem.path, problem.message), problem)
        if problems:
            raise SpecError(problems.values())

    def metric(self, given: str | None) -> tuple[str, bool]:
        """Return the metric that compares points, and whether higher is better.

        Raises `SpecError` for one that no run has.
        """
        assert self._built is not None
        evaluation, splits = self._built.model.evaluation, self._built.splits
        held_out = self._built.model.spec.train.folds or "validation" in splits
        known = {name: name for name in evaluation.names}
        if held_out:
            known |= {f"val_{name}": name for name in evaluation.names}
        metric = given or ("val_loss" if held_out else "loss")
        if metric not in known:
            problem = f"unknown metric {metric!r}{suggest(metric, known)}"
            raise SpecError([Problem("$.metric", problem)])
        return metric, evaluation.higher_is_better(known[metric])

    def _problems(self, candidate: Candidate, *, build: bool) -> Iterator[Problem]:
        for path, place in candidate.places.items():
            if path == SEED:
                yield Problem(place, "give the seeds in 'seeds'", of_key=True)
                return
        overrides = _overrides(candidate.point)
        try:
            document = read_spec(self._document, list(overrides))
            if build:
                prepared = prepare_from_spec(document, None, self._reader)
                Run(prepared, None, check=self._check)
                self._built = self._built or prepared
        except SpecError as error:
            for problem in error.problems:
                yield _located(problem, overrides, candidate)
        except NnregError as error:
            text = str(error.lines[0])
            for override, path in overrides.items():
                start = f"{Override(override)}: "
                if isinstance(error, UsageError) and text.startswith(start):
                    yield Problem(candidate.places[path], text.removeprefix(start), of_key=True)
                    point = {p: v for p, v in candidate.point.items() if p != path}
                    others = dataclasses.replace(candidate, point=point)
                    yield from self._problems(others, build=build)
                    return
            yield Problem(candidate.section, f"{_named(candidate)}{text}")


def _overrides(point: Point) -> dict[str, str]:
    """Return the path of each override of a point."""
    return {text: text.partition("=")[0] for text in point_overrides(point)}


def _located(problem: Problem, overrides: Mapping[str, str], candidate: Candidate) -> Problem:
    """Return a problem of a spec at the value in the sweep file that causes it."""
    location = problem.location
    path = overrides.get(location.text) if isinstance(location, Override) else None
    if path is None:
        text = str(dataclasses.replace(problem, location=None if path else location))
        return Problem(candidate.section, f"{_named(candidate)}{text}")
    assert isinstance(location, Override)
    inside = "" if location.sets(problem.path) else f"{problem.path}: "
    return Problem(candidate.places[path], f"{inside}{problem.message}")


def _named(candidate: Candidate) -> str:
    """Return a point for the beginning of a message."""
    return f"with {', '.join(_overrides(candidate.point))}: " if candidate.point else ""
