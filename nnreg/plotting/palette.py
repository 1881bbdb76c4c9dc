"""Colours of all drawings and pages, in light and dark mode.

In a chart of one run, training is always drawn in `TRAINING` and validation in `VALIDATION`. In a
chart of several runs each run has a colour other than these two.
"""

from __future__ import annotations

COLOURS = {
    "ink": ("#1f2328", "#e6edf3"),
    "muted": ("#57606a", "#9198a1"),
    "grid": ("#d8dee4", "#30363d"),
    "paper": ("#fefefe", "#0d1117"),
    "panel": ("#f6f8fa", "#161b22"),
    "blue": ("#0969da", "#58a6ff"),
    "orange": ("#bc4c00", "#f0883e"),
    "green": ("#1a7f37", "#3fb950"),
    "purple": ("#8250df", "#a371f7"),
    "pink": ("#bf3989", "#f778ba"),
    "gold": ("#9a6700", "#d29922"),
    "teal": ("#0a7ea4", "#39c5cf"),
}
"""The colour of each name in light and in dark mode."""

(INK, MUTED, GRID, PAPER, PANEL, BLUE, ORANGE, GREEN, PURPLE, PINK, GOLD, TEAL) = (
    light for light, _ in COLOURS.values()
)

TRAINING, VALIDATION = BLUE, ORANGE

RUNS = (GREEN, PURPLE, PINK, GOLD, TEAL, MUTED)

TERMINAL = {
    BLUE: "cyan", ORANGE: "yellow", MUTED: "dim", GREEN: "green", PURPLE: "magenta",
    PINK: "bright_red", GOLD: "bright_yellow", TEAL: "bright_blue",
}  # fmt: skip
"""The names of colours in a terminal."""


def variables(*, dark: bool = False) -> str:
    """Return the CSS variables of a page, such as `--ink`."""
    return "".join(f"--{name}:{pair[dark]};" for name, pair in COLOURS.items())


def dark_rules(within: str = "") -> str:
    """Return the CSS that changes these colours of SVG elements to their dark variants.

    `within` is the selector of the elements that have them, by default the whole page.
    """
    prefix = f"{within} " if within else ""
    return "".join(
        f'{prefix}[{attribute}="{light}"]{{{attribute}:{dark}}}'
        for light, dark in COLOURS.values()
        for attribute in ("fill", "stroke")
    )
