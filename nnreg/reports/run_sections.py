"""Sections of a report that need no network: outcome, tiles, metrics, spec and environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnreg._utils import json_text
from nnreg._utils.formatting import duration
from nnreg.plotting.html import escape, format_value, table
from nnreg.provenance.environment import dependence_on_threads
from nnreg.reports.evaluation import SPLIT_ROWS
from nnreg.reports.run_record import RunRecord

MAX_EARLIER_STARTS = 10
MAX_SPEC_CHARACTERS = 60_000
MAX_VERSIONS = 100
MAX_DATA_FILES = 20
MAX_TILE_METRICS = 4

OUTCOMES = {
    "epochs": "Training completed all {epochs} epochs.",
    "early_stopping": "Training stopped early after epoch {epochs}: no further improvement.",
    "by_plugin": "Training was stopped after epoch {epochs} by the plugin {plugin}: {reason}.",
    "interrupted": "Training was interrupted after epoch {epochs}.",
    "diverged": "Training diverged after epoch {epochs}: the loss was no longer finite.",
    "failed": "Training failed after epoch {epochs}.",
}
"""A sentence for each `stopped` in summary.json."""


def outcome(record: RunRecord) -> str:
    """Return how the training ended, and which epoch's weights were kept."""
    stopped = record.summary.get("stopped")
    if not isinstance(stopped, str) or stopped not in OUTCOMES:
        return f"Training has not finished: {len(record.history):,} epochs so far."
    epochs, plugin, reason = (
        format_value(record.summary.get(key, "?")) for key in ("epochs", "stopped_by", "reason")
    )
    text = OUTCOMES[stopped].format(epochs=epochs, plugin=plugin, reason=reason)
    if record.best_epoch is None:
        return text
    validated = any(name.startswith("val_") for name in record.history.names)
    which = ", the best on the validation split" if validated else ""
    return f"{text} The weights are those of epoch {record.best_epoch}{which}."


def tiles(record: RunRecord) -> str:
    """Return the most important values of a run as tiles."""
    summary = record.summary
    values = [
        (f"{record.split} {name.replace('_', ' ')}", value)
        for name, value in list(record.split_metrics.items())[:MAX_TILE_METRICS]
    ]
    if record.best_epoch is not None:
        values.append(("best epoch", f"{record.best_epoch} of {len(record.history)}"))
    if "parameters" in summary:
        values.append(("parameters", summary["parameters"]))
    if isinstance(summary.get("seconds"), int | float):
        values.append(("training time", duration(summary["seconds"])))
    body = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{format_value(value)}</dd></div>"
        for name, value in values
    )
    return f'<dl class="tiles">\n{body}\n</dl>' if values else ""


def metrics_by_split(record: RunRecord) -> str:
    """Return the table of the metrics of each split and of the baseline."""
    summary = record.summary
    splits = {s: summary[s] for s in SPLIT_ROWS if isinstance(summary.get(s), Mapping)}
    names = list(dict.fromkeys(name for metrics in splits.values() for name in metrics))
    if not names:
        return ""
    baseline = summary.get("baseline")
    if isinstance(baseline, Mapping) and baseline:
        splits["baseline"] = baseline
    rows = [[s, *(metrics.get(name, "") for name in names)] for s, metrics in splits.items()]
    head = ["", *(name.replace("_", " ") for name in names)]
    return table(head, rows, "metrics by split")


def spec(record: RunRecord) -> str:
    """Return the spec as it was given, its overrides, and the spec with all defaults."""
    text = record.spec
    if len(text) > MAX_SPEC_CHARACTERS:
        rest = len(text) - MAX_SPEC_CHARACTERS
        text = f"{text[:MAX_SPEC_CHARACTERS]}\n… {rest:,} more characters are in spec.json"
    parts = [f"<pre><code>{escape(text)}</code></pre>"] if text else []
    overrides = record.environment.get("overrides")
    if isinstance(overrides, list) and overrides:
        items = "".join(f"<li><code>--set {escape(text)}</code></li>" for text in overrides)
        parts.append(f"<p>Overrides:</p><ul>{items}</ul>")
    if record.resolved:
        resolved = json_text.dumps(record.resolved, indent=2, ensure_ascii=False)
        if len(resolved) <= MAX_SPEC_CHARACTERS:
            parts.append(
                "<details><summary>With all defaults (resolved.json)</summary>"
                f"<pre><code>{escape(resolved)}</code></pre></details>"
            )
        parts.append(
            '<p class="quiet">To reproduce this run bit-identically on the same type of processor, '
            "with the same versions, run <code>nnreg run resolved.json</code> in the directory of "
            "this page.</p>"
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


def environment(record: RunRecord) -> str:
    """Return the table of the command, machine, versions and data files of a run."""
    rows = list(_environment_rows(record.environment))
    lines = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="long">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="pairs"><tbody>\n{lines}\n</tbody></table>' if rows else ""


def _environment_rows(recorded: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield the rows of the environment table; values of an unexpected type are skipped."""
    command = recorded.get("command")
    if isinstance(command, list):
        yield "command", " ".join(map(str, command))
    for key, name in ENVIRONMENT_LABELS.items():
        if key in recorded:
            yield name, recorded[key]
    if text := dependence_on_threads(recorded):
        yield "results", text
    for library in _mappings(recorded.get("blas")):
        yield "BLAS", " ".join(str(value) for value in library.values())
    git = recorded.get("git")
    if isinstance(git, Mapping):
        # earlier versions recorded whether files differed from the commit
        dirty = ", with uncommitted changes" if git.get("dirty") else ""
        yield "commit", f"{git.get('commit')}{dirty}"
    versions = recorded.get("distributions")
    if isinstance(versions, Mapping):
        yield "versions", ", ".join(f"{n} {v}" for n, v in list(versions.items())[:MAX_VERSIONS])
    data = recorded.get("data")
    if isinstance(data, Mapping):
        for path, digest in list(data.items())[:MAX_DATA_FILES]:
            yield f"SHA-256 of {Path(str(path)).name}", digest
    for earlier in list(_mappings(recorded.get("earlier")))[-MAX_EARLIER_STARTS:]:
        yield "started earlier", earlier.get("started", "")


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()
