"""The report's page: one file of HTML that needs no other file, no network and no script.

Everything that comes from a spec, from data or from a folder goes through `escape`. Should anything
ever get past it, the page's own policy lets no script run and nothing be fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from nnreg._utils.formatting import duration
from nnreg.plotting.palette import dark_rules, variables
from nnreg.plotting.svg import Drawing
from nnreg.reports.evaluation import ROWS, against_baseline, answers
from nnreg.reports.html import escape, figure, figures, table
from nnreg.reports.predictions import SplitPredictions
from nnreg.reports.run_record import RunRecord

EARLIER, SPEC = 10, 60_000
"""The most times it was resumed, and characters of a spec, that are shown."""


def page(
    record: RunRecord,
    results: SplitPredictions | None,
    network: Drawing | None,
    training: Sequence[Drawing],
    predictions: Sequence[Drawing],
    notes: Sequence[str],
) -> str:
    """Return the page. `notes` say what is missing and why."""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        _comparison(record, results),
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _tiles(record),
        _section("How it trained", figures(training)),
        _section("What it gets right and wrong", answers(results, predictions)),
        _section("Every part of the data", _measured(record)),
        _section(
            "The network", f'<div class="network">{network.inline()}</div>' if network else ""
        ),
        _section("The spec", _spec(record)),
        _section("Where and how it ran", _environment(record)),
    ]
    return _whole(record, parts)


def page_of_folds(
    record: RunRecord, folds: Sequence[RunRecord], training: Sequence[Drawing]
) -> str:
    """Return the page of a cross-validation, which leads to those of its folds."""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        f'<p class="verdict">{_over_folds(record)}</p>',
        _section("Each fold", _folds(record, folds)),
        _section("How they trained", figures(training)),
        _section("The spec", _spec(record)),
        _section("Where and how it ran", _environment(record)),
    ]
    return _whole(record, parts)


def _whole(record: RunRecord, parts: Iterable[str]) -> str:
    """Put a page together."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(f"{record.name}: report"),
        light=variables(),
        dark=variables(dark=True),
        drawings=dark_rules(),
        body="\n".join(part for part in parts if part),
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def _comparison(record: RunRecord, results: SplitPredictions | None) -> str:
    """Say in words what came of it."""
    lines = []
    if results is not None:
        lines.append(f'<p class="verdict">{against_baseline(results)}</p>')
        if results.split == "train":
            lines.append(
                "<p>No rows were held out: how well it does on rows that it has not seen is not "
                "known. <code>data.split</code> in the spec holds some out.</p>"
            )
    lines.append(f'<p class="quiet">{_ending(record)}</p>')
    return "\n".join(lines)


ENDINGS = {
    "epochs": "It trained to the end, epoch {epochs}.",
    "early_stopping": "It stopped early, after epoch {epochs}: it no longer improved.",
    "interrupted": "It was stopped after epoch {epochs}.",
    "diverged": "It diverged after epoch {epochs}: the loss was no longer finite.",
    "failed": "It failed after epoch {epochs}.",
}


def _ending(record: RunRecord) -> str:
    stopped = record.summary.get("stopped")
    if isinstance(stopped, str) and stopped in ENDINGS:
        text = ENDINGS[stopped].format(epochs=figure(record.summary.get("epochs", "?")))
        if record.best_epoch is not None:
            chosen = any(name.startswith("val_") for name in record.history.names)
            which = ", the best on the validation part" if chosen else ""
            text += f" The weights are those of epoch {record.best_epoch}{which}."
        return text
    return f"It has not ended: {len(record.history):,} epochs are done so far."


def _tiles(record: RunRecord) -> str:
    summary = record.summary
    tiles = [
        (f"{record.split} {name.replace('_', ' ')}", value)
        for name, value in list(record.split_metrics.items())[:4]
    ]
    if record.best_epoch is not None:
        tiles.append(("best epoch", f"{record.best_epoch} of {len(record.history)}"))
    if "parameters" in summary:
        tiles.append(("parameters", summary["parameters"]))
    if isinstance(summary.get("seconds"), int | float):
        tiles.append(("time", duration(summary["seconds"])))
    body = "\n".join(f"<div><dt>{escape(n)}</dt><dd>{figure(v)}</dd></div>" for n, v in tiles)
    return f'<dl class="tiles">\n{body}\n</dl>' if tiles else ""


