"""The report page: one HTML file that needs no other file and no network.

All text from a spec, from data or from a run directory passes through `escape`. As a second line of
defence, the Content-Security-Policy of the page blocks requests, and all scripts but nnreg's own,
by its hash. Without scripts, only the section of `live_model` is missing.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Iterable, Sequence
from string import Template

from nnreg.plotting.html import escape
from nnreg.plotting.palette import dark_rules, variables
from nnreg.plotting.svg import Drawing
from nnreg.reports.evaluation import compare_with_baseline, prediction_section
from nnreg.reports.fold_sections import fold_table, mean_over_folds
from nnreg.reports.html import figures, section
from nnreg.reports.live_model import LiveModel
from nnreg.reports.predictions import SplitPredictions
from nnreg.reports.run_record import RunRecord
from nnreg.reports.run_sections import environment, metrics_by_split, outcome, spec, tiles

NO_HELD_OUT_ROWS = (
    "<p>No rows were held out, so the performance on new rows is unknown. Set "
    "<code>data.split</code> in the spec to hold rows out.</p>"
)


POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The Content-Security-Policy of a page without a script."""


def run_page(
    record: RunRecord,
    predictions: Sequence[tuple[SplitPredictions, Sequence[Drawing]]],
    network: Drawing | None,
    training: Sequence[Drawing],
    plugin_sections: Sequence[str],
    notes: Sequence[str],
    about_network: Sequence[str] = (),
    live: LiveModel | None = None,
) -> str:
    """Return the page of a run; `predictions` are those of each output, with their drawings.

    `plugin_sections` are HTML, in which the text of plugins is escaped. `notes` list what is
    missing and why. `about_network` are sections about the network, as HTML, and `live` is a form
    to try it.
    """
    drawn_network = f'<div class="network">{network.inline()}</div>' if network else ""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        _summary(record, [results for results, _ in predictions]),
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        tiles(record),
        section("Training curves", figures(training)),
        section("Predictions", "\n".join(prediction_section(*one) for one in predictions)),
        *about_network,
        live.html if live else "",
        section("Metrics by split", metrics_by_split(record)),
        section("Network", drawn_network),
        *plugin_sections,
        section("Spec", spec(record)),
        section("Environment", environment(record)),
    ]
    return document(f"{record.name}: report", parts, live.script if live else "")


def cross_validation_page(
    record: RunRecord, folds: Sequence[RunRecord], training: Sequence[Drawing]
) -> str:
    """Return the page of a cross-validation, with links to the pages of its folds."""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        f'<p class="summary">{mean_over_folds(record)}</p>',
        section("Folds", fold_table(record, folds)),
        section("Training curves", figures(training)),
        section("Spec", spec(record)),
        section("Environment", environment(record)),
    ]
    return document(f"{record.name}: report", parts)


def document(title: str, parts: Iterable[str], script: str = "") -> str:
    """Return a complete HTML document, which may run no other script than this one."""
    # A resource, as the package may be in a zip file.
    template = (importlib.resources.files("nnreg.reports") / "page.html").read_text("utf-8")
    return Template(template).substitute(
        title=escape(title),
        policy=POLICY + _permission_of(script),
        light=variables(),
        dark=variables(dark=True),
        drawings=dark_rules(),
        body="\n".join(part for part in parts if part),
        script=f'<script type="module">{script}</script>\n' if script else "",
    )


def _permission_of(script: str) -> str:
    """Return the part of the Content-Security-Policy that permits a script, by its digest."""
    if not script:
        return ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"; script-src 'sha256-{digest}'"


def _summary(record: RunRecord, predictions: Sequence[SplitPredictions]) -> str:
    """Return the comparison with the baseline, and how the training ended."""
    lines = []
    for results in predictions:
        output = f"<strong>{escape(results.output)}</strong>: " if results.output else ""
        lines.append(f'<p class="summary">{output}{compare_with_baseline(results)}</p>')
    if predictions and predictions[0].split == "train":
        lines.append(NO_HELD_OUT_ROWS)
    lines.append(f'<p class="quiet">{outcome(record)}</p>')
    return "\n".join(lines)
