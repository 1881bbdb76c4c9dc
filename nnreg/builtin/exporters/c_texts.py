"""How a program in C99 reads texts in UTF-8, without allocation: the calls and their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from nnreg.builtin.encoders.date_texts import PART, Pattern
from nnreg.builtin.exporters import c_text_functions, c_value_functions, unicode_tables
from nnreg.operations.operation import Operation

FUNCTIONS = {**c_text_functions.FUNCTIONS, **c_value_functions.FUNCTIONS}
HEADERS = "#include <float.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n"

Table = Callable[[Sequence[str]], str]
"""Keeps texts as a table; returns the arguments that pass it."""

CALLS: Mapping[str, Callable[[Operation, Table], list[str]]] = {
    "count_terms": lambda one, table: [
        table(one.attributes["terms"]), table(one.attributes["stop_words"]),
        *_numbers(one, "lowercase", "low", "high"),
    ],
    "count_labels": lambda one, table: [
        table(one.attributes["labels"]), literal(one.attributes["separator"]),
    ],
    "tokens": lambda one, table: [
        table(one.attributes["items"]), str(int(one.attributes["parts"] == "words")),
        *_numbers(one, "lowercase", "longest", "steps"),
    ],
    "hash": lambda one, table: [f"{one.attributes['seed']}u", *_numbers(one, "size")],
    "date_parts": lambda one, table: [
        f"(const char *const[]){{{', '.join(map(_pattern, one.attributes['patterns']))}}}",
        str(len(one.attributes["patterns"])),
    ],
    "byte_pairs": lambda one, table: [
        f"(const long[]){{{', '.join(map(str, _merges(one)))}}}",
        str(len(one.attributes["merges"])), *_numbers(one, "lowercase", "longest", "steps"),
    ],
}  # fmt: skip
"""The arguments between the text and the result of the function of an operation, by its name."""

SHORTEST = 16
"""The bytes of a text of which at least there is space for."""

NUMBER = 400
"""The most characters of a text that is hashed as the number that it is."""


def _numbers(one: Operation, *names: str) -> list[str]:
    return [str(int(one.attributes[name])) for name in names]


def _merges(one: Operation) -> list[int]:
    """Return the pairs of tokens, each with the one that takes their place, sorted."""
    merges = enumerate(one.attributes["merges"], 256)
    return [*chain.from_iterable(sorted((*pair, token) for token, pair in merges))] or [0]


def literal(value: str) -> str:
    """Return a text; other bytes than those of ASCII are octal escapes of UTF-8."""
    return _literal(encoded(value))


def _pattern(value: Pattern) -> str:
    """Return a pattern of dates, with a quote before each byte of a character."""
    pieces = []
    for one in PART.finditer(value):
        quoted = encoded(one["literal"] or "")
        pieces += [b"'%c" % byte for byte in quoted] or [encoded(one[0])]
    return _literal(b"".join(pieces))


def _literal(value: bytes) -> str:
    parts = [
        chr(one) if 32 <= one < 127 and chr(one) not in '"\\?' else f"\\{one:03o}" for one in value
    ]
    return f'"{"".join(parts)}"'


def encoded(text: str) -> bytes:
    """Return a text in UTF-8, also half of a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")


def definitions(operations: Sequence[Operation], code: str) -> str:
    """Return the limits and the tables of Unicode that functions in the code read."""
    reading = [one for one in operations if one.name in CALLS]
    if not reading:
        return ""
    letters = _small_letters(reading)
    longest = max(SHORTEST, *(len(encoded(one)) for one in _known(reading)), 0)
    ngram = max(one.attributes.get("high", 1) for one in reading)
    limits = {"LONGEST": longest, "NGRAM": ngram, "NUMBER": NUMBER}
    tables: Mapping[str, Callable[[], Sequence[tuple[int, ...]]]] = {
        "WORDS": unicode_tables.words, "SPACES": unicode_tables.spaces,
        "CASED": unicode_tables.cased, "IGNORABLE": unicode_tables.ignorable,
        "DIGITS": lambda: [(code,) for code in unicode_tables.digits()],
        "LOWER": lambda: unicode_tables.lower(letters) or [(0, 0, 1, 0)],
    }  # fmt: skip
    found = [f"#define {name} {value}" for name, value in limits.items() if name in code]
    found += [_table(name, table()) for name, table in tables.items() if name in code]
    return "\n".join(found)


def has_sigma(operations: Sequence[Operation]) -> bool:
    """Return whether a capital sigma has to become a small one, by its place in a word."""
    letters = _small_letters(operations)
    return letters is None or not letters.isdisjoint("σς")


def _small_letters(operations: Sequence[Operation]) -> frozenset[str] | None:
    """Return the small letters that capital ones have to become; None for all of them."""
    lowered = [one for one in operations if one.attributes.get("lowercase")]
    if any(one.name == "byte_pairs" for one in lowered):
        return None
    return frozenset(chain.from_iterable(_known(lowered)))


def _known(operations: Sequence[Operation]) -> list[str]:
    keys = ("terms", "stop_words", "items", "labels")
    return [text for one in operations for key in keys for text in one.attributes.get(key, ())]


def _table(name: str, rows: Sequence[tuple[int, ...]]) -> str:
    values = [str(value) for row in rows for value in row]
    lines = [", ".join(values[at : at + 16]) for at in range(0, len(values), 16)]
    joined = ",\n    ".join(lines)
    return f"static const int32_t {name}[{len(values)}] = {{\n    {joined}\n}};"
