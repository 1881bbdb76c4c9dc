"""HTML elements: text, numbers, tables and figures. All input is escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from nnreg._utils import formatting
from nnreg.plotting.svg import Drawing

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


def percent(fraction: float) -> str:
    """Return a percentage with one digit, or three where one would round it to 0 % or 100 %."""
    text = f"{100 * fraction:.1f}"
    if text in ("0.0", "100.0"):
        text = f"{100 * fraction:.0f}" if fraction in (0, 1) else f"{100 * fraction:.3f}"
    return f"{text} %"


def section(title: str, body: str) -> str:
    """Return a section with a heading, or nothing if the body is empty."""
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], label: str) -> str:
    """Return a table whose first column names the rows; cells are escaped, numbers right-aligned.

    `label` is its description for screen readers.
    """
    cells = [[_cell(value, header=not index) for index, value in enumerate(row)] for row in rows]
    numeric = [all(NUMBER in row[index] for row in cells) for index in range(len(head))]
    top = "".join(
        f'<th scope="col"{NUMBER if right else ""}>{escape(name)}</th>'
        for name, right in zip(head, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(value: Any, *, header: bool) -> str:
    text = format_value(value)
    numeric = isinstance(value, int | float) or NUMERIC.fullmatch(text)
    if header:
        return f'<th scope="row"{NUMBER if numeric else ""}>{text}</th>'
    if numeric:
        return f"<td{NUMBER}>{text}</td>"
    return f'<td class="long">{text}</td>' if len(text) > MAX_SHORT_TEXT else f"<td>{text}</td>"


def figures(drawings: Sequence[Drawing]) -> str:
    """Return drawings beside each other, each with its description as caption."""
    drawn = "".join(
        f'<figure style="max-width:{drawing.width / 13:.1f}rem">{drawing.inline()}'
        f"<figcaption>{escape(drawing.description)}</figcaption></figure>\n"
        for drawing in drawings
    )
    return f'<div class="plots">\n{drawn}</div>' if drawn else ""
