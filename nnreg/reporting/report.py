"""`nnreg report`: the pictures and the page in a run's folder."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from nnreg.assembly import Assembled, reassemble
from nnreg.errors import NnregError, NnregWarning, UsageError
from nnreg.files import replace_text
from nnreg.registry import Registry
from nnreg.reporting.diagram import diagram
from nnreg.reporting.page import Picture, page
from nnreg.reporting.record import RunRecord, read_run
from nnreg.reporting.results import Results, results_of
from nnreg.saving import load

PAGE = "report.html"

MOST_METRICS, MOST_TARGETS, MOST_CLASSES = 8, 4, 200
"""The most metrics and targets that are drawn, and the most classes of a confusion matrix."""

INSTALL = "pip install matplotlib (or nnreg's extra 'plot')"


def report(
    run: str | os.PathLike[str],
    *,
    registry: Registry | None = None,
    allow_changed: bool = False,
    assembled: Assembled | None = None,
) -> Path:
    """Write `report.html` and `plots/` in a run's folder, and return the path of the page.

    The best weights so far are tried on the rows that were held out, which are read again unless
    `assembled` has both. Where plugins or data are missing, or matplotlib, the page is written
    without what needs them, and says so. Raises `UsageError` where there is no run, or the folder
    cannot be written to.
    """
    record, notes = read_run(run), []
    if assembled is None:
        try:
            model = load(run, registry=registry, allow_changed=allow_changed)
            assembled = reassemble(model)
        except NnregError as error:
            notes.append(f"What needs the network and its data is left out: {error}")
    results = None if assembled is None else results_of(assembled)
    network = "" if assembled is None else diagram(assembled.model)
    if importlib.util.find_spec("matplotlib") is None:
        training: dict[str, Picture] = {}
        answers: dict[str, Picture] = {}
        text = f"curves and other plots are left out: matplotlib is missing; {INSTALL}"
        notes.append(f"The {text}, then: nnreg report {record.path}")
        warnings.warn(f"the report's {text}", NnregWarning, stacklevel=2)
    else:
        training = dict(_of_training(record))
        answers = {} if results is None else dict(_of_answers(results))
    body = page(record, results, network, list(training.values()), list(answers.values()), notes)
    plots = {name: picture.svg for name, picture in (training | answers).items()}
    try:
        _write(record.path, body, {**plots, **({"network": network} if network else {})})
    except OSError as error:
        raise UsageError(f"{record.path}: cannot write: {error.strerror or error}") from error
    return record.path / PAGE


def _write(folder: Path, body: str, plots: Mapping[str, str]) -> None:
    (folder / "plots").mkdir(exist_ok=True)
    for name, svg in plots.items():
        replace_text(folder / "plots" / f"{name}.svg", svg)
    replace_text(folder / PAGE, body)


def _of_training(record: RunRecord) -> Iterator[tuple[str, Picture]]:
    """Draw what happened by epoch."""
    from nnreg.reporting import figures

    runs, best = {record.name: record.history}, {record.name: record.best_epoch}
    if not len(record.history):
        return
    for name in figures.measured([record.history])[: MOST_METRICS + 1]:
        marked = {} if name == "learning_rate" else best
        words = name.replace("_", " ").capitalize()
        svg = figures.svg(figures.curves(runs, name, marked))
        yield name, Picture(svg, f"{words} by epoch")
    if record.gradients:
        svg = figures.svg(figures.gradient_norms(record.gradients))
        caption = "Length of each layer's last gradient in an epoch; blue is nearer to the output"
        yield "gradients", Picture(svg, caption)


def _of_answers(results: Results) -> Iterator[tuple[str, Picture]]:
    """Draw answers beside the truth."""
    from nnreg.reporting import figures

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
