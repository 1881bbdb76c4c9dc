"""Sequences from lists: those of programs, and JSON lists in the cells of text files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import data_limit, require_memory
from nnreg.errors import DataError
from nnreg.tables.categorical import Categorical, CategoryCodes
from nnreg.tables.cells import TRUTH
from nnreg.tables.columns import categorical, first_marked
from nnreg.tables.ragged import HINT, Ragged, of_consecutive
from nnreg.tables.table import Table

BYTES_PER_CHARACTER = 48
"""The most bytes of memory that a character of a JSON list takes while it is parsed: those of an
empty list within one, `[]`, are two."""

SHORT = 2**16
"""The characters of a list that fits into any memory."""

SAMPLE = 1000
"""The most distinct cells that are looked at to recognize lists."""

_KINDS = {int: "numbers", float: "numbers", str: "text", bool: "truth values"}
_NOT_TEXT = ("numbers", "unknown")


def is_lists(values: Any) -> bool:
    """Return True for a column of text that has JSON lists in most of its cells."""
    if not isinstance(values, Categorical):
        if values.dtype.kind not in "OT" or values.ndim != 1:
            return False
        values = [one for one in values[:SAMPLE].tolist() if one is not None]
    else:
        values = values.categories[:SAMPLE]
    lists = [text for text in values if text.startswith("[")]
    return 2 * len(lists) >= len(values) and any(map(_is_list, lists))


def _is_list(text: str) -> bool:
    try:
        parse_list(text, "")
    except DataError:
        return False
    return True


def sequences_of(table: Table, name: str) -> Ragged:
    """Return a column of text whose cells are JSON lists. Raises `DataError` with the location.

    The items of a list are its steps: numbers, or lists of as many each, or text.
    """
    cells = categorical(table, name)
    if (cells.codes < 0).any():
        where = table.location(int(np.argmax(cells.codes < 0)), name)
        raise DataError(
            f"{where}: the value is missing; write [] for a sequence of no steps, or remove the row"
        )
    lists = ListBuilder()
    for code, text in enumerate(cells.categories):
        try:
            lists.add(parse_list(text, ""), "")
        except DataError as error:  # the location is looked up only for an error
            here = np.arange(len(cells.categories)) == code
            where, _ = first_marked(table, name, cells, here)
            raise DataError(f"{where}{error}") from error
    found = lists.column(f"{table.origin}, column {name!r}")
    return found[cells.codes]


def parse_list(text: str, where: str) -> list[Any]:
    """Return the items of a JSON list. Raises `DataError`."""
    if len(text) > SHORT:
        require_memory(BYTES_PER_CHARACTER * len(text), f"{where}: a list", HINT)
    try:
        items = _DECODER.decode(text)
    except RecursionError:
        raise DataError(f"{where}: lists within lists are nested too deep") from None
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.pos + 1}"
        raise DataError(
            f"{where}: found {_shortened(text)}, which is not a JSON list: {problem}; write it "
            'like [1, 2.5] or ["a", "b"]'
        ) from error
    except _NotANumberError as error:
        problem = f"found {error}, which is not a number"
        raise DataError(f"{where}: in a list: {problem}; correct it, or write null") from error
    except ValueError as error:  # Python limits the digits of an integer
        raise DataError(f"{where}: a number in a list has too many digits; correct it") from error
    if not isinstance(items, list):
        raise DataError(
            f"{where}: found {_shortened(text)} among lists; write a list, as in [{text[:20]}]"
        )
    return items


class _NotANumberError(Exception):
    """NaN or an infinity, which JSON does not have."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotANumberError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


