"""Rows with which an export is checked: values as in training, missing and unknown ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.window_table import WindowTable
from nnreg.exporters.record_inputs import name_ahead, relative_of
from nnreg.interfaces.encoder import RawColumn
from nnreg.interfaces.graph import INPUT
from nnreg.model.model import Model

MISSING = 0.1
"""The fraction of missing values of a column in which they are allowed."""

UNKNOWN = 0.1
"""The fraction of unknown texts of a column in which they are allowed."""


def random_rows(
    preprocessing: Preprocessing, count: int, integers: Collection[str], seed: int = 0
) -> dict[str, Sequence[Any]]:
    """Return that many values for each input column, NaN or None where they are missing.

    `integers` are the names of the inputs of the network that are integers, "" for the only one.
    """
    rng, parts = np.random.default_rng(seed), preprocessing.parts or {"": preprocessing}
    found: dict[str, Sequence[Any]] = {}
    for name, part in parts.items():
        if part.window is not None:
            ahead = name in (preprocessing.window or part.window).known
            for one in part.inputs:
                key = name_ahead(preprocessing, one.name) if ahead else one.name
                if key not in found:
                    found[key] = _windows(one, count, part.window.length, rng, ahead=ahead)
            continue
        lengths = _lengths(part, count, rng)
        total = count if lengths is None else int(lengths.sum())
        for one in part.inputs:
            longest = part.steps.get(INPUT)
            values = _values(one, total, rng, integer=name in integers, longest=longest)
            found[one.name] = values if lengths is None else _split(values, lengths)
    if (window := preprocessing.window) is not None:  # targets may be relative to these
        for name in {*window.targets} - {*found}:
            values = rng.normal(size=count * window.length).tolist()
            found[name] = _split(values, np.full(count, window.length))
    return found


def _windows(
    one: InputColumn, count: int, length: int, rng: np.random.Generator, *, ahead: bool
) -> list[Any]:
    """Return windows; those `ahead` begin with a value, as nnreg knows the rows before them."""
    values = _values(one, count * length, rng, integer=False)
    if ahead and one.fill is not None:
        values = [
            one.fill if at % length == 0 and _is_missing(value) else value
            for at, value in enumerate(values)
        ]
    return _split(values, np.full(count, length))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def window_table(model: Model, columns: Mapping[str, Sequence[Any]]) -> WindowTable:
    """Return windows as nnreg reads them: each in rows of its own, a group."""
    known, window = model.preprocessing, model.raw_rows.columns.windows
    assert known.window is not None  # asked of windows
    assert window is not None
    count, span = len(next(iter(columns.values()))), window.rows_to_predict
    rows: dict[str, list[Any]] = {}
    for name in dict.fromkeys((*known.names, *known.window.targets)):
        before = columns.get(name, [[None] * window.length] * count)
        rows[name] = list(itertools.chain.from_iterable(before))
        if window.known:
            after = columns.get(name_ahead(known, name), [[None] * window.horizon] * count)
            gap = [None] * window.gap
            pairs = zip(before, after, strict=True)
            rows[name] = [value for one, two in pairs for value in (*one, *gap, *two)]
    table = model.raw_rows.table(rows, tuple(rows))
    return WindowTable(
        {}, table.origin, missing_texts=table.missing_texts, rows=table,
        starts=np.arange(count) * span, length=window.length, gap=window.gap,
        horizon=window.horizon, targets=known.window.targets,
        groups=np.repeat(np.arange(count), span), times=np.tile(np.arange(span), count),
        spacing=known.window.spacing, relative=relative_of(model),
    )  # fmt: skip


def _lengths(part: Preprocessing, count: int, rng: np.random.Generator) -> Any:
    """Return the number of steps of each row of an input of sequences; None of another one."""
    longest = None if part.inputs[0].encoder.makes_sequences else part.steps.get(INPUT)
    return None if longest is None else rng.integers(1, longest + 1, count)


def _split(values: Sequence[Any], lengths: Any) -> list[Any]:
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [list(values[start:end]) for start, end in zip(starts, ends, strict=True)]


def _values(
    column: InputColumn,
    count: int,
    rng: np.random.Generator,
    *,
    integer: bool,
    longest: int | None = None,
) -> Sequence[Any]:
    encoder, optional = column.encoder, column.fill is not None or column.indicator
    missing = rng.random(count) < (MISSING if optional else 0)
    if encoder.takes == "text":
        known = list(encoder.example_texts) or ["text"]
        if longest is not None and encoder.makes_sequences:
            made: Any = encoder.encode(RawColumn.of(known, "text"))
            known = [text for text, n in zip(known, made.lengths, strict=True) if n <= longest]
        texts = [known[k] for k in rng.integers(len(known), size=count)]
        if encoder.ignores_unknown:
            texts = [
                "(none of these)" if unknown else text
                for text, unknown in zip(texts, rng.random(count) < UNKNOWN, strict=True)
            ]
        if encoder.infer_takes == "numbers":
            return list(np.where(missing, np.nan, np.array(texts, np.float64)))
        return [None if gone else text for text, gone in zip(texts, missing, strict=True)]
    if encoder.takes == "arrays":
        shape = (count, *encoder.shape)
        arrays = rng.integers(0, 2, shape) if encoder.integer else rng.normal(size=shape)
        return list(arrays)
    numbers = _numbers(column, count, rng)
    numbers = np.floor(numbers) if integer else numbers
    return list(np.where(missing, np.nan, numbers))


def _numbers(column: InputColumn, count: int, rng: np.random.Generator) -> Any:
    summary = column.summary
    if summary is None or not summary.quantiles:
        return rng.normal(size=count)
    at = np.linspace(0, 1, len(summary.quantiles))
    return np.interp(rng.random(count), at, summary.quantiles)
