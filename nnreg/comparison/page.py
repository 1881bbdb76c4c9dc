"""The page of a comparison: tables, curves, parallel coordinates, importance, and the best spec."""

from __future__ import annotations

import importlib.resources
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from nnreg._utils.formatting import counted
from nnreg.comparison.api import Comparison, compare_collected
from nnreg.comparison.collection import Collection
from nnreg.comparison.conclusions import conclusions
from nnreg.comparison.curves import grouped_columns
from nnreg.comparison.groups import Group
from nnreg.comparison.importance import Importance, importance
from nnreg.comparison.parallel import parallel_coordinates
from nnreg.comparison.settings import short, short_value
from nnreg.comparison.tables import Cell, Table, group_table, rounding_of
from nnreg.errors import UsageError
from nnreg.plotting.chart import Chart
from nnreg.plotting.curves import by_group, metrics_of
from nnreg.plotting.html import NUMBER, escape, format_value
from nnreg.plotting.palette import BLUE
from nnreg.plotting.svg import draw
from nnreg.reports.html import figures, percent, section
from nnreg.reports.html_page import document
from nnreg.reports.report import PAGE
from nnreg.reports.run_record import RunRecord
from nnreg.reports.run_sections import spec

MAX_CURVES = 4
"""The most metrics whose curves are drawn."""

MAX_AXES = 8
"""The most settings in parallel coordinates; of more, the most important ones."""

MAX_ROWS = 30
"""The rows of a table that are shown without scrolling in it."""

BAR = 180
"""The width of a bar of 100 %, in pixels."""

FORMULA = (
    "ε² = 1 − (1 − η²)(n − 1)/(n − k) for n runs and k values of the setting, where η² is the sum "
    "of squares between the values, divided by that of all runs (Kelley 1935). On a full grid, η² "
    "is the main effect in the functional analysis of variance (Hutter et al. 2014); ε² is without "
    "what many values explain by chance. Numbers of more than six values are divided into four "
    "intervals. What is missing to 100 % are joint effects and noise."
)


def comparison_page(
    found: Collection,
    directory: Path,
    *,
    title: str,
    metrics: Sequence[str] = (),
    comparison: Comparison | None = None,
) -> str:
    """Return the page of a comparison as HTML, with links to reports relative to `directory`.

    `metrics` are compared, the first also in the drawings; by default, the main one. Raises
    `UsageError` if no run has ended.
    """
    comparison = comparison or compare_collected(found)
    if comparison.main_metric is None:
        raise UsageError("no run has ended, so there is nothing to compare")
    metrics = metrics or [comparison.main_metric]
    main = metrics[0]
    best = comparison.ranked(main)[0]
    effects = importance(comparison, main)
    order = [effect.setting for effect in effects.effects]
    drawn = parallel_coordinates(comparison, main, order[:MAX_AXES])
    parts = [
        f"<h1>{escape(title)}</h1>",
        _summary(comparison, main, best),
        *(section(_heading(one), _groups(comparison, one)) for one in metrics),
        section("Curves", _curves(found, comparison)),
        section("Parallel coordinates", figures([drawn] if drawn else [])),
        section("Importance of each setting", _importance(effects, main)),
        section("Runs", _runs(comparison, found, directory)),
        section("Best run", _best(comparison, found, directory, best, main)),
    ]
    script = (importlib.resources.files("nnreg.comparison") / "sort_tables.js").read_text("utf-8")
    return document(title, parts, script)


def _heading(metric: str) -> str:
    return f"Groups by {escape(metric.replace('_', ' '))}"


def _summary(comparison: Comparison, metric: str, best: Group) -> str:
    """Return the best group, how many runs there are, and those that are not compared."""
    estimate = best.metrics[metric]
    rounding = rounding_of(group.metrics[metric].std for group in comparison.ranked(metric))
    value = rounding.text(estimate.mean)
    spread = "" if estimate.std is None else f" ± {rounding.text(estimate.std)}"
    runs = sum(len(group.runs) for group in comparison.groups)
    lines = [
        f'<p class="summary">The best by {escape(metric.replace("_", " "))}: '
        f"<strong>{escape(best.name)}</strong>, {value}{spread} "
        f"({counted(len(best.runs), 'run')}).</p>",
        f'<p class="quiet">{counted(runs, "run")} in '
        f"{counted(len(comparison.groups), 'group')}.</p>",
    ]
    if comparison.excluded:
        excluded = counted(len(comparison.excluded), "run")
        items = "".join(
            f"<li>{escape(name)}: {escape(reason)}</li>"
            for name, reason in comparison.excluded.items()
        )
        lines.append(f'<div class="note"><p>Not compared: {excluded}</p><ul>{items}</ul></div>')
    return "\n".join(lines)


def _groups(comparison: Comparison, metric: str) -> str:
    table = group_table(comparison, metric)
    notes = "".join(f"<li>{escape(line)}</li>" for line in conclusions(comparison, metric))
    listed = f"<ul>{notes}</ul>" if notes else ""
    return f'<p class="quiet">{escape(table.title)}.</p>\n{_sortable(table)}\n{listed}'