def _over_folds(record: RunRecord) -> str:
    """Say what the folds came to together."""
    summary = record.summary
    mean, spread = _mapping(summary.get("mean")), _mapping(summary.get("std"))
    told = [
        f"{escape(name.replace('_', ' '))} {figure(value)}"
        + (f" ± {figure(spread[name])}" if spread.get(name) is not None else "")
        for name, value in mean.items()
    ]
    done, count = figure(summary.get("done", 0)), figure(summary.get("folds", "?"))
    if not told:
        return "No fold is done yet."
    held_out = "the rows that it held out"
    return f"In {done} of {count} folds, each measured on {held_out}: {', '.join(told)}."


def _folds(record: RunRecord, folds: Sequence[RunRecord]) -> str:
    """Return the figures of each fold, their mean, and the ways to the folds' own pages."""
    summary = record.summary
    mean, spread = _mapping(summary.get("mean")), _mapping(summary.get("std"))
    names = list(mean)
    rows = [
        [fold.name, *(fold.split_metrics.get(name, "") for name in names), fold.best_epoch or ""]
        for fold in folds
    ]
    rows.append(["mean", *(mean[name] for name in names), ""])
    rows.append(["standard deviation", *(spread.get(name) or "" for name in names), ""])
    head = ["", *(name.replace("_", " ") for name in names), "best epoch"]
    pages = ", ".join(
        f'<a href="{escape(quote(fold.name))}/report.html">{escape(fold.name)}</a>'
        for fold in folds
    )
    return (
        f"{table(head, rows, 'figures of each fold')}\n<p>Each has a page of its own: {pages}.</p>"
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _measured(record: RunRecord) -> str:
    """Return the figures of every part, and of a constant guess."""
    summary = record.summary
    parts = {p: summary[p] for p in ROWS if isinstance(summary.get(p), Mapping)}
    names = list(dict.fromkeys(name for figures in parts.values() for name in figures))
    if not names:
        return ""
    rows = [[part, *(figures.get(name, "") for name in names)] for part, figures in parts.items()]
    baseline = summary.get("baseline")
    if isinstance(baseline, Mapping) and baseline:
        rows.append(["a constant guess", *(baseline.get(name, "") for name in names)])
    return table(["", *(name.replace("_", " ") for name in names)], rows, "figures of each part")


def _spec(record: RunRecord) -> str:
    text = record.spec
    if len(text) > SPEC:
        text = f"{text[:SPEC]}\n… {len(text) - SPEC:,} more characters are in spec.json"
    parts = [f"<pre><code>{escape(text)}</code></pre>"] if text else []
    overrides = record.environment.get("overrides")
    if isinstance(overrides, list) and overrides:
        said = "".join(f"<li><code>--set {escape(text)}</code></li>" for text in overrides)
        parts.append(f"<p>Changed by:</p><ul>{said}</ul>")
    if record.resolved:
        every = json.dumps(record.resolved, indent=2, ensure_ascii=False)
        if len(every) <= SPEC:
            parts.append(
                "<details><summary>With every default (resolved.json)</summary>"
                f"<pre><code>{escape(every)}</code></pre></details>"
            )
        parts.append(
            '<p class="quiet">In the folder of this page, <code>nnreg run resolved.json</code> '
            "trains to the same bits again, on the same machine with the same versions.</p>"
        )
    return "\n".join(parts)


ENVIRONMENT_LABELS = {
    "started": "started",
    "python": "Python",
    "platform": "platform",
    "processor": "processor",
    "threads": "threads",
    "kernels": "kernels",
}


def _environment(record: RunRecord) -> str:
    environment = record.environment
    rows = [
        [name, environment[key]] for key, name in ENVIRONMENT_LABELS.items() if key in environment
    ]
    command = environment.get("command")
    if isinstance(command, list):
        rows.insert(0, ["command", " ".join(map(str, command))])
    for library in _mappings(environment.get("blas")):
        rows += [["matrix products", " ".join(str(value) for value in library.values())]]
    git = environment.get("git")
    if isinstance(git, Mapping):
        dirty = ", with changes that are not in it" if git.get("dirty") else ""
        rows.append(["commit", f"{git.get('commit')}{dirty}"])
    versions = environment.get("distributions")
    if isinstance(versions, Mapping):
        rows.append(["versions", ", ".join(f"{n} {v}" for n, v in list(versions.items())[:100])])
    data = environment.get("data")
    if isinstance(data, Mapping):
        rows += [[f"SHA-256 of {Path(str(path)).name}", d] for path, d in list(data.items())[:20]]
    earlier = list(_mappings(environment.get("earlier")))
    rows += [["begun before, at", one.get("started", "")] for one in earlier[-EARLIER:]]
    lines = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="long">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="pairs"><tbody>\n{lines}\n</tbody></table>' if rows else ""


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()
