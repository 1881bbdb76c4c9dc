"""Forecasts of the steps after the last rows of a time series, as columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.data.fitting import date_form
from nnreg.data.settings import Columns
from nnreg.data.targets import NumericTarget
from nnreg.data.window_table import WindowTable
from nnreg.errors import UsageError
from nnreg.model.outputs import Output
from nnreg.tables.columns import categorical
from nnreg.tables.date_forms import DAY, Form, written

_ZONE = re.compile(r"(?<=\d)(Z|UTC|GMT|[-+]\d\d(:?\d\d)?)$")


def forecast_columns(
    table: WindowTable, found: Iterable[tuple[Output, Array, Any]], columns: Columns
) -> dict[str, Array]:
    """Return the columns of a forecast from each output and its values for the last windows."""
    window = columns.windows
    assert window is not None  # the model has windows
    forecast: dict[str, Array] = {}
    if window.group is not None:
        groups = categorical(table.rows, window.group).text()[table.last_inputs]
        forecast[window.group] = np.repeat(groups, table.horizon)
    steps = np.arange(1, table.horizon + 1)
    if window.order is not None and table.spacing is not None:
        times = table.spacing.after(table.times[table.last_inputs], steps + table.gap)
        form = date_form(window.order, columns)
        forecast[window.order] = _as_written(times, table, window.order, form or Form())
    forecast["step"] = np.tile(steps, len(table))
    for output, y, _ in found:
        for name, values in _columns_of(output, y, table).items():
            if name in forecast:
                raise UsageError(f"two columns of the forecast are called {name}; rename one")
            forecast[name] = values
    return forecast


def _columns_of(output: Output, y: Array, table: WindowTable) -> dict[str, Array]:
    """Return the columns of an output, with a row for each window and step."""
    prefix = f"_{output.name}" if output.name else ""
    if output.predicts_classes and output.classes is not None:
        each = zip(output.classes, output.probabilities(y).T, strict=True)
        chosen = {f"prediction{prefix}": output.classify(y)}
        return chosen | {f"probability{prefix}_{name}": values for name, values in each}
    targets = _own_targets(output, table)
    values = y.reshape(len(y), -1)
    width = table.horizon * max(len(targets), 1)
    loss = output.spec.loss
    if loss is None or not targets or values.shape[1] % width:
        raise UsageError("an output of the model does not predict the next steps; use predict")
    blocks = values.reshape(len(y), -1, table.horizon, len(targets))
    by_step = np.moveaxis(blocks, 2, 1).reshape(len(y) * table.horizon, -1)
    names = list(loss.output_names(targets))
    if len(names) != by_step.shape[1]:
        names = [str(number) for number in range(by_step.shape[1])]
    if len(names) == 1:
        return {f"prediction{prefix}": by_step[:, 0]}
    return {f"prediction{prefix}_{n}": one for n, one in zip(names, by_step.T, strict=True)}


def _own_targets(output: Output, table: WindowTable) -> list[str]:
    """Return the columns of the rows that an output predicts."""
    if not isinstance(output.target, NumericTarget):
        return []
    return list(dict.fromkeys(table.place_of(name)[1] for name in output.target.names))


def _as_written(times: Array, table: WindowTable, name: str, form: Form) -> Array:
    """Return times `(windows, steps)` as numbers, or as text of the form of the last one's."""
    if times.dtype.kind != "i":
        whole = bool(np.all(times == np.round(times)))
        return times.astype(np.int64).ravel() if whole else times.ravel()
    if form != Form():
        return np.array([written(time, form) for time in times.ravel().tolist()], object)
    last = str(categorical(table.rows, name).text()[int(table.last_inputs[-1])])
    text = np.datetime_as_string(times.ravel().astype("datetime64[us]")).astype(object)
    dates = bool(np.all(times % DAY == 0)) and len(last) <= len("2024-01-01")
    cut = len(last) if dates and re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", last) else 10
    zone = "Z" if not dates and _ZONE.search(last) else ""
    found = [one[:cut] if dates else one[:19] + zone for one in text]
    return np.array([one.replace("T", " ") if last[10:11] == " " else one for one in found], object)
