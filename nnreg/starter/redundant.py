"""Columns that tell no more than another one, or that tell the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nnreg._types import Array
from nnreg.starter.column_facts import ColumnFacts
from nnreg.tables.columns import categorical, is_text, numbers
from nnreg.tables.table import Table

MIN_ROWS = 20
"""With fewer rows, columns may be alike by chance."""

COMPARED = ("numbers", "categories", "ordered")
"""The kinds of columns that are compared."""


def redundant_columns(
    table: Table, columns: Mapping[str, ColumnFacts], target: str, inputs: Iterable[str]
) -> dict[str, str]:
    """Return the inputs to leave out, each with the reason.

    Two columns are alike if each value of one occurs with one value of the other, in the same order
    or the opposite one for numbers of many values: such as prices in two currencies, or codes and
    their names. At least one input stays.
    """
    if len(table) < MIN_ROWS or columns[target].kind not in COMPARED:
        return {}
    found = {}
    known = _partitions(table, columns[target])
    first: dict[bytes, str] = {}
    left = set(inputs)
    for name in inputs:
        if columns[name].kind not in COMPARED:
            continue
        own = _partitions(table, columns[name])
        if known & own and len(left) > 1:
            found[name] = f"determines the target {target!r}: each value goes with one of it"
            left.discard(name)
        elif (same := next((first[key] for key in own if key in first), None)) is not None:
            found[name] = f"says the same as {same!r}"
            left.discard(name)
        else:
            first |= dict.fromkeys(own, name)
    tells = {name: why for name, why in found.items() if why.startswith("determines")}
    return {**tells, **found}


def _partitions(table: Table, facts: ColumnFacts) -> set[bytes]:
    """Return how the values of a column group the rows, in the same form for columns alike."""
    if facts.kind == "numbers" and 2 * facts.distinct > MIN_ROWS:
        values = numbers(table, facts.name) if facts.format is None else None
        if values is None:
            return set()
        ranks = np.unique(values, return_inverse=True)[1]
        return {ranks.tobytes(), (ranks.max() - ranks).tobytes()}
    codes = (
        categorical(table, facts.name).codes
        if is_text(table.columns[facts.name])
        else np.unique(numbers(table, facts.name), return_inverse=True)[1]
    )
    return {_in_order_of_appearance(codes).tobytes()}


def _in_order_of_appearance(codes: Array) -> Array:
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.intp)
    place[np.argsort(first)] = np.arange(len(first))
    return place[inverse]
