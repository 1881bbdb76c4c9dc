"""HTML in small: text, numbers, tables and figures. Whatever comes in is escaped here."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from nnreg._utils import formatting
from nnreg.plotting.svg import Drawing

NUMBER = ' class="number"'
NUMERIC = re.compile(r"−?[\d.,]+(e[+−]\d+)?( %)?")


def escape(value: Any) -> str:
    """Return text as HTML, without what turns the direction of writing or is no character."""
    text = str(value)
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def figure(value: Any) -> str:
    """Write a number as people read it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "–"
    return formatting.number(value).replace("-", "−")


def percent(share: float) -> str:
    """Write a share with one digit, and more where it would be taken for none or all."""
    text = f"{100 * share:.1f}"
    if text in ("0.0", "100.0"):
        text = f"{100 * share:.0f}" if share in (0, 1) else f"{100 * share:.3f}"
    return f"{text} %"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], label: str) -> str:
    """Return a table whose first column names the rows; cells are escaped, numbers set right."""
    cells = [[_cell(value, name=not place) for place, value in enumerate(row)] for row in rows]
    numeric = [all(NUMBER in row[place] for row in cells) for place in range(len(head))]
    top = "".join(
        f'<th scope="col"{NUMBER if right else ""}>{escape(name)}</th>'
        for name, right in zip(head, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(value: Any, *, name: bool) -> str:
    text = figure(value)
    number = isinstance(value, int | float) or NUMERIC.fullmatch(text)
    if name:
        return f'<th scope="row"{NUMBER if number else ""}>{text}</th>'
    if number:
        return f"<td{NUMBER}>{text}</td>"
    return f'<td class="long">{text}</td>' if len(text) > 30 else f"<td>{text}</td>"


def figures(drawings: Sequence[Drawing]) -> str:
    """Return drawings beside each other, each with its description as caption."""
    drawn = "".join(
        f'<figure style="max-width:{drawing.width / 13:.1f}rem">{drawing.inline()}'
        f"<figcaption>{escape(drawing.description)}</figcaption></figure>\n"
        for drawing in drawings
    )
    return f'<div class="plots">\n{drawn}</div>' if drawn else ""
