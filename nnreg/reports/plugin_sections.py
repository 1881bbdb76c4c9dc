"""Sections that plugins add to a report; one that fails has a note in place of its sections."""

from __future__ import annotations

import contextlib
import copy
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import NnregWarning
from nnreg.interfaces.report import HeldOut, ReportChart, ReportTable, ReportView, Section
from nnreg.model.model import Model
from nnreg.plotting.chart import Chart, Curve, Points, fit, short_name
from nnreg.plotting.curves import clip_for_drawing
from nnreg.plotting.html import escape, table
from nnreg.plotting.palette import RUNS
from nnreg.plotting.svg import Drawing, draw
from nnreg.registry.events import describe_error
from nnreg.registry.registry import Registry
from nnreg.reports.figures import sample
from nnreg.reports.html import figures, section
from nnreg.reports.predictions import SplitPredictions
from nnreg.reports.run_record import RunRecord

MAX_ROWS = 200
"""The most rows of a table, so that the page stays small."""

MAX_TEXT = 20_000
"""The most characters of a paragraph."""

MAX_CURVES = len(RUNS)
"""The most curves of a chart: each has a colour."""


@dataclass(frozen=True)
class RunReport:
    """What plugins see of the run that a report is about: a `ReportView`."""

    name: str
    directory: Path
    spec: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    summary: Mapping[str, Any]
    model: Model | None
    held_out: HeldOut | None
    outputs: Mapping[str, HeldOut]


def view_of(
    record: RunRecord, model: Model | None, results: Mapping[str, SplitPredictions]
) -> RunReport:
    """Return what plugins see of a run, with the predictions of each output by its name."""
    outputs = {name: _held_out(one) for name, one in results.items()}
    held_out = next(iter(outputs.values()), None)
    spec, summary = copy.deepcopy(record.resolved), copy.deepcopy(record.summary)
    history = [dict(one) for one in record.history]
    return RunReport(record.name, record.path, spec, history, summary, model, held_out, outputs)


def _held_out(results: SplitPredictions) -> HeldOut:
    return HeldOut(
        results.split,
        results.classes,
        results.targets,
        _read_only(results.true_values),
        _read_only(results.predictions),
        None if results.confidence is None else _read_only(results.confidence),
    )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def plugin_sections(report: ReportView, registry: Registry) -> list[str]:
    """Return the sections of all plugins as HTML, or a note for each plugin that fails."""
    sections = []
    for hook in registry.manager.hook.nnreg_report_sections.get_hookimpls():
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
                arguments = [report] if hook.argnames else []
                found: Iterable[Any] = hook.function(*arguments) or ()  # type: ignore[assignment]
                sections.append("\n".join(_checked(one) for one in found))
        except (Exception, SystemExit) as error:
            text = (
                f"plugin {hook.plugin_name} ({registry.plugins[hook.plugin_name].provider}): "
                f"nnreg_report_sections raised {describe_error(error)}; its sections are omitted"
            )
            warnings.warn(text, NnregWarning, stacklevel=2)
            sections.append(f'<p class="note">{escape(text)}</p>')
    return sections


def _checked(one: Any) -> str:
    """Return a section as HTML. Raises `TypeError` or `ValueError` if it is not valid."""
    if not isinstance(one, Section):
        raise TypeError(f"returned {type(one).__name__}; expected nnreg.Section")
    content = [one.content] if isinstance(one.content, str) else one.content
    return section(escape(one.title), "\n".join(map(_content, content)))


def _content(value: Any) -> str:
    if isinstance(value, str):
        more = " …" if len(value) > MAX_TEXT else ""
        return f"<p>{escape(value[:MAX_TEXT])}{more}</p>"
    if isinstance(value, ReportTable):
        return _table(value)
    if isinstance(value, ReportChart):
        return figures([_drawing(value)])
    raise TypeError(
        f"has {type(value).__name__} in a section; expected text, ReportTable or ReportChart"
    )


def _table(value: ReportTable) -> str:
    rows = [list(row) for row in value.rows]
    if wrong := [row for row in rows if len(row) != len(value.head)]:
        raise ValueError(f"has a row of {len(wrong[0])} values under {len(value.head)} names")
    more = ""
    if len(rows) > MAX_ROWS:
        more = f'\n<p class="quiet">The first {MAX_ROWS} of {len(rows):,} rows.</p>'
    return f"{table(list(value.head), rows[:MAX_ROWS], ', '.join(map(str, value.head)))}{more}"


def _drawing(value: ReportChart) -> Drawing:
    if len(value.curves) > MAX_CURVES:
        raise ValueError(f"has {len(value.curves)} curves in a chart; at most {MAX_CURVES} fit")
    curves = [
        Curve(short_name(str(name)), *_vectors(xy), colour)
        for (name, xy), colour in zip(value.curves.items(), RUNS, strict=False)
    ]
    points = None if value.points is None else _sampled(*_vectors(value.points))
    drawn: Iterable[Curve | Points] = [*curves, *([points] if points else [])]
    across = fit(short_name(str(value.x_label)), [one.x for one in drawn])
    up = fit(short_name(str(value.y_label)), [one.y for one in drawn])
    return draw(Chart(across, up, curves, points), str(value.description))


def _vectors(pair: tuple[Any, Any]) -> tuple[Array, Array]:
    """Return x and y of a curve as vectors of numbers of the same length."""
    x, y = (clip_for_drawing(np.array(values, dtype=np.float64)) for values in pair)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"has a curve of x {x.shape} and y {y.shape}; expected equal vectors")
    return x, y


def _sampled(x: Array, y: Array) -> Points:
    rows = sample(len(x))
    return Points(x[rows], y[rows])
