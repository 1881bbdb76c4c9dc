"""Numbers in text: with a currency, a percent sign, a unit, or separated thousands."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nnreg.tables.cells import parse_number

NumberFormat: TypeAlias = Literal["1,234.5", "1.234,5"]
"""How numbers are written, by an example: with a decimal point or a decimal comma."""

POINT: NumberFormat = "1,234.5"
COMMA: NumberFormat = "1.234,5"

CURRENCY = "$¢£¤¥฿₠-₿"
CODES = "USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|BRL|MXN|Rs\\.?"
SPACE = "[ \u00a0\u2009\u202f]"
UNIT = rf"[%‰{CURRENCY}]|°[A-Za-z]?|[^\W\d_][^\s\d.,;:()+-]{{0,11}}[23]?"

ORDINALS = frozenset({"st", "nd", "rd", "th"})
"""The endings of ranks, such as 4th, which are no units."""


@functools.cache
def _pattern(written: NumberFormat) -> re.Pattern[str]:
    """Return the pattern of a number, compiled when first needed: this takes a millisecond."""
    thousands, decimal = (
        (rf"[,'’]|{SPACE}", r"\.") if written == POINT else (rf"[.'’]|{SPACE}", ",")
    )
    whole = rf"[0-9]{{1,3}}(?P<separator>{thousands})[0-9]{{3}}(?:(?P=separator)[0-9]{{3}})*|[0-9]+"
    digits = rf"(?:{whole})(?:{decimal}[0-9]*)?|{decimal}[0-9]+"
    sign = "[+\u2212-]?"
    return re.compile(
        rf"(?P<open>\()?(?P<sign>{sign})(?:(?P<prefix>[A-Za-z]{{0,3}}[{CURRENCY}]|{CODES}){SPACE}?)?"
        rf"(?P<inner>{sign})(?P<digits>(?:{digits})(?:[eE][+-]?[0-9]+)?)"
        rf"(?:{SPACE}?(?P<suffix>{UNIT}))?(?P<close>\))?"
    )


def number_and_unit(text: str, written: NumberFormat) -> tuple[float, str] | None:
    """Return the number in a text and its unit, which may be empty; None if there is none.

    A percentage is the number before its sign. One in parentheses is negative, as in accounting.
    """
    match = _pattern(written).fullmatch(text)
    if match is None or (match["open"] is None) != (match["close"] is None):
        return None
    if match["sign"] and match["inner"]:
        return None
    digits = match["digits"].replace(match["separator"] or "\0", "")
    value = parse_number(digits.replace(",", ".") if written == COMMA else digits)
    if math.isnan(value):
        return None
    negative = match["open"] is not None or (match["sign"] or match["inner"]) in ("-", "\u2212")
    return (-value if negative else value), (match["prefix"] or "") + (match["suffix"] or "")


@dataclass(frozen=True)
class NumberTexts:
    """How the numbers of a column of text are written; in one unit, if `unit` is not None."""

    written: NumberFormat
    unit: str | None = None

    def parse(self, text: str) -> float:
        """Return the number in a text, NaN if there is none in the unit."""
        found = number_and_unit(text, self.written)
        wrong = found is None or self.unit not in (None, found[1])
        return math.nan if wrong or found is None else found[0]

    @property
    def expected(self) -> str:
        """What an error message expects of a text."""
        unit = {None: "", "": ", without a unit"}.get(self.unit, f', with the unit "{self.unit}"')
        return f"a number, written as {self.written}{unit}"


def number_formats(texts: Iterable[str]) -> tuple[NumberFormat, ...]:
    """Return how the distinct texts of a column are numbers; nothing if they are plain, or none.

    All have the same unit. Where the two formats would make different numbers of them, as of 1,234,
    both are returned.
    """
    texts = list(texts)
    if not texts or not any(map(str.isdigit, texts[0])):  # as in a column of words
        return ()
    if all(not math.isnan(parse_number(text)) for text in texts):
        return ()
    found = {written: _numbers(texts, written) for written in (POINT, COMMA)}
    known = {written: values for written, values in found.items() if values}
    if len(known) == 2 and known[POINT] == known[COMMA]:
        return (POINT,)
    return tuple(known)


def _numbers(texts: Sequence[str], written: NumberFormat) -> list[float]:
    """Return the numbers in all texts; nothing if one has none, or units that differ or are rare.

    A single letter after a digit, as of a seat or a grade, is not a unit.
    """
    values, units = [], set[str]()
    for text in texts:
        found = number_and_unit(text, written)
        units |= {found[1]} if found else set()
        letter = text[-1:].isalpha() and text[-2:-1].isdigit()
        if found is None or len(units) > 1 or letter or found[1] in ORDINALS:
            return []
        values.append(found[0])
    return values


def advice(name: str, formats: Sequence[NumberFormat]) -> str:
    """Return what to set in a spec so that a column of these formats is read as numbers."""
    first = f'set {name!r} to {{"type": "number", "format": "{formats[0]}"}} in data.columns'
    if len(formats) == 1:
        return first
    return (
        f"{first} if the comma or point separates thousands as there, or to the format "
        f'"{formats[1]}" if it is the decimal mark'
    )
