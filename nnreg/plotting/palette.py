"""The colours of every drawing and page, on light paper and on a dark screen.

In a chart of one run, the training is always `TRAINING` and the validation always `VALIDATION`.
In a chart of several runs a colour stands for a run, and never is one of these two.
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
"""Each colour's name, and what it is on light paper and on a dark screen."""

(INK, MUTED, GRID, PAPER, PANEL, BLUE, ORANGE, GREEN, PURPLE, PINK, GOLD, TEAL) = (
    light for light, _ in COLOURS.values()
)

TRAINING, VALIDATION = BLUE, ORANGE

RUNS = (GREEN, PURPLE, PINK, GOLD, TEAL, MUTED)

TERMINAL = {BLUE: "cyan", ORANGE: "yellow", MUTED: "dim"}
"""What the colours are called in a terminal."""


def variables(*, dark: bool = False) -> str:
    """Return the CSS variables of a page, such as `--ink`."""
    return "".join(f"--{name}:{pair[dark]};" for name, pair in COLOURS.items())


def dark_rules() -> str:
    """Return the CSS by which SVG elements with these colours change on a dark screen."""
    return "".join(
        f'[{kind}="{light}"]{{{kind}:{dark}}}'
        for light, dark in COLOURS.values()
        for kind in ("fill", "stroke")
    )
