"""HTML elements of report pages: sections and figures, beside those of `plotting.html`."""

from __future__ import annotations

from collections.abc import Sequence

from nnreg.plotting.html import escape
from nnreg.plotting.svg import Drawing


def percent(fraction: float) -> str:
    """Return a percentage with one digit, or three where one would round it to 0 % or 100 %."""
    text = f"{100 * fraction:.1f}"
    if text in ("0.0", "100.0"):
        text = f"{100 * fraction:.0f}" if fraction in (0, 1) else f"{100 * fraction:.3f}"
    return f"{text} %"


def section(title: str, body: str) -> str:
    """Return a section with a heading, or nothing if the body is empty."""
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def figures(drawings: Sequence[Drawing]) -> str:
    """Return drawings beside each other, each with its description as caption."""
    drawn = "".join(
        f'<figure style="max-width:{drawing.width / 13:.1f}rem">{drawing.inline()}'
        f"<figcaption>{escape(drawing.description)}</figcaption></figure>\n"
        for drawing in drawings
    )
    return f'<div class="plots">\n{drawn}</div>' if drawn else ""
