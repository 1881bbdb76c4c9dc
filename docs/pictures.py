"""Makes the pictures of README and lessons, one in a terminal: `python -m docs.pictures`."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
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

HERE = Path(__file__).parent
STATIC = HERE / "_static"
COMMAND = "nnreg run models/penguins.json"
COLUMNS, LINES = 92, 40

WIDTH, HEIGHT, MARGIN = 8.4, 19, 18
"""Pixels: of a character, of a line, and around them all."""

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

COLOURS = {"green": GREEN, "cyan": BLUE}
"""What the colours of a terminal are in a drawing."""


def main() -> None:
    """Run the command of the README and write its pictures, and those of the lessons."""
    with tempfile.TemporaryDirectory() as directory:
        screen = typed(COMMAND, Path(directory))
        history = nnreg.read_history(Path(directory) / "runs/penguins-001")
    (STATIC / "terminal.svg").write_text(terminal(screen, COMMAND), encoding="utf-8")
    (STATIC / "loss.svg").write_text(history.svg("penguins"), encoding="utf-8")
    for name in ("single_neuron", "two_layer"):
        model = nnreg.build(HERE.parent / f"models/{name}.json")
        (STATIC / f"{name}.svg").write_text(diagram(model, 0.5, 0.1), encoding="utf-8")


def typed(command: str, directory: Path) -> pyte.Screen:
    """Run a command in a terminal and return its screen, as a person sees it in the end."""
    shutil.copytree(HERE.parent / "models", directory / "models")
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    stream.feed(f"$ \x1b[1m{command}\x1b[0m\r\n".encode())
    for data in printed([sys.executable, "-m", *command.split()], directory):
        stream.feed(data)
    return screen


def printed(command: list[str], directory: Path) -> Iterator[bytes]:
    """Yield what a command writes to a terminal."""
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
    """Return what there is to read, or nothing at the end, which Linux tells by an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def terminal(screen: pyte.Screen, title: str) -> str:
    """Return the screen as an SVG that needs no font and no script."""
    lines = "\n".join(screen.display).rstrip().count("\n") + 1
    width, height = COLUMNS * WIDTH + 2 * MARGIN, lines * HEIGHT + 2 * MARGIN
    parts = [
        f'<rect x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1}" rx="8" '
        f'fill="{PANEL}" stroke="{GRID}"/>'
    ]
    for line in range(lines):
        for column, word, (weight, colour) in words(screen, line):
            more = f'textLength="{len(word) * WIDTH:.1f}"{weight}'
            x, y = MARGIN + column * WIDTH, MARGIN + (line + 0.75) * HEIGHT
            parts.append(text(x, y, word, fill=colour, more=more))
    return Drawing(round(width), height, title, parts, font=FONT, size=14).file()


def words(screen: pyte.Screen, line: int) -> Iterator[tuple[int, str, tuple[str, str]]]:
    """Yield the stretches of a line that look alike: where each begins, its text, its look."""
    cells = [screen.buffer[line][column] for column in range(COLUMNS)]
    for (kind, blank), group in groupby(
        enumerate(cells), lambda cell: (look(cell[1]), cell[1].data == " ")
    ):
        segment = list(group)
        if not blank:
            yield segment[0][0], "".join(cell.data for _, cell in segment), kind


def look(cell: pyte.screens.Char) -> tuple[str, str]:
    """Return the weight and the colour of a character."""
    return ' font-weight="700"' if cell.bold else "", COLOURS.get(cell.fg, INK)


if __name__ == "__main__":
    main()
