"""The settings of runs by their paths in the spec, and the conditions of their random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nnreg._utils import json_text
from nnreg.reports.run_record import RunRecord
from nnreg.spec.compose import FILE_PATHS
from nnreg.spec.overrides import leaves

SEEDS = ("seed", "data.split.seed", "train.fold")
"""The settings that distinguish the runs of a group: they change random numbers and rows alone."""

MAX_DIGITS = 8
"""Characters of a number that is shown as it is; one that was drawn at random has more."""

Settings = Mapping[str, Any]


class Conditions(NamedTuple):
    """What two runs of different groups may share: the seed, and the rows that are held out."""

    seed: Any
    split: Any


def settings_of(record: RunRecord) -> dict[str, Any]:
    """Return a run's settings by path, with the paths of the files that it read made absolute.

    A component's name, whether given alone or as `type`, is at the path of the component.
    """
    found = {path.removesuffix(".type"): value for path, value in leaves(record.resolved)}
    for json_path in FILE_PATHS:
        path = json_path.removeprefix("$.")
        if isinstance(found.get(path), str):
            found[path] = str((record.path / found[path]).resolve())
    return found


def without_seeds(settings: Settings) -> dict[str, Any]:
    """Return the settings by which runs are grouped."""
    return {path: value for path, value in settings.items() if path not in SEEDS}


def conditions_of(settings: Settings) -> Conditions:
    """Return the seed of a run, and what determines which rows it held out."""
    seed, own = settings.get("seed"), settings.get("data.split.seed")
    by_time = settings.get("data.split.order") or "data.window.length" in settings
    fixed = by_time or not (_fractions(settings) or settings.get("train.folds"))
    drawn = None if fixed else seed if own is None else own
    return Conditions(repr(seed), repr((drawn, settings.get("train.fold"))))


def overlap_of(settings: Settings, split: str) -> float:
    """Return the number of rows in a held-out split, divided by that of the training rows.

    By it, results on several random splits are corrected for the training rows that they share. For
    a split that is a file, it is that of the other split.
    """
    fractions, folds = _fractions(settings), settings.get("train.folds")
    rest = 1 - sum(fractions.values())
    if isinstance(folds, int) and folds > 1:
        inner = fractions.get("validation", 0.0)
        if split == "validation" and inner:
            return inner / (1 - inner)
        return 1 / ((folds - 1) * (1 - inner))
    largest = max(fractions.values(), default=0.0)
    return fractions.get(split, largest) / rest if rest > 0 else 0.0


def _fractions(settings: Settings) -> dict[str, float]:
    """Return the held-out splits that are fractions of the rows."""
    found = {name: settings.get(f"data.split.{name}") for name in ("validation", "test")}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def differing(all_settings: Sequence[Settings]) -> list[str]:
    """Return the paths of the settings that differ.

    Options that only one of several components has, with the same value in all runs that use it,
    follow from its name and are left out.
    """
    paths = dict.fromkeys(path for own in all_settings for path in own)
    found = [
        path for path in paths if len({json_text.dumps(own.get(path)) for own in all_settings}) > 1
    ]
    return [path for path in found if not _follows(path, found, all_settings)]


def _follows(path: str, found: Sequence[str], all_settings: Sequence[Settings]) -> bool:
    """Return True if a setting exists only with one component, and always has the same value."""
    owner = next((other for other in found if path.startswith(f"{other}.")), None)
    if owner is None:
        return False
    values = {json_text.dumps(own[path]) for own in all_settings if path in own}
    owners = {json_text.dumps(own.get(owner)) for own in all_settings if path in own}
    return len(values) == 1 and len(owners) == 1


def short(paths: Sequence[str]) -> dict[str, str]:
    """Return the shortest unique ending of each path, or itself if it is that of another one."""
    result = {}
    for path in paths:
        keys = path.split(".")
        ends = (".".join(keys[-count:]) for count in range(1, len(keys) + 1))
        others = [other for other in paths if other != path]
        unique = (
            end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)
        )
        result[path] = next(unique, path)
    return result


def value_text(value: Any) -> str:
    """Return a setting as text; a dash if the run's spec does not have it."""
    return value if isinstance(value, str) else "–" if value is None else json_text.dumps(value)


def short_value(value: Any) -> str:
    """Return a setting as text, a number of many digits rounded to four."""
    text = value_text(value)
    return f"{value:.4g}" if isinstance(value, float) and len(text) > MAX_DIGITS else text
