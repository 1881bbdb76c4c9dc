"""HTML in small: text, numbers, tables and figures. Whatever comes in is escaped here."""

from __future__ import annotations

import html
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnreg._utils import formatting
from nnreg.reports.palette import themed

NUMBER = ' class="number"'
NUMERIC = re.compile(r"−?[\d.,]+(e[+−]\d+)?( %)?")


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with what it shows in words; `alone` stands by itself, in its own size."""

    svg: str
    caption: str
    alone: bool = False


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


def inline(svg: str, number: int = 0) -> str:
    """Return an SVG as part of a page: in its colours, as wide as it is given, without its head.

    The `number` tells its ids from those of the page's other pictures.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)  # nothing refers to these
    svg = re.sub(r'(?<= id=")(?=\w)|(?<=href="#)|(?<=url\(#)', f"n{number:x}-", svg)
    return themed(svg)


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


def pictures(drawn: Sequence[Picture]) -> str:
    """Return figures beside each other, each with its caption."""
    if not drawn:
        return ""
    return f'<div class="plots">\n{"".join(map(_picture, drawn))}</div>'


def _picture(picture: Picture) -> str:
    caption = escape(picture.caption)
    svg = inline(picture.svg, zlib.crc32(picture.caption.encode())).replace(
        "<svg", f'<svg role="img" aria-label="{caption}"', 1
    )
    size = ""
    if picture.alone:
        points = re.search(r'viewBox="0 0 ([\d.]+) ', svg)
        size = f' style="max-width:{float(points[1]) / 12:.1f}rem"' if points else ""
    return f'<figure class="plot"{size}>{svg}<figcaption>{caption}</figcaption></figure>\n'
