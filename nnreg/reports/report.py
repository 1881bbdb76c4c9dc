"""`nnreg report`: the charts and the page in a run's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnreg._utils.atomic_files import replace_text
from nnreg._utils.os_errors import os_errors_as
from nnreg.checkpoint.paths import fold_folders
from nnreg.checkpoint.save_load import load
from nnreg.errors import NnregError, UsageError
from nnreg.model.model import Model
from nnreg.plotting.svg import Drawing
from nnreg.registry.registry import Registry
from nnreg.reports.figures import of_answers, of_runs, of_training
from nnreg.reports.html_page import page, page_of_folds
from nnreg.reports.network_diagram import diagram
from nnreg.reports.predictions import results_of
from nnreg.reports.run_record import read_run, read_whole
from nnreg.runs.prepare import Assembled, assemble, reassemble

PAGE = "report.html"


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
    Where plugins or data are missing, the page is written without what needs them, and says so. A
    cross-validation has a page, and each of its folds. Raises `UsageError` where
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
    training = dict(of_training(record))
    answers = {} if results is None else dict(of_answers(results))
    network = {} if assembled is None else {"network": diagram(assembled.model)}
    body = page(record, results, network.get("network"), [*training.values()],
                [*answers.values()], notes)  # fmt: skip
    return _write(record.path, body, training | answers | network)


def _with(model: Model, data: tuple[Any, Any] | None) -> Assembled:
    """Return a trained model with the data that it was trained on."""
    if data is None:
        return reassemble(model)
    return replace(assemble(model.document, data), model=model)


def report_folds(run: str | os.PathLike[str]) -> Path:
    """Write the page of a cross-validation as a whole, and return its path; see `report`."""
    folder = Path(run)
    folds = [read_run(fold) for fold in fold_folders(folder)]
    drawn = dict(of_runs(folds))
    body = page_of_folds(read_whole(folder, folds), folds, [*drawn.values()])
    return _write(folder, body, drawn)


def _write(folder: Path, body: str, drawn: Mapping[str, Drawing]) -> Path:
    with os_errors_as(UsageError, folder):
        (folder / "plots").mkdir(exist_ok=True)
        for name, drawing in drawn.items():
            replace_text(folder / "plots" / f"{name}.svg", drawing.file())
        replace_text(folder / PAGE, body)
    return folder / PAGE
