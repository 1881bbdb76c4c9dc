"""How dates are written, as patterns that programs in other languages have too."""

from __future__ import annotations

import re
from typing import TypeAlias

Pattern: TypeAlias = str
"""The parts of a text, from left to right:

* `Y44` is the part `Y` of strptime in 4 to 4 digits; 9 is any number of digits,
* `'x` is the character x, and `[xy]` is one of several,
* `/` is a separator of dates, and `=` the same one again,
* `Z` is a time zone of ISO 8601, and `z` one of strptime,
* what is in parentheses may be left out.
"""

DAY = "Y44(/m12(=d12))"
WHOLE_DAY = "Y44'-m22'-d22"
TIME_OF_DAY = "H12':M22(':S22([.,]f19))"
CLOCK = "H12(':M22(':S22([.,]f19)))"
DIRECTIVES = {letter: f"{letter}12" for letter in "mdHMS"} | {
    "Y": "Y44",
    "f": "f16",
    "z": "z",
    "%": "'%",
}
EXPRESSIONS = {
    "/": r"([-/.])", "=": r"\2", "(": "(?:", ")": ")?",
    "Z": r"(Z|UTC|GMT|[-+](?:[01]\d|2[0-3])(?::?[0-5]\d)?)",
    "z": r"(Z|[-+](?:[01]\d|2[0-3]):?[0-5]\d)",
}  # fmt: skip
PART = re.compile(r"'(?P<literal>.)|(?P<any>\[.+?\])|(?P<part>[A-Za-z]\d\d)|.", re.DOTALL)


def patterns_of(form: str | None, *, zoned: bool, of_day: bool) -> list[Pattern]:
    """Return the patterns of dates, by a format of strptime or those of ISO 8601.

    Those of a day of ISO 8601 are read with a format of days too. Raises NotImplementedError for a
    format that these cannot express.
    """
    found = [] if form is None else [_of_format(form)]
    day = DAY if form is None else WHOLE_DAY
    if of_day:
        return found or [f"('T){TIME_OF_DAY}"]
    if zoned:
        return [*found, f"{day}[T ]{CLOCK}(' )Z"]
    return [*found, f"{day}([T ]{CLOCK})"]


def expression_of(pattern: Pattern) -> tuple[str, str]:
    """Return the regular expression of a pattern, and the letter for each of its groups."""
    letters, pieces = "", []
    for one in PART.finditer(pattern):
        if one["literal"]:
            pieces.append(re.sub(r"[^\w\s]", r"\\\g<0>", one["literal"]))
        elif one["any"]:
            pieces.append(one["any"])
        elif one["part"]:
            letter, low, high = tuple(one["part"])
            letters += letter
            pieces.append(rf"(\d{{{low},{'' if high == '9' else high}}})")
        else:
            letters += {"/": ".", "Z": "z", "z": "z"}.get(one[0], "")
            pieces.append(EXPRESSIONS[one[0]])
    return "".join(pieces), letters


def _of_format(form: str) -> Pattern:
    parts = re.split(r"%(.)", form)
    for part in parts[1::2]:
        if part not in DIRECTIVES:
            raise NotImplementedError(f'no format can express "%{part}" of {form!r}')
    return "".join(
        DIRECTIVES[part] if index % 2 else "".join(f"'{one}" for one in part)
        for index, part in enumerate(parts)
    )
