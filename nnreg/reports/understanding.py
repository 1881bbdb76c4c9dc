"""Sections about what a network uses and how far it can be trusted: importance, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nnreg.errors import DataError
from nnreg.model.calibration import Reliability, has_probabilities, reliability
from nnreg.model.importance import TOO_LONG, Importance, importance_on
from nnreg.plotting.bars import bars
from nnreg.plotting.chart import DOTTED, Axis, Chart, Curve, Points
from nnreg.plotting.html import escape, format_value, table
from nnreg.plotting.palette import BLUE, MUTED
from nnreg.plotting.svg import Drawing, draw
from nnreg.reports.evaluation import SPLIT_ROWS
from nnreg.reports.html import figures, section
from nnreg.reports.predictions import SplitPredictions
from nnreg.runs.prepare import PreparedRun

MAX_SECONDS = 0.1
"""The estimated time of the importance of all columns, above which a report has none."""

MAX_BARS = 30
"""The most columns that are drawn."""


@dataclass(frozen=True)
class DrawnSection:
    """A section as HTML, empty if there is nothing to show, and its drawings by file name."""

    html: str
    drawings: Mapping[str, Drawing]


def importance_section(prepared: PreparedRun) -> DrawnSection:
    """Return the importance of the input columns; nothing of a single one."""
    model = prepared.model
    if len(model.preprocessing.names) < 2 or not any(o.predicts for o in model.outputs.values()):
        return DrawnSection("", {})
    split, examples = prepared.reported
    try:
        found = importance_on(model, examples, seconds=MAX_SECONDS)
    except DataError:
        return DrawnSection("", {})
    if TOO_LONG in found.left_out.values():
        text = (
            "<p>The columns are too many to compute their importance for each report; run "
            "<code>nnreg evaluate RUN --importance</code>.</p>"
        )
        return DrawnSection(section("Importance of the columns", text), {})
    metric = found.metric.replace("_", " ")
    shown = found.columns[:MAX_BARS]
    drawing = bars(
        [one.column for one in shown],
        [one.mean for one in shown],
        [one.std for one in shown],
        f"How much worse the {metric} is with a column shuffled: mean and standard deviation of "
        f"{found.repeats} repeats",
        f"{metric}: how much worse",
    )
    body = f"{_importance_text(found, split)}\n{figures([drawing])}"
    return DrawnSection(section("Importance of the columns", body), {"importance": drawing})


def _importance_text(found: Importance, split: str) -> str:
    of = f" of {found.of_rows:,}" if found.rows < found.of_rows else ""
    more = ""
    if len(found.columns) > MAX_BARS:
        more = f" The {MAX_BARS} most important of {len(found.columns):,} columns are shown."
    if found.left_out:
        more += f" Left out, as they cannot be shuffled alone: {', '.join(found.left_out)}."
    return (
        f'<p class="quiet">{escape(found.metric.replace("_", " ").capitalize())} on '
        f"{found.rows:,}{of} {SPLIT_ROWS[split]}: {format_value(found.value)}. Each column in turn "
        "is shuffled among them. Columns that are correlated share their importance, as each can "
        f"replace the others.{escape(more)}</p>"
    )


def calibration_section(
    prepared: PreparedRun, results: Mapping[str, SplitPredictions]
) -> DrawnSection:
    """Return the confidence of each output with probabilities beside its accuracy."""
    bodies, drawings = [], {}
    for index, one in enumerate(results.values()):
        if one.confidence is None or not has_probabilities(prepared.model.outputs[one.output]):
            continue
        found = reliability(one.confidence, one.true_values == one.predictions)
        drawing = draw(_reliability_chart(found), "Accuracy by confidence; dotted: calibrated")
        drawings[f"output-{index}-calibration" if one.output else "calibration"] = drawing
        bodies.append("\n".join(_calibration(one, found, drawing)))
    return DrawnSection(section("Confidence and accuracy", "\n".join(bodies)), drawings)


def _calibration(one: SplitPredictions, found: Reliability, drawing: Drawing) -> Iterator[str]:
    if one.output:
        yield f"<h3>{escape(one.output)}</h3>"
    yield (
        f'<p class="quiet">Expected calibration error on {one.rows:,} {SPLIT_ROWS[one.split]}: '
        f"{format_value(found.error)}, the mean difference of the accuracy and the confidence, "
        "which is the probability of the predicted class. If it is large, <code>nnreg calibrate"
        "</code> may correct the probabilities.</p>"
    )
    rows = [
        [f"{o.low:.2f} to {o.high:.2f}", o.rows, f"{o.confidence:.3f}", f"{o.accuracy:.3f}"]
        for o in found.bins
    ]
    head = ["confidence", "predictions", "mean", "accuracy"]
    values = table(head, rows, "accuracy by confidence")
    yield f'<div class="beside">\n<div>{figures([drawing])}</div>\n<div>{values}</div>\n</div>'


def _reliability_chart(found: Reliability) -> Chart:
    confidence, accuracy = (
        np.array([getattr(one, name) for one in found.bins]) for name in ("confidence", "accuracy")
    )
    ends = np.array([0.0, 1.0])
    across, up = (Axis(label, -0.02, 1.02) for label in ("confidence", "accuracy"))
    lines = [Curve("", confidence, accuracy, BLUE), Curve("", ends, ends, MUTED, DOTTED)]
    return Chart(across, up, lines, Points(confidence, accuracy))
