"""Rows with which an export is checked: values as in training, missing and unknown ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.interfaces.graph import INPUT

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
        lengths = _lengths(part, count, rng)
        total = count if lengths is None else int(lengths.sum())
        for one in part.inputs:
            values = _values(one, total, rng, integer=name in integers)
            found[one.name] = values if lengths is None else _split(values, lengths)
    return found


def _lengths(part: Preprocessing, count: int, rng: np.random.Generator) -> Any:
    """Return the number of steps of each row of an input of sequences; None of another one."""
    longest = part.steps.get(INPUT)
    return None if longest is None else rng.integers(1, longest + 1, count)


def _split(values: Sequence[Any], lengths: Any) -> list[Any]:
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [list(values[start:end]) for start, end in zip(starts, ends, strict=True)]


def _values(
    column: InputColumn, count: int, rng: np.random.Generator, *, integer: bool
) -> Sequence[Any]:
    encoder, optional = column.encoder, column.fill is not None or column.indicator
    missing = rng.random(count) < (MISSING if optional else 0)
    if encoder.takes == "text":
        known = list(encoder.known_texts) or ["text"]
        texts = [known[k] for k in rng.integers(len(known), size=count)]
        if encoder.ignores_unknown:
            texts = [
                "(none of these)" if unknown else text
                for text, unknown in zip(texts, rng.random(count) < UNKNOWN, strict=True)
            ]
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