def _sortable(table: Table, links: Sequence[str] = ()) -> str:
    """Return a table whose columns can be sorted; `links` are those of the first cells."""
    aligned = [NUMBER if numeric else "" for numeric in table.numeric]
    head = "".join(
        f'<th scope="col"{right}>{escape(name)}</th>'
        for name, right in zip(table.head, aligned, strict=True)
    )
    rows = []
    for index, row in enumerate(table.rows):
        cells = [_cell(cell, right) for cell, right in zip(row, aligned, strict=True)]
        if links and links[index]:
            cells[0] = f'<td><a href="{escape(links[index])}">{escape(row[0].text)}</a></td>'
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(rows)
    tall = " tall" if len(rows) > MAX_ROWS else ""
    return (
        f'<div class="wide{tall}" role="region" tabindex="0" aria-label="{escape(table.title)}">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


def _cell(cell: Cell, right: str) -> str:
    value = cell.value[0] if isinstance(cell.value, tuple) else cell.value
    exact = type(value) in (int, float) and math.isfinite(value)
    sort = f' data-sort="{value}"' if exact else ""
    return f"<td{right}{sort}>{escape(cell.text.replace('-', '−') if exact else cell.text)}</td>"


def _curves(found: Collection, comparison: Comparison) -> str:
    """Return the curves of the groups, with one legend for all of them."""
    groups = grouped_columns(found.runs, comparison)
    names = metrics_of(columns for runs in groups.values() for columns in runs)
    shown = [name for name in names if name != "learning_rate"][:MAX_CURVES]
    charts = {name: by_group(groups, name) for name in shown}
    if not charts:
        return ""
    legend = "".join(
        f'<li><svg width="20" height="8" aria-hidden="true"><path d="M0 4h20" stroke-width="2" '
        f'stroke="{curve.colour}"/></svg> {escape(curve.label)}</li>'
        for curve in charts[shown[0]].curves
        if curve.label
    )
    what = "mean of each group; the band is from its lowest to its highest run"
    drawings = [
        draw(_without_labels(chart), f"{name.replace('_', ' ').capitalize()} by epoch: {what}")
        for name, chart in charts.items()
    ]
    return f'<ul class="legend">{legend}</ul>\n{figures(drawings)}'


def _without_labels(chart: Chart) -> Chart:
    return replace(chart, curves=[replace(curve, label="") for curve in chart.curves])


def _importance(found: Importance, metric: str) -> str:
    """Return the effects of the settings as bars, with the formula and the warnings."""
    if not found.effects:
        return ""
    names = short([effect.setting for effect in found.effects])
    shares = [(names[one.setting].replace("_", " "), one.corrected) for one in found.effects]
    if found.noise is not None:
        shares.append(("noise between runs of a group", found.noise))
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td{NUMBER}>{percent(share)}</td>'
        f'<td><svg width="{BAR}" height="10" aria-hidden="true"><rect width="{BAR * share:.1f}" '
        f'height="10" fill="{BLUE}"/></svg></td></tr>'
        for name, share in shares
    )
    notes = "".join(f'<p class="note">{escape(text)}</p>' for text in found.warnings)
    return (
        f"<p>How much of the variance of {escape(metric.replace('_', ' '))} between "
        f"{counted(found.runs, 'run')} each setting explains alone:</p>\n"
        f'<div class="wide"><table><tbody>\n{rows}\n</tbody></table></div>\n{notes}'
        f'<p class="quiet">{escape(FORMULA)}</p>'
    )


def _runs(comparison: Comparison, found: Collection, directory: Path) -> str:
    """Return the table of all runs, with their seeds and links to their reports."""
    sides = comparison.sides
    records = {**found.runs, **found.means}
    paths = list(sides[0].settings) if sides else []
    metrics = list(dict.fromkeys(name for side in sides for name in side.metrics))
    head = ["run", *short(paths).values(), *metrics, "best epoch", "seconds", "ended"]
    rows = [
        [
            Cell(side.run, side.run),
            *(Cell(short_value(side.settings[path]), side.settings[path]) for path in paths),
            *(_number(side.metrics.get(name)) for name in metrics),
            _number(side.best_epoch),
            _number(side.seconds),
            Cell((side.stopped or "unfinished").replace("_", " ")),
        ]
        for side in sides
    ]
    numeric = [
        bool(rows) and all(type(row[i].value) in (int, float, type(None)) for row in rows)
        for i in range(len(head) - 1)
    ]
    names = [name.replace("_", " ") for name in head]
    table = Table("all runs", names, [], [*numeric, False], rows)
    return _sortable(table, [_report_of(records[side.run], directory) for side in sides])


def _number(value: float | None) -> Cell:
    return Cell("") if value is None else Cell(format_value(value), value)


def _report_of(record: RunRecord, directory: Path) -> str:
    """Return the address of the report of a run, relative to a directory; empty without one."""
    page = record.path / PAGE
    if not page.is_file():
        return ""
    try:
        return quote(Path(os.path.relpath(page.resolve(), directory.resolve())).as_posix())
    except ValueError:  # on another drive of Windows
        return page.resolve().as_uri()


def _best(
    comparison: Comparison, found: Collection, directory: Path, best: Group, metric: str
) -> str:
    """Return the spec of the best run of the best group, and a link to its report."""
    values = dict(zip(best.runs, best.metrics[metric].values, strict=True))
    choose = max if comparison.higher_is_better.get(metric) else min
    name = choose(values, key=values.__getitem__)
    record = found.runs[name]
    link = _report_of(record, directory)
    named = f'<a href="{escape(link)}">{escape(name)}</a>' if link else escape(name)
    chosen = (
        f"The best run of the best group is {named}, {format_value(values[name])}. It was chosen "
        f"among {counted(len(comparison.sides), 'run')} by this value, which is therefore "
        "optimistic: the mean of its group is less so."
    )
    return f"<p>{chosen}</p>\n{spec(record)}"
