"""HTML elements of reports and notebooks: text, numbers and tables. All input is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from nnreg._utils import formatting

NUMBER = ' class="number"'
NUMERIC = re.compile(r"−?[\d.,]+(e[+−]\d+)?( %)?")

MAX_SHORT_TEXT = 30
"""Characters of a table cell that is not wrapped."""


def escape(value: Any) -> str:
    """Return text as HTML, with non-printable and bidirectional control characters replaced."""
    text = str(value)
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def format_value(value: Any) -> str:
    """Return a human-readable number, or other values as escaped text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(value)
    if isinstance(value, int):
        return f"{value:,}"
    return formatting.number(value).replace("-", "−")


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    label: str,
    *,
    numeric: Sequence[bool] | None = None,
) -> str:
    """Return a table whose first column names the rows; cells are escaped, numbers right-aligned.

    `label` is its description for screen readers. The `numeric` columns are right-aligned whatever
    they contain, such as intervals.
    """
    right = numeric or [False] * len(head)
    cells = [
        [_cell(value, header=not index, numeric=right[index]) for index, value in enumerate(row)]
        for row in rows
    ]
    numeric = [all(NUMBER in row[index] for row in cells) for index in range(len(head))]
    top = "".join(
        f'<th scope="col"{NUMBER if aligned else ""}>{escape(name)}</th>'
        for name, aligned in zip(head, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(value: Any, *, header: bool, numeric: bool) -> str:
    text = format_value(value)
    numeric = numeric or isinstance(value, int | float) or bool(NUMERIC.fullmatch(text))
    if header:
        return f'<th scope="row"{NUMBER if numeric else ""}>{text}</th>'
    if numeric:
        return f"<td{NUMBER}>{text}</td>"
    return f'<td class="long">{text}</td>' if len(text) > MAX_SHORT_TEXT else f"<td>{text}</td>"
