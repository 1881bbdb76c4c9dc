"""Helpers of the extensions: Markdown, and directives that generate it."""

import base64
import html
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parent.parent.parent

WIDTH = 88
"""The most characters of a line of code that a page shows without scrolling."""


def plain(text: str) -> str:
    """Return text escaped for Markdown, except for `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]$|#])", r"\\\1", part)
        for part in parts
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def image(svg: str, description: str) -> str:
    """Return an SVG as an image embedded in the page."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/svg+xml;base64,{data}">'


def directive(write: Callable[[SphinxDirective], str]) -> type[SphinxDirective]:
    """Return a directive that is replaced by the Markdown that `write` returns."""

    class Written(SphinxDirective):
        optional_arguments = 1

        def run(self) -> list[nodes.Node]:
            self.env.note_reread()  # the code may have changed at the next build
            return self.parse_text_to_nodes(write(self), allow_section_headings=True)

    return Written
