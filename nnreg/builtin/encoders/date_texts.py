"""How dates are written, as regular expressions that programs in other languages have too."""

from __future__ import annotations

import re
from typing import TypeAlias

from nnreg.tables.date_forms import Form

Pattern: TypeAlias = tuple[str, str]
"""A regular expression of a whole text, and the letter of strptime for each of its groups."""

DAY = r"(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?"
CLOCK = r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
ZONE = r" ?(Z|UTC|GMT|[-+]\d\d(?::?\d\d)?)"

DIRECTIVES = {
    "Y": r"(\d{4})", "m": r"(\d{1,2})", "d": r"(\d{1,2})", "H": r"(\d{1,2})", "M": r"(\d{1,2})",
    "S": r"(\d{1,2})", "f": r"(\d{1,6})", "z": r"(Z|[-+]\d\d:?\d\d)",
}  # fmt: skip


def patterns_of(form: Form, *, zoned: bool, of_day: bool) -> list[Pattern]:
    """Return the patterns of dates, of which each group is a part.

    Those of a day of ISO 8601 are read with a format too. Raises NotImplementedError for a form
    that these cannot express.
    """
    if form.unit is not None:
        raise NotImplementedError("no format can express Unix times; give dates as text")
    found = [] if form.format is None else [_of_format(form.format)]
    if of_day:
        return [*found, (f"T?{CLOCK}", "HMSf")]
    if zoned:
        return [*found, (f"{DAY}[T ]{CLOCK}{ZONE}", "Y.mdHMSfz")]
    return [*found, (f"{DAY}(?:[T ]{CLOCK})?", "Y.mdHMSf")]


def _of_format(form: str) -> Pattern:
    parts, letters = re.split(r"%(.)", form), ""
    for index in range(1, len(parts), 2):
        if parts[index] not in DIRECTIVES:
            raise NotImplementedError(f'no format can express "%{parts[index]}" of {form!r}')
        letters += parts[index]
    pieces = [
        DIRECTIVES[part] if index % 2 else re.sub(r"[^\w\s]", r"\\\g<0>", part)
        for index, part in enumerate(parts)
    ]
    return "".join(pieces), letters
