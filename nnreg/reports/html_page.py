"""The report's page: one file of HTML that needs no other file, no network and no script.

Everything that comes from a spec, from data or from a folder goes through `escape`. Should anything
ever get past it, the page's own policy lets no script run and nothing be fetched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import duration
from nnreg.reports.html import Picture, escape, figure, inline, percent, pictures, table
from nnreg.reports.palette import declarations, themed
from nnreg.reports.png import data_uri
from nnreg.reports.predictions import Results
from nnreg.reports.run_record import RunRecord

ERRORS, CLASSES, COLUMNS, EARLIER, SPEC = 12, 25, 10, 10, 60_000
"""The most errors, classes, input columns, times it was resumed, and characters of a spec that are
shown, so that the page stays small."""

BESIDE = 12
"""The most classes of a confusion matrix that is small enough to have a table at its side."""

ROWS = {"train": "training rows", "validation": "validation rows", "test": "test rows"}


def page(
    record: RunRecord,
    results: Results | None,
    network: str,
    training: Sequence[Picture],
    answers: Sequence[Picture],
    notes: Sequence[str],
) -> str:
    """Return the page. `network` is the SVG of it; `notes` say what is missing and why."""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        _verdict(record, results),
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _tiles(record),
        _section("How it trained", pictures(training)),
        _section("What it gets right and wrong", _answers(results, answers)),
        _section("Every part of the data", _measured(record)),
        _section("The network", f'<div class="network">{inline(network)}</div>' if network else ""),
        _section("The spec", _spec(record)),
        _section("Where and how it ran", _environment(record)),
    ]
    return _whole(record, parts)


def page_of_folds(
    record: RunRecord, folds: Sequence[RunRecord], training: Sequence[Picture], notes: Sequence[str]
) -> str:
    """Return the page of a cross-validation, which leads to those of its folds."""
    parts = [
        f"<h1>{escape(record.name)}</h1>",
        f'<p class="verdict">{_over_folds(record)}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _section("Each fold", _folds(record, folds)),
        _section("How they trained", pictures(training)),
        _section("The spec", _spec(record)),
        _section("Where and how it ran", _environment(record)),
    ]
    return _whole(record, parts)


def _whole(record: RunRecord, parts: Iterable[str]) -> str:
    """Put a page together."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Template(themed(template)).substitute(
        title=escape(f"{record.name}: report"),
        light=declarations(),
        dark=declarations(dark=True),
        body="\n".join(part for part in parts if part),
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def _verdict(record: RunRecord, results: Results | None) -> str:
    """Say in words what came of it."""
    lines = []
    if results is not None:
        lines.append(f'<p class="verdict">{against_guess(results)}</p>')
        if results.part == "train":
            lines.append(
                "<p>No rows were held out: how well it does on rows that it has not seen is not "
                "known. <code>data.split</code> in the spec holds some out.</p>"
            )
    lines.append(f'<p class="quiet">{_ending(record)}</p>')
    return "\n".join(lines)


def against_guess(results: Results) -> str:
    """Say how good the answers are beside a constant guess, as HTML."""
    if results.classes is not None:
        return _classes_against_guess(results)
    errors = np.mean(np.abs(results.answers - results.truth), axis=0)
    guessed = np.mean(np.abs(results.guess - results.truth), axis=0)
    rows = f"On {len(results.truth):,} {ROWS[results.part]}"
    name, several = escape(results.guess_name), len(results.targets)
    if not guessed.any():
        off = figure(float(np.mean(errors)))
        return f"{rows} it is off by {off} on average; the answer is the same in all of them."
    share = float(np.mean(errors / np.where(guessed > 0, guessed, 1)))
    if several == 1:
        text = (
            f"{rows} it is off by {figure(float(errors[0]))} on average; always answering {name} "
            f"is off by {figure(float(guessed[0]))}"
        )
    else:
        text = (
            f"{rows} it is off by {figure(share)} times as much as always answering {name}, over "
            f"{several} targets"
        )
    return f"{text}: {_judged(better=share < 0.95, worse=share >= 1)}."


def _classes_against_guess(results: Results) -> str:
    """Say how many are right. That is better where chance does not explain it."""
    right, count = int(np.sum(results.truth == results.answers)), len(results.truth)
    guessed = float(np.mean(results.truth == results.guess))
    text = (
        f"It is right for {right:,} of {count:,} {ROWS[results.part]}, {percent(right / count)}; "
        f"always answering <em>{escape(results.guess_name)}</em> is right for {percent(guessed)}"
    )
    if results.part == "train":
        return f"{text}: {_judged(better=right / count > guessed, worse=right / count <= guessed)}."
    low, high = interval(right, count)
    return (
        f"{text}: {_judged(better=low > guessed, worse=high <= guessed)}. With so many rows, its "
        f"true share lies between {percent(low)} and {percent(high)} (95 % interval)."
    )


def _judged(*, better: bool, worse: bool) -> str:
    if better:
        return '<span class="good">better than guessing</span>'
    said = "no better than guessing" if worse else "not clearly better than guessing"
    return f'<span class="bad">{said}</span>'


