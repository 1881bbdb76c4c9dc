"""The colours of figures and pages, for light paper, each with what it becomes on a dark screen."""

from __future__ import annotations

INK, MUTED, GRID, PAPER, PANEL = "#1f2328", "#57606a", "#d8dee4", "#fefefe", "#f6f8fa"
BLUE, ORANGE = "#0969da", "#bc4c00"
LINES = (BLUE, ORANGE, "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0a7ea4", "#6e7781")
"""The lines of several runs."""

DARK = {
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#30363d",
    PAPER: "#0d1117",
    PANEL: "#161b22",
    BLUE: "#58a6ff",
    ORANGE: "#f0883e",
}


def variable(colour: str) -> str:
    """Return the name of the CSS variable for a colour of `DARK`."""
    return f"--c{colour.removeprefix('#')}"


def declarations(*, dark: bool = False) -> str:
    """Return the CSS that gives the variables their colours."""
    return "".join(f"{variable(light)}:{DARK[light] if dark else light};" for light in DARK)


def themed(svg: str) -> str:
    """Return SVG or CSS in which these colours follow the page."""
    for colour in DARK:
        svg = svg.replace(colour, f"var({variable(colour)},{colour})")
    return svg
