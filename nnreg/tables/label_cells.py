"""Cells with several labels: text with a separator, or JSON lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nnreg._types import Array
from nnreg._utils.json_text import dumps
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, categorical_of
from nnreg.tables.cells import number_text, positions
from nnreg.tables.columns import categorical, categories_of, column, first_marked
from nnreg.tables.lazy import materialize
from nnreg.tables.lists import parse_list
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table

NONE = "[]"
"""The text of a cell without labels."""


def as_label_cells(table: Table, name: str, *, fill: bool) -> Categorical:
    """Return a column of labels as text: lists of a program as JSON lists.

    With `fill`, a missing cell has no labels.
    """
    values = column(table, name)
    if isinstance(values, Ragged):
        ends = np.cumsum(values.lengths)[:-1]
        return _of_lists(np.split(_texts(values.steps), ends))
    if values.ndim > 1:
        return _of_lists(_texts(materialize(values)).reshape(len(values), -1))
    cells = categorical(table, name)
    if not fill or not (cells.codes < 0).any():
        return cells
    names = tuple(dict.fromkeys([*cells.categories, NONE]))
    return Categorical(names, np.where(cells.codes < 0, names.index(NONE), cells.codes))


def _texts(values: Array | Categorical) -> Array:
    found = values if isinstance(values, Categorical) else categories_of(values)
    return found.text()


def _of_lists(rows: Sequence[Array] | Array) -> Categorical:
    texts = np.empty(len(rows), object)
    texts[:] = [dumps([one for one in row if one is not None]) for row in rows]
    return categorical_of(texts)


def label_counts(table: Table, name: str, cells: Categorical, separator: str) -> Counter[str]:
    """Return the number of rows that have each label. Raises `DataError` for a wrong list."""
    rows = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.categories))
    found: Counter[str] = Counter()
    for labels, count in zip(_split(table, name, cells, separator), rows.tolist(), strict=True):
        for label in dict.fromkeys(labels) if count else ():
            found[label] += count
    return found


def most_frequent_labels(counts: Counter[str], limit: int | None) -> tuple[str, ...]:
    """Return the most frequent labels, sorted."""
    return tuple(sorted(sorted(counts, key=lambda label: (-counts[label], label))[:limit]))


def label_matrix(
    table: Table,
    name: str,
    cells: Categorical,
    separator: str,
    labels: tuple[str, ...],
    *,
    ignore_unseen: bool,
) -> Array:
    """Return how often each row has each label, and in the last column all others.

    Raises `DataError` with the location of an unknown label that is not ignored.
    """
    split = _split(table, name, cells, separator)
    used, row_of = np.unique(cells.codes, return_inverse=True)
    of_used = [split[code] if code >= 0 else () for code in used.tolist()]
    distinct = tuple(dict.fromkeys(label for found in of_used for label in found))
    place = dict(zip(distinct, positions(distinct, labels), strict=True))
    unknown = [label for label in distinct if place[label] < 0]
    if unknown and not ignore_unseen:
        marked = np.array([any(place.get(one, 0) < 0 for one in found) for found in split], bool)
        where, text = first_marked(table, name, cells, marked)
        first = next(one for one in split[cells.categories.index(text or "")] if place[one] < 0)
        raise DataError(
            f'{where}: unknown label {first!r}{suggest(first, labels)} (or set "unseen" to '
            '"ignore" in data.columns)'
        )
    index = [row for row, found in enumerate(of_used) for _ in found]
    places = [place[label] for found in of_used for label in found]
    counts = np.zeros((len(used), len(labels) + 1))
    np.add.at(counts, (index, places), 1)  # -1 is the last column
    matrix: Array = counts[row_of.reshape(-1)]
    return matrix


def _split(
    table: Table, name: str, cells: Categorical, separator: str
) -> tuple[tuple[str, ...], ...]:
    """Return the labels of each category."""
    found = _split_all(cells.categories, separator)
    where, wrong = first_marked(table, name, cells, np.array([one is None for one in found], bool))
    if wrong is not None:
        raise DataError(
            f"{where}: found {wrong[:40]!r}, which is not a JSON list of labels; write it like "
            '["a", "b"], or with a separator'
        )
    return tuple(one or () for one in found)


@lru_cache(maxsize=16)  # a table is encoded in chunks, which have the same categories
def _split_all(categories: Sequence[str], separator: str) -> tuple[tuple[str, ...] | None, ...]:
    return tuple(labels_of(text, separator) for text in categories)


def labels_of(text: str, separator: str) -> tuple[str, ...] | None:
    """Return the labels of a cell, or None if it begins like a JSON list but is none of them."""
    if not text.startswith("["):
        return tuple(label for part in text.split(separator) if (label := part.strip()))
    try:
        items = parse_list(text, "")
    except DataError:
        return None
    if any(isinstance(item, list | dict) for item in items):
        return None
    texts = (number_text(one) if isinstance(one, float) else str(one) for one in items)
    return tuple(label for item in texts if item != "None" and (label := item.strip()))
