"""Generate the pictures of README, how-tos and lessons: `python -m docs.pictures`."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyte

import nnreg
from docs.diagram import diagram
from nnreg.plotting.palette import BLUE, GREEN, GRID, INK, PANEL
from nnreg.plotting.svg import Drawing, text
from nnreg.starter.examples import EXAMPLES, copy

HERE = Path(__file__).parent
STATIC = HERE / "_static"
COMMAND = "nnreg run penguins.json"
OVERFITTING = ["model.layers.0.units=64", "train.l2=0", "train.early_stopping=null"]
"""What changes models/diabetes.json to the spec of docs/howto/generalize.md."""

COLUMNS, LINES = 92, 40

WIDTH, HEIGHT, MARGIN = 8.4, 19, 18
"""Pixels: width of a character, height of a line, and margin."""

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

COLOURS = {"green": GREEN, "cyan": BLUE}
"""The colours in a drawing of those in a terminal."""


def main() -> None:
    """Write the pictures of the README, the how-tos and the lessons."""
    with tempfile.TemporaryDirectory() as directory:
        screen = typed(COMMAND, Path(directory))
        history = nnreg.read_history(Path(directory) / "runs/penguins-001")
    overfitted = nnreg.run(HERE.parent / "models/diabetes.json", overrides=OVERFITTING).history
    (STATIC / "terminal.svg").write_text(terminal(screen, COMMAND), encoding="utf-8")
    (STATIC / "loss.svg").write_text(history.svg("penguins"), encoding="utf-8")
    (STATIC / "overfitting.svg").write_text(overfitted.svg("diabetes"), encoding="utf-8")
    for name in ("single_neuron", "two_layer"):
        model = nnreg.build(HERE.parent / f"models/{name}.json")
        (STATIC / f"{name}.svg").write_text(diagram(model, 0.5, 0.1), encoding="utf-8")


def typed(command: str, directory: Path) -> pyte.Screen:
    """Run a command in a terminal and return its final screen."""
    copy(EXAMPLES["penguins"], directory)
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    stream.feed(f"$ \x1b[1m{command}\x1b[0m\r\n".encode())
    for data in printed([sys.executable, "-m", *command.split()], directory):
        stream.feed(data)
    return screen


def printed(command: list[str], directory: Path) -> Iterator[bytes]:
    """Yield the output of a command in a terminal."""
    quiet = {name: text for name, text in os.environ.items() if name not in ("CI", "NO_COLOR")}
    environment = {**quiet, "TERM": "xterm-256color", "PYTHONPATH": str(HERE.parent)}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(directory)
        os.execve(command[0], command, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
    while data := read(terminal):
        yield data
    os.waitpid(child, 0)
    os.close(terminal)


def read(terminal: int) -> bytes:
    """Return the available output, or nothing at the end, where Linux raises an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def terminal(screen: pyte.Screen, title: str) -> str:
    """Return the screen as a self-contained SVG."""
    lines = "\n".join(screen.display).rstrip().count("\n") + 1
    width, height = COLUMNS * WIDTH + 2 * MARGIN, lines * HEIGHT + 2 * MARGIN
    parts = [
        f'<rect x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1}" rx="8" '
        f'fill="{PANEL}" stroke="{GRID}"/>'
    ]
    for line in range(lines):
        for column, content, (weight, colour) in segments(screen, line):
            more = f'textLength="{len(content) * WIDTH:.1f}"{weight}'
            x, y = MARGIN + column * WIDTH, MARGIN + (line + 0.75) * HEIGHT
            parts.append(text(x, y, content, fill=colour, more=more))
    return Drawing(round(width), height, title, parts, font=FONT, size=14).file()


def segments(screen: pyte.Screen, line: int) -> Iterator[tuple[int, str, tuple[str, str]]]:
    """Yield the uniformly styled segments of a line: first column, text and style."""
    cells = [screen.buffer[line][column] for column in range(COLUMNS)]
    for (cell_style, blank), group in groupby(
        enumerate(cells), lambda cell: (style(cell[1]), cell[1].data == " ")
    ):
        segment = list(group)
        if not blank:
            yield segment[0][0], "".join(cell.data for _, cell in segment), cell_style


def style(cell: pyte.screens.Char) -> tuple[str, str]:
    """Return the weight and the colour of a character."""
    return ' font-weight="700"' if cell.bold else "", COLOURS.get(cell.fg, INK)


if __name__ == "__main__":
    main()
