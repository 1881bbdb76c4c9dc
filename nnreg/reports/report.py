"""`nnreg report`: the pictures and the page in a run's folder."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import replace_text
from nnreg._utils.os_errors import os_errors_as
from nnreg.checkpoint.paths import fold_folders
from nnreg.checkpoint.save_load import load
from nnreg.errors import NnregError, NnregWarning, UsageError
from nnreg.model.model import Model
from nnreg.registry.registry import Registry
from nnreg.reports.html import Picture
from nnreg.reports.html_page import page, page_of_folds
from nnreg.reports.network_diagram import diagram
from nnreg.reports.predictions import Results, results_of
from nnreg.reports.run_record import RunRecord, read_run, read_whole
from nnreg.runs.prepare import Assembled, assemble, reassemble

PAGE = "report.html"

MOST_METRICS, MOST_TARGETS, MOST_CLASSES = 8, 4, 200
"""The most metrics and targets that are drawn, and the most classes of a confusion matrix."""

INSTALL = "pip install matplotlib (or nnreg's extra 'plot')"


def report(
    run: str | os.PathLike[str],
    *,
    data: tuple[Any, Any] | None = None,
    registry: Registry | None = None,
    allow_changed: bool = False,
    assembled: Assembled | None = None,
) -> Path:
    """Write `report.html` and `plots/` in a run's folder, and return the path of the page.

    The best weights so far are tried on the rows that were held out, which are read again unless
    `assembled` has both; `data=(x, y)` are those of a run that was given them instead of files.
    Where plugins or data are missing, or matplotlib, the page is written without what needs them,
    and says so. A cross-validation has a page, and each of its folds. Raises `UsageError` where
    there is no run, or the folder cannot be written to.
    """
    if folds := fold_folders(Path(run)):
        for fold in folds:
            report(fold, data=data, registry=registry, allow_changed=allow_changed)
        return report_folds(run)
    record, notes = read_run(run), []
    if assembled is None:
        try:
            model = load(run, registry=registry, allow_changed=allow_changed)
            assembled = _with(model, data)
        except NnregError as error:
            notes.append(f"What needs the network and its data is left out: {error}")
    results = None if assembled is None else results_of(assembled)
    network = "" if assembled is None else diagram(assembled.model)
    training: dict[str, Picture] = {}
    answers: dict[str, Picture] = {}
    if _can_draw(record.path, notes):
        training = dict(_of_training(record))
        answers = {} if results is None else dict(_of_answers(results))
    body = page(record, results, network, list(training.values()), list(answers.values()), notes)
    plots = {name: picture.svg for name, picture in (training | answers).items()}
    return _write(record.path, body, {**plots, **({"network": network} if network else {})})


def _with(model: Model, data: tuple[Any, Any] | None) -> Assembled:
    """Return a trained model with the data that it was trained on."""
    if data is None:
        return reassemble(model)
    return replace(assemble(model.document, data), model=model)


def report_folds(run: str | os.PathLike[str]) -> Path:
    """Write the page of a cross-validation as a whole, and return its path; see `report`."""
    folder, notes = Path(run), list[str]()
    folds = [read_run(fold) for fold in fold_folders(folder)]
    drawn = dict(_curves(folds)) if _can_draw(folder, notes) else {}
    body = page_of_folds(read_whole(folder, folds), folds, list(drawn.values()), notes)
    return _write(folder, body, {name: picture.svg for name, picture in drawn.items()})


def _can_draw(folder: Path, notes: list[str]) -> bool:
    """Tell whether there is matplotlib; if not, note it, and warn of it."""
    if importlib.util.find_spec("matplotlib") is not None:
        return True
    text = f"curves and other plots are left out: matplotlib is missing; {INSTALL}"
    notes.append(f"The {text}, then: nnreg report {folder}")
    warnings.warn(f"the report's {text}", NnregWarning, stacklevel=3)
    return False


def _write(folder: Path, body: str, plots: Mapping[str, str]) -> Path:
    with os_errors_as(UsageError, folder):
        (folder / "plots").mkdir(exist_ok=True)
        for name, svg in plots.items():
            replace_text(folder / "plots" / f"{name}.svg", svg)
        replace_text(folder / PAGE, body)
    return folder / PAGE


def _curves(records: Sequence[RunRecord]) -> Iterator[tuple[str, Picture]]:
    """Draw what is measured by epoch, of one run or of several over each other."""
    from nnreg.reports import figures

    runs = {record.name: record.history for record in records if len(record.history)}
    best = {record.name: record.best_epoch for record in records}
    for name in figures.measured(runs.values())[: MOST_METRICS + 1]:
        marked = {} if name == "learning_rate" else best
        svg = figures.svg(figures.curves(runs, name, marked))
        dotted = "; dotted in training" if len(runs) > 1 else ""
        yield name, Picture(svg, f"{name.replace('_', ' ').capitalize()} by epoch{dotted}")


def _of_training(record: RunRecord) -> Iterator[tuple[str, Picture]]:
    """Draw what happened by epoch."""
    from nnreg.reports import figures

    yield from _curves([record])
    if record.gradients:
        svg = figures.svg(figures.gradient_norms(record.gradients))
        caption = "Length of each layer's last gradient in an epoch; blue is nearer to the output"
        yield "gradients", Picture(svg, caption)


def _of_answers(results: Results) -> Iterator[tuple[str, Picture]]:
    """Draw answers beside the truth."""
    from nnreg.reports import figures

    if results.classes is not None:
        if len(results.classes) <= MOST_CLASSES:
            svg = figures.svg(figures.confusion(results.confusion, results.classes))
            caption = "How often each class, down, was answered as each, across"
            yield "confusion", Picture(svg, caption, alone=True)
        return
    shown, count = len(figures.sample(len(results.truth))), len(results.truth)
    of = "" if shown == count else f"; {shown:,} of {count:,} rows are drawn"
    for place, name in enumerate(results.targets[:MOST_TARGETS]):
        truth, answers = results.truth[:, place], results.answers[:, place]
        suffix = f"-{place}" if len(results.targets) > 1 else ""
        drawn = figures.svg(figures.predicted(truth, answers, name))
        caption = f"Predicted against true {name}; on the line they are equal{of}"
        yield f"predicted{suffix}", Picture(drawn, caption)
        drawn = figures.svg(figures.residuals(truth, answers, name))
        caption = f"What is left of {name}; without a pattern, nothing more is to be learned{of}"
        yield f"residuals{suffix}", Picture(drawn, caption)
