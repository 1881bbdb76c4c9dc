"""The card of a comparison in a notebook: the settings that differ, and the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnreg._utils.formatting import counted
from nnreg.comparison.sides import Side
from nnreg.plotting.card import card, line
from nnreg.plotting.html import format_value, table


def comparison_card(sides: Sequence[Side], best: Mapping[str, Sequence[str]]) -> str:
    """Return the card as HTML; `best` has the names of the best runs for each metric."""
    metrics = list(dict.fromkeys(name for side in sides for name in side.metrics))
    settings = list(sides[0].settings) if sides else []
    leaders = {side.run: [m for m in metrics if side.run in best.get(m, ())] for side in sides}
    outcome = [
        [
            side.run,
            *(_with_deviation(side.metrics.get(name), side.std.get(name)) for name in metrics),
            ", ".join(leaders[side.run]),
        ]
        for side in sides
    ]
    differing = [[path, *(str(side.settings[path]) for side in sides)] for path in settings]
    names = [side.run for side in sides]
    head = ["run", *(name.replace("_", " ") for name in metrics), "best by"]
    return card(
        f"Comparison of {counted(len(sides), 'run')}",
        table(head, outcome, "metrics by run") if sides else "",
        line("settings that differ" if differing else ""),
        table(["setting", *names], differing, "settings that differ") if differing else "",
    )


def _with_deviation(value: float | None, std: float | None) -> Any:
    """Return the cell of a metric, with its deviation over folds if it has one."""
    if value is None or std is None:
        return "" if value is None else value
    return f"{format_value(value)} ± {format_value(std)}"
