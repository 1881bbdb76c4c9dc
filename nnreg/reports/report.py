"""`nnreg report`: the page and the plots in a run directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnreg._utils.os_errors import os_errors_as
from nnreg.checkpoint.paths import fold_directories
from nnreg.checkpoint.save_load import load
from nnreg.errors import NnregError, UsageError
from nnreg.model.model import Model
from nnreg.plotting.svg import Drawing
from nnreg.registry.registry import Registry, installed
from nnreg.reports.figures import metric_drawings, prediction_drawings, training_drawings
from nnreg.reports.html_page import cross_validation_page, run_page
from nnreg.reports.live_model import live_model
from nnreg.reports.network_diagram import diagram
from nnreg.reports.plugin_sections import plugin_sections, view_of
from nnreg.reports.predictions import predict_held_out
from nnreg.reports.run_record import read_run, read_whole
from nnreg.reports.understanding import calibration_section, importance_section
from nnreg.runs.directory import make_plots, write_inside
from nnreg.runs.prepare import PreparedRun, prepare_from_checkpoint, prepare_from_spec

PAGE = "report.html"


def report(
    run: str | os.PathLike[str],
    *,
    data: tuple[Any, Any] | None = None,
    registry: Registry | None = None,
    allow_changed: bool = False,
    prepared: PreparedRun | None = None,
) -> Path:
    """Write `report.html` and `plots/` in a run directory, and return the path of the page.

    The best weights so far are evaluated on the held-out rows. Both are read from files unless
    `prepared` has them; `data=(x, y)` is the data of a run that was trained on arrays. If plugins
    or data are missing, the sections that need them are omitted, with a note on the page. A
    cross-validation gets a page, and so does each of its folds. The page of a run has the sections
    of plugins too. Raises `UsageError` if the
    directory has no run or cannot be written to.
    """
    if folds := fold_directories(Path(run)):
        for fold in folds:
            report(fold, data=data, registry=registry, allow_changed=allow_changed)
        return report_folds(run)
    record, notes = read_run(run), []
    if prepared is None:
        try:
            loaded = load(run, registry=registry, allow_changed=allow_changed)
            prepared = _with(loaded, data)
        except NnregError as error:
            notes.append(f"Sections that need the network and its data are omitted: {error}")
    results = {} if prepared is None else predict_held_out(prepared)
    training = dict(training_drawings(record))
    predictions = [
        (one, dict(prediction_drawings(one, f"output-{index}-" if one.output else "")))
        for index, one in enumerate(results.values())
    ]
    model = None if prepared is None else prepared.model
    network = {} if model is None else {"network": diagram(model)}
    if model is not None:
        registry = model.document.registry
    view = view_of(record, model, results)
    drawings = {name: one for _, drawn in predictions for name, one in drawn.items()}
    about = []
    if prepared is not None:
        about = [calibration_section(prepared, results), importance_section(prepared)]
    for one in about:
        drawings.update(one.drawings)
    pairs = [(one, [*drawn.values()]) for one, drawn in predictions]
    body = run_page(record, pairs, network.get("network"), [*training.values()],
                    plugin_sections(view, registry or installed()), notes,
                    [one.html for one in about],
                    None if model is None else live_model(model))  # fmt: skip
    return _write(record.path, body, training | drawings | network)


def _with(model: Model, data: tuple[Any, Any] | None) -> PreparedRun:
    """Return a trained model with the data that it was trained on."""
    if data is None:
        return prepare_from_checkpoint(model)
    return replace(prepare_from_spec(model.document, data), model=model)


def report_folds(run: str | os.PathLike[str]) -> Path:
    """Write the summary page of a cross-validation, and return its path; see `report`."""
    directory = Path(run)
    folds = [read_run(fold) for fold in fold_directories(directory)]
    drawn = dict(metric_drawings(folds))
    body = cross_validation_page(read_whole(directory, folds), folds, [*drawn.values()])
    return _write(directory, body, drawn)


def _write(directory: Path, body: str, drawn: Mapping[str, Drawing]) -> Path:
    with os_errors_as(UsageError, directory):
        plots = make_plots(directory)
        for name, drawing in drawn.items():
            write_inside(plots / f"{name}.svg", drawing.file(), sync=False)
        write_inside(directory / PAGE, body, sync=False)
    return directory / PAGE
