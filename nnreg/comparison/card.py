"""The card of a comparison in a notebook: groups of runs, each run, the settings that differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from nnreg._utils.formatting import counted
from nnreg.comparison.compared import ComparedRuns
from nnreg.comparison.conclusions import NO_NOISE, conclusions
from nnreg.comparison.settings import short, short_value
from nnreg.comparison.tables import group_table
from nnreg.plotting.card import card, details, line
from nnreg.plotting.html import escape, format_value, table

MAX_COLUMNS = 6
"""The most runs that are columns, in the table of the settings that differ."""


def comparison_card(comparison: ComparedRuns) -> str:
    """Return the card as HTML: groups first, if one has several runs, and the runs below them."""
    runs = counted(len(comparison.sides), "run")
    groups, main = comparison.groups, comparison.main_metric
    if main is None or not comparison.repeated:
        shown = {side.run for side in comparison.sides}
        notes = [NO_NOISE] if len(groups) > 1 else []
        parts = [_runs(comparison), _items(notes), _excluded(comparison, shown)]
        return card(f"Comparison of {runs}", *parts)
    return card(
        f"Comparison of {runs} in {counted(len(groups), 'group')}",
        _groups(comparison, main),
        _items(conclusions(comparison, main)),
        _excluded(comparison, set()),
        details("each run", _runs(comparison), opened=len(groups) < 2),
    )


def _groups(comparison: ComparedRuns, metric: str) -> str:
    """Return the groups by a metric, the best first."""
    found = group_table(comparison, metric)
    rows = [
        [
            cell.text.replace("-", "−") if numeric else cell.text
            for cell, numeric in zip(row, found.numeric, strict=True)
        ]
        for row in found.rows
    ]
    return line(found.title) + table(found.head, rows, found.title, numeric=found.numeric)


def _runs(comparison: ComparedRuns) -> str:
    """Return the metrics of each run and the settings that differ, for few runs as columns."""
    sides, best = comparison.sides, comparison.best
    settings = short(list(sides[0].settings)) if sides else {}
    beside = settings if len(sides) > MAX_COLUMNS else {}
    metrics = list(dict.fromkeys(name for side in sides for name in side.metrics))
    rows = [
        [
            side.run,
            *(short_value(side.settings[path]) for path in beside),
            *(_with_deviation(side.metrics.get(name), side.std.get(name)) for name in metrics),
            ", ".join(name for name in metrics if side.run in best.get(name, ())),
        ]
        for side in sides
    ]
    head = ["run", *(name.replace("_", " ") for name in (*beside.values(), *metrics)), "best by"]
    found = table(head, rows, "metrics by run") if rows else ""
    if beside or not settings:
        return found
    differing = [[path, *(str(side.settings[path]) for side in sides)] for path in settings]
    names = ["setting", *(side.run for side in sides)]
    return found + line("settings that differ") + table(names, differing, "settings that differ")


def _with_deviation(value: float | None, std: float | None) -> Any:
    """Return the cell of a metric, with its deviation over folds if it has one."""
    if value is None or std is None:
        return "" if value is None else value
    return f"{format_value(value)} ± {format_value(std)}"


def _excluded(comparison: ComparedRuns, shown: Collection[str]) -> str:
    """Return the runs that are neither in a group nor shown, with the reasons."""
    found = [f"{name}: {why}" for name, why in comparison.excluded.items() if name not in shown]
    return line("not compared:") + _items(found) if found else ""


def _items(texts: Sequence[str]) -> str:
    """Return a list of sentences; nothing if there are none."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""
