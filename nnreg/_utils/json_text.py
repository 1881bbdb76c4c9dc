"""JSON as nnreg writes it: strict, also where a measured value is not a finite number.

JSON has no NaN. A value that was measured as NaN or as infinite is written as the text "NaN",
"Infinity" or "-Infinity", as in the JSON of Protocol Buffers; a value that was not measured has no
key, or is null. Python's `float` and JavaScript's `Number` read these texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """Return the JSON of a tree; floats that are not finite become text."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)
    except ValueError:
        tree = with_text(value)
    return json.dumps(tree, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def with_text(value: Any) -> Any:
    """Return a tree with the floats that are not finite as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: with_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_text(item) for item in value]
    return value


def with_numbers(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the floats that were written as text; other values stay."""
    return {
        name: NON_FINITE.get(value, value) if isinstance(value, str) else value
        for name, value in record.items()
    }