class ListBuilder:
    """A column of sequences in the making.

    All are numbers, or all are text, and their steps have the same shape. None is a missing value.
    """

    def __init__(self) -> None:
        self._kind = "unknown"
        self._inner: Shape | None = None
        self._parts: list[Array] = []
        self._lengths: list[int] = []
        self._code_of = CategoryCodes()
        self._size, self._limit = 0, data_limit()

    def add(self, items: Sequence[Any], where: str) -> None:
        """Append a sequence with these items. Raises `DataError`, beginning with `where`."""
        leaves, inner = _flattened(items, where)
        kind = _kind_of(leaves, where, math.prod(inner))
        if items:
            self._check(kind, inner, where)
        self._lengths.append(len(items))
        self._parts.append(self._values(leaves, where))
        self._size += self._parts[-1].nbytes
        if self._size > self._limit:
            require_memory(self._size, f"{where}: the lists up to here", HINT)

    def _check(self, kind: str, inner: Shape, where: str) -> None:
        """Raise `DataError` if a sequence is not like those before."""
        if self._inner is None:
            self._inner = inner
        if inner != self._inner:
            raise DataError(
                f"{where}: a sequence of {_steps(inner)}, but those before have "
                f"{_steps(self._inner)}; all need the same"
            )
        if kind == "unknown":
            return
        if self._kind == "unknown":
            self._kind = kind
        if kind != self._kind:
            raise DataError(
                f"{where}: a list of {kind}, but those before have {self._kind}; write all of them "
                "in the same way"
            )

    def _values(self, leaves: list[Any], where: str) -> Array:
        """Return numbers as an array, text as codes; values that are all missing as NaN."""
        if self._kind == "text":
            return self._codes([None if one is None else one.strip() for one in leaves])
        if self._kind == "truth values":
            return self._codes([None if one is None else TRUTH[one] for one in leaves])
        try:
            exact = all(type(one) is int for one in leaves)
            return np.array(leaves, np.int64 if exact and leaves else np.float64)
        except OverflowError:
            large = next(one for one in leaves if one is not None and abs(one) >= 2**63)
            raise DataError(
                f"{where}: the integer {str(large)[:20]}... in a list is too large; correct it"
            ) from None

    def _codes(self, texts: Sequence[str | None]) -> Array:
        return np.fromiter(map(self._code_of.__getitem__, texts), np.int32, len(texts))

    def column(self, where: str) -> Ragged:
        """Return the sequences so far; `where` is the location of the column."""
        inner = self._inner or ()
        text = self._kind not in _NOT_TEXT
        parts = [
            np.full(len(part), -1, np.int32) if text and part.dtype.kind == "f" else part
            for part in self._parts
        ]
        parts = [part for part in parts if part.size]  # the type of an empty one is unknown
        flat = np.concatenate(parts) if parts else np.empty(0)
        flat = flat.reshape(sum(self._lengths), *inner)
        if not text:
            return of_consecutive(flat, np.array(self._lengths, np.int64))
        categories = self._code_of.categories
        for category in categories:
            try:
                category.encode()
            except UnicodeEncodeError as error:
                raise DataError(f"{where}: found {category!r}, which is not text") from error
        return of_consecutive(Categorical(categories, flat), np.array(self._lengths, np.int64))


def _flattened(items: Sequence[Any], where: str) -> tuple[list[Any], Shape]:
    """Return the values of lists within lists, and the shape of a step."""
    inner: Shape = ()
    leaves = list(items)
    while leaves and isinstance(leaves[0], list | tuple):
        width = len(leaves[0])
        for index, one in enumerate(leaves):
            step = index // max(math.prod(inner), 1)
            if not isinstance(one, list | tuple):
                raise DataError(f"{where}, step {step}: found {one!r} among lists; write a list")
            if len(one) != width:
                raise DataError(
                    f"{where}, step {step}: a list of {len(one)} values, but the one before has "
                    f"{width}; every step needs the same number"
                )
        if not width:
            raise DataError(f"{where}, step 0: a list without values; every step needs some")
        inner = (*inner, width)
        leaves = list(chain.from_iterable(leaves))
    return leaves, inner


def _kind_of(leaves: Sequence[Any], where: str, width: int) -> str:
    """Return what the values of a sequence are. Raises `DataError` if they are not alike."""
    kinds = {_KINDS.get(kind, kind.__name__) for kind in set(map(type, leaves)) - {type(None)}}
    if not kinds:
        return "unknown"
    if len(kinds) == 1 and kinds <= set(_KINDS.values()):
        return kinds.pop()
    first = next(one for one in leaves if one is not None)
    for index, one in enumerate(leaves):
        kind = _KINDS.get(type(one))
        if one is None or (kind is not None and kind == _KINDS.get(type(first))):
            continue
        step = f"{where}, step {index // width}"
        if isinstance(one, dict):
            raise DataError(f"{step}: found an object; expected a number or text")
        raise DataError(
            f"{step}: found {_shortened(str(one))} in a list that begins with "
            f"{_shortened(str(first))}; a list has only numbers, or only text"
        )
    raise AssertionError("the values are alike")  # pragma: no cover


def _steps(inner: Shape) -> str:
    return f"steps of shape {inner}" if inner else "single values"


def from_lists(rows: Iterable[Sequence[Any]], where: str) -> Ragged:
    """Return lists of a program as a column of sequences. Raises `DataError` with the row."""
    lists = ListBuilder()
    for row, items in enumerate(rows):
        plain = [one.item() if isinstance(one, np.generic) else one for one in items]
        lists.add(plain, f"{where}, row {row}")
    return lists.column(where)


def from_arrays(arrays: Sequence[Array], where: str) -> Ragged:
    """Return arrays `(steps, ...)` as a column of sequences. Raises `DataError` with the row."""
    inner = next((one.shape[1:] for one in arrays if one.size), None)
    for row, array in enumerate(arrays):
        if array.ndim == 0:
            raise DataError(f"{where}, row {row}: a single value; expected a sequence")
        if array.size and array.shape[1:] != inner:
            raise DataError(
                f"{where}, row {row}: steps of shape {array.shape[1:]}, but those before have "
                f"shape {inner}; all need the same"
            )
        if array.dtype.kind not in "biuf":
            return from_lists([one.tolist() for one in arrays], where)
    lengths = np.array([len(one) for one in arrays], np.int64)
    filled = [one for one in arrays if one.size] or [np.empty(0)]
    return of_consecutive(np.concatenate(filled), lengths)
