"""How an ONNX graph reads dates: digit by digit, by regular expressions, and by a calendar.

ONNX has no operator for a part of a text, but RegexFullMatch tells whether a text has a form. Each
digit is found by four expressions: its first is the form of the text with an odd digit in this
place, the next one with a digit that has 2 in its binary form, and so on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg.builtin.encoders.date_texts import PART, Pattern
from nnreg.builtin.encoders.gregorian import first_of_month, parts_of
from nnreg.builtin.exporters.onnx_graph import Graph
from nnreg.builtin.exporters.onnx_patterns import literal
from nnreg.operations.operation import Operation
from nnreg.operations.recorded import Recorded

WAYS = 4
"""How many ways of reading digits without separators, as those of 3112024, a graph may have."""

NUMBERS = ("Y", "m", "d", "H", "M", "S", "f", "east", "hours", "minutes")
"""What is read in a text: the parts of strptime, and how far a zone is to the east."""

TENS = {"m": 1, "d": 3, "H": 2, "M": 5, "S": 5, "hours": 2, "minutes": 5}
"""The highest first digit of two."""

TWO_DIGITS = {
    "m": "0[1-9]|1[0-2]", "d": r"0[1-9]|[12]\d|3[01]", "H": r"[01]\d|2[0-3]", "M": r"[0-5]\d",
    "S": r"[0-5]\d",
}  # fmt: skip
ONE_DIGIT = {"m": "[1-9]", "d": "[1-9]"}

NEVER = r"[^\x{0}-\x{10ffff}]"
"""What no text matches."""

ZONE = ("east", "hours", "minutes")
HOURS, MINUTES = r"(?:[01]\d|2[0-3])", r"[0-5]\d"


@dataclass(frozen=True)
class Bit:
    """One bit of one digit: `place` is that from the right, and for "f" from the left."""

    number: str
    place: int
    bit: int

    @property
    def digits(self) -> str:
        """The digits that have the bit, as a class of an expression."""
        return f"[{''.join(str(one) for one in range(10) if one >> self.bit & 1)}]"

    @property
    def weight(self) -> float:
        """What the bit adds to the number."""
        exponent = 5 - self.place if self.number == "f" else self.place
        return float(10**exponent << self.bit)


def reason(one: Operation) -> str:
    """Return why the dates of an operation cannot be read, or an empty text."""
    if all(len(_readings(pattern)) <= WAYS for pattern in one.attributes["patterns"]):
        return ""
    return "ONNX has no operator that finds where numbers without separators end"


def write(graph: Graph, one: Operation) -> str:
    """Add the nodes that read dates; return the name of the numbers `(rows, 9)`."""
    axis = graph.tensor([1], np.int64)
    text = graph.node("Unsqueeze", graph.value(one.inputs[0]), axis)
    found: Any = np.array([[0, 0, 1970, 0, 1, 0, 365, 1, 0]], np.float64)
    patterns = [own for pattern in one.attributes["patterns"] for own in _readings(pattern)]
    for pattern in reversed(patterns):  # the first that fits is the answer
        bits = _bits(pattern)
        forms = [_expression(pattern), *(_expression(pattern, bit) for bit in bits)]
        matches = [graph.node("RegexFullMatch", text, pattern=form) for form in forms]
        weights = np.zeros((len(forms), 1 + len(NUMBERS)))
        weights[0, 0] = 1
        for row, bit in zip(weights[1:], bits, strict=True):
            row[1 + NUMBERS.index(bit.number)] = bit.weight
        joined = graph.node("Concat", *matches, axis=1)
        as_numbers = graph.node("Cast", joined, to=graph.type(weights))
        name = graph.node("MatMul", as_numbers, graph.tensor(weights))
        read = graph.recorded(name, np.zeros((2, len(weights[0]))))
        numbers = {key: read[:, 1 + n] for n, key in enumerate(NUMBERS)}
        parts, valid = date_parts(numbers, has_year="Y" in pattern)
        found = np.where((valid & (read[:, 0] == 1))[:, None], parts, found)
    assert isinstance(found, Recorded)
    return graph.written(found.operation)


def date_parts(numbers: Mapping[str, Any], *, has_year: bool) -> tuple[Any, Any]:
    """Return what an export finds in the text of a date, `(rows, 9)`, and whether it is a date.

    `numbers` are 0 where a text has none of them.
    """
    year = numbers["Y"] if has_year else numbers["Y"] * 0 + 1970
    month, day = np.maximum(numbers["m"], 1), np.maximum(numbers["d"], 1)
    first = first_of_month(year, month)
    december = (month == 12).astype(np.float64)
    following = first_of_month(year + december, month + 1 - 12 * december)
    valid = (year >= 1) & (day <= following - first)
    east = numbers["hours"] * 60 + numbers["minutes"]
    east = np.where(numbers["east"] == 1, east, -east)
    clock = ((numbers["H"] * 60 + numbers["M"]) - east) * 60 + numbers["S"]
    days_later = np.floor(clock / 86400)
    days, clock = first + day - 1 + days_later, clock - 86400 * days_later
    found = (*parts_of(days, clock, numbers["f"]), valid)
    return np.stack([one.astype(np.float64) for one in found], axis=1), valid


def _readings(pattern: Pattern) -> list[Pattern]:
    """Return patterns in which it is known where each number ends, the longest numbers first."""
    parts = [one[0] for one in PART.finditer(pattern)]
    choices = []
    for one, after in itertools.zip_longest(parts, parts[1:], fillvalue=""):
        choices.append([one])
        if re.fullmatch(r"[A-Za-z]\d\d", one) and re.fullmatch(r"([A-Za-z]\d|')\d", after):
            widths = range(int(one[2]), int(one[1]) - 1, -1)
            choices[-1] = [f"{one[0]}{width}{width}" for width in widths]
    return ["".join(one) for one in itertools.product(*choices)]


def _bits(pattern: Pattern) -> list[Bit]:
    """Return the binary digits of all numbers in a pattern."""
    found = []
    for match in PART.finditer(pattern):
        letter = match[0][0]
        places = {"Y": 4, "f": 6}.get(letter, 2)
        if match["part"]:
            found += [
                Bit(letter, place, bit)
                for place in range(places)
                for bit in range((TENS.get(letter, 9) if place else 9).bit_length())
            ]
        elif letter in "Zz":
            found.append(Bit("east", 0, 0))
            for number in ("hours", "minutes"):
                found += [Bit(number, 0, bit) for bit in range(4)]
                found += [Bit(number, 1, bit) for bit in range(TENS[number].bit_length())]
    return found


def _expression(pattern: Pattern, bit: Bit | None = None) -> str:
    """Return the expression of a pattern, or of the texts of it in which a bit is 1."""
    if "=" not in pattern:
        return _alternative(pattern, bit, "[-/.]")
    return "|".join(_alternative(pattern, bit, literal(one)) for one in "-/.")


def _alternative(pattern: Pattern, bit: Bit | None, separator: str) -> str:
    pieces, opened, holding = [], list[int](), set[int]()
    for at, match in enumerate(PART.finditer(pattern)):
        letter, piece = match[0][0], ""
        if match["literal"]:
            piece = literal(match["literal"])
        elif match["any"]:
            piece = match["any"]
        elif match["part"] or letter in "Zz":
            piece = _number(match[0], bit) if match["part"] else _zone(letter, bit)
            own = bit and (bit.number == letter or (letter in "Zz" and bit.number in ZONE))
            holding |= set(opened) if own else set()
        elif letter in "/=":
            piece = separator
        elif letter == "(":
            opened.append(at)
            piece = "(?:"
        else:  # what holds the bit is not left out
            piece = ")" if opened.pop() in holding else ")?"
        pieces.append(piece)
    return "".join(pieces)


def _number(part: Pattern, bit: Bit | None) -> str:
    """Return the expression of a number, with a bit if it is one of its own."""
    letter, low, high = part[0], int(part[1]), int(part[2])
    most = "" if high == 9 else high
    if bit is None or bit.number != letter:
        if letter not in TWO_DIGITS:
            return rf"\d{{{low},{most}}}"
        two, one = TWO_DIGITS[letter], ONE_DIGIT.get(letter, r"\d")
        return f"(?:{'|'.join([two] * (high > 1) + [one] * (low < 2))})"
    place = bit.place
    if letter == "f":
        rest = r"\d*" if high == 9 else rf"\d{{0,{high - place - 1}}}"
        return rf"\d{{{place}}}{bit.digits}{rest}"
    if place >= high:
        return NEVER
    return rf"\d{{{max(low - place - 1, 0)},{high - place - 1}}}{bit.digits}\d{{{place}}}"


def _zone(letter: str, bit: Bit | None) -> str:
    """Return the expression of a time zone, with a bit if it is one of its own."""
    number = bit.number if bit else ""
    if bit is None or number not in ZONE:
        minutes = "?" if letter == "Z" else ""
        return rf"(?:{'Z|UTC|GMT' if letter == 'Z' else 'Z'}|[-+]{HOURS}(?::?{MINUTES}){minutes})"
    if number == "east":
        return r"\+\d\d(?::?\d\d)?"
    two = rf"\d{bit.digits}" if bit.place == 0 else rf"{bit.digits}\d"
    return rf"[-+]{two}(?::?\d\d)?" if number == "hours" else rf"[-+]\d\d:?{two}"