def interval(right: int, count: int) -> tuple[float, float]:
    """Return where a share lies with 95 % certainty. Wilson 1927."""
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


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
        (f"{record.part} {name.replace('_', ' ')}", value)
        for name, value in list(record.measured.items())[:4]
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
        [fold.name, *(fold.measured.get(name, "") for name in names), fold.best_epoch or ""]
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


def _answers(results: Results | None, plots: Sequence[Picture]) -> str:
    if results is None:
        return ""
    rows = ROWS[results.part]
    drawn = pictures(plots)
    if results.classes is not None:
        classes = _classes(results.confusion, results.classes)
        beside = ' class="beside"' if len(results.classes) <= BESIDE else ""
        drawn = f"<div{beside}>\n<div>{drawn}</div>\n<div>{classes}</div>\n</div>"
    intro = f'<p class="quiet">Of the {len(results.truth):,} {rows}.</p>'
    return "\n".join([intro, drawn, _errors(results)])


def _classes(confusion: Array, classes: Sequence[str]) -> str:
    right, true, answered = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right / np.maximum(true, 1)
    precision = right / np.maximum(answered, 1)
    wrong = confusion - np.diag(right)
    order = range(len(classes))
    note = ""
    if len(classes) > CLASSES:
        order = np.argsort(recall, kind="stable")[:CLASSES].tolist()
        note = f'<p class="quiet">The {CLASSES} of {len(classes):,} that are found least.</p>'
    rows = [
        [
            classes[i],
            int(true[i]),
            percent(precision[i]) if answered[i] else "never answered",
            percent(recall[i]) if true[i] else "no rows",
            f"{classes[int(wrong[i].argmax())]} ({wrong[i].max():,})" if wrong[i].any() else "",
        ]
        for i in order
    ]
    head = ["class", "rows", "precision", "recall", "most often taken for"]
    explained = (
        '<p class="quiet">Precision: of the rows answered so, how many are. Recall: of the rows '
        "that are, how many are answered so.</p>"
    )
    return f"{note}{table(head, rows, 'figures of each class')}\n{explained}"


def _errors(results: Results) -> str:
    """Show the errors that the network was surest of, with what it was given."""
    places = results.worst(ERRORS).tolist()
    numbers = results.classes is None
    title = "The largest errors" if numbers else "The errors it was surest of"
    if not places:
        return f"<h3>{title}</h3>\n<p>There are none.</p>"
    inputs = [results.input(place) for place in places]
    if isinstance(inputs[0], np.ndarray):
        body = _images(results, places, inputs)
    else:
        body = _rows(results, places, inputs)
    return f"<h3>{title}</h3>\n{body}"


def _said(results: Results, place: int) -> dict[str, Any]:
    """Return where an error is, what is true, what was answered, and how sure or how far off."""
    found: dict[str, Any] = {"where": results.where(place)}
    if results.classes is not None:
        found["true"] = results.classes[results.truth[place]]
        found["answered"] = results.classes[results.answers[place]]
        sure = float(results.sureness[place]) if results.sureness is not None else math.nan
        likely = 0 <= sure <= 1
        return found | ({"probability": percent(sure)} if likely else {"score": sure})
    worst = int(np.argmax(np.abs(results.answers[place] - results.truth[place])))
    if len(results.targets) > 1:
        found["target"] = results.targets[worst]
    true, answer = float(results.truth[place, worst]), float(results.answers[place, worst])
    return found | {"true": true, "predicted": answer, "off by": answer - true}


def _rows(results: Results, places: Sequence[int], inputs: Sequence[Any]) -> str:
    said = [_said(results, place) for place in places]
    names = list(inputs[0] or {})
    shown = names[:COLUMNS]
    rows = [
        [*one.values(), *((row or {}).get(name, "") for name in shown)]
        for one, row in zip(said, inputs, strict=True)
    ]
    note = ""
    if len(names) > len(shown):
        note = f'<p class="quiet">The first {len(shown)} of {len(names):,} inputs.</p>'
    return f"{note}{table([*said[0], *shown], rows, 'errors')}"


def _images(results: Results, places: Sequence[int], images: Sequence[Any]) -> str:
    items = []
    for place, image in zip(places, images, strict=True):
        said = {name: figure(value) for name, value in _said(results, place).items()}
        alt = ", ".join(f"{name} {value}" for name, value in said.items())
        text = "<br>".join(f"{name} <b>{value}</b>" for name, value in said.items())
        text = text.replace("where ", "", 1)
        items.append(f'<li><img src="{data_uri(image)}" alt="input: {alt}">{text}</li>')
    return f'<ul class="images">\n{"".join(items)}\n</ul>'


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


PLAIN = {
    "started": "started",
    "python": "Python",
    "platform": "platform",
    "processor": "processor",
    "threads": "threads",
    "kernels": "kernels",
}


def _environment(record: RunRecord) -> str:
    environment = record.environment
    rows = [[name, environment[key]] for key, name in PLAIN.items() if key in environment]
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
