"""Output of lines, JSON, tables and prose, and input from files or standard input.

All text that commands print is written here, and only here are its control characters escaped:
names and messages come from files that may be hostile. Styles are added after that.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from nnreg._utils import json_text
from nnreg._utils.remote import is_remote, local_path

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

Cell: TypeAlias = "str | Sequence[str]"
"""The text of a table cell: one line, or several."""


def prepare_streams(*, silent: bool = False) -> None:
    """Make the standard streams UTF-8, and let no character fail to be written.

    A terminal keeps its encoding, and shows characters outside of it as escapes. A `silent` process
    prints nothing.
    """
    if silent:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            errors = "strict" if stream is sys.stdin else "backslashreplace"
            stream.reconfigure(encoding=encoding, errors=errors)


def printable(text: str) -> str:
    """Escape all non-printable characters but line breaks, as JSON does.

    They are control characters, those that change the direction of writing, and lone surrogates.
    JSON stays the same JSON.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json_text.dumps(c)[1:-1] for c in text)


def one_line(text: object) -> str:
    """Escape all non-printable characters, line breaks included."""
    return printable(str(text)).replace("\n", "\\n")


def print_text(text: str, *, err: bool = False) -> None:
    """Print text whose line breaks are the program's own."""
    stream = sys.stderr if err else sys.stdout
    try:
        print(printable(text), file=stream, flush=True)
    except OSError as error:
        if not _is_closed_terminal(stream, error):
            raise
        with open(os.devnull, "wb") as nothing:  # also for what the stream has buffered
            os.dup2(nothing.fileno(), stream.fileno())


def _is_closed_terminal(stream: TextIO, error: OSError) -> bool:
    """Return True if a write failed because the terminal is gone, of which SIGHUP informs too."""
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)


def print_lines(*lines: object, err: bool = False) -> None:
    """Print lines, each of which may contain any text."""
    print_text("\n".join(map(one_line, lines)), err=err)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a JSON document."""
    print_text(json_text.dumps(value, indent=indent, ensure_ascii=False))


def console(*, err: bool = False) -> Console:
    """Return a console that shows markup in text as it is, and control characters as escapes."""
    from rich.console import Console

    class EscapingConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return EscapingConsole(stderr=err, highlight=False, markup=False, emoji=False)


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    title: str = "",
    *,
    min_columns: int | None = None,
    optional: Sequence[int] = (),
) -> None:
    """Print a table, with numeric columns aligned to the right.

    If the terminal is too narrow, the columns at the indices `optional` are dropped in that order,
    then the last ones, but at least `min_columns` are shown. Without `min_columns`, or if these are
    still too wide, each row becomes a list of cells.
    """
    terminal = console()
    head = list(map(one_line, head))
    cells = [[_cell_text(cell) for cell in row] for row in rows]
    needed = _width_of([head, *cells])
    piped = not (terminal.is_terminal or "COLUMNS" in os.environ)
    for index, dropped in enumerate(optional):
        if piped or needed <= terminal.width:
            break
        place = dropped - sum(before < dropped for before in optional[:index])
        head, *cells = [[*row[:place], *row[place + 1 :]] for row in (head, *cells)]
        needed = _width_of([head, *cells])
    while not piped and needed > terminal.width and len(head) > (min_columns or len(head)):
        head, cells = head[:-1], [row[:-1] for row in cells]
        needed = _width_of([head, *cells])
    if piped:
        terminal.width = max(terminal.width, needed)
    draw = _as_lists if needed > terminal.width else _columns
    show(terminal, *draw(head, cells, one_line(title)))


def _cell_text(cell: Cell) -> str:
    return one_line(cell) if isinstance(cell, str) else "\n".join(map(one_line, cell))


def show(console: Console, *parts: RenderableType) -> None:
    """Print with rich, without trailing spaces."""
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


WIDE_COLUMN = 24
"""The column width, in characters, above which cells are wrapped rather than widened."""

LONG_NAME = 32
"""The length up to which a name is not broken."""


def _width_of(rows: Sequence[Sequence[str]]) -> int:
    """Return the line width, in characters, that the columns need."""
    longest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    limits = [LONG_NAME] + [WIDE_COLUMN] * (len(longest) - 1)
    return sum(min(width, limit) + 3 for width, limit in zip(longest, limits, strict=True)) + 1


def _columns(
    head: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if title:  # rich would wrap the title of a table to the table's width
        yield Text(title, "italic")
    table = Table(box=box.SIMPLE_HEAD)
    for index, name in enumerate(head):
        numeric = all(_numeric(row[index]) for row in rows)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=None if index else min(LONG_NAME, max(len(row[0]) for row in (head, *rows))),
        )
    for row in rows:
        table.add_row(*map(Text, row))
    yield table


def _as_lists(
    head: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    if title:
        yield Text(title, "italic")
    for first, *others in rows:
        yield Text(f"\n{first}", "bold")
        cells = Table.grid(padding=(0, 2))
        for name, cell in zip(head[1:], others, strict=True):
            cells.add_row(Text(name), Text(cell))
        yield Padding(cells, (0, 0, 0, 2))
    yield Text()


def print_prose(*lines: str, style: str = "") -> None:
    """Print lines of prose, wrapped to the width of the terminal."""
    from rich.text import Text

    terminal = console()
    terminal.soft_wrap = True
    text = "\n".join(map(one_line, lines))
    show(terminal, Text(wrapped(text, sys.stdout), style))


COMMAND_PREFIXES = ("usage: ", "help: ", "run: ", "next: ", "resume: ")
"""The prefixes of lines with a command to copy, which are not wrapped."""


def wrapped(text: str, stream: TextIO) -> str:
    """Wrap prose to the width of the terminal.

    Lines that are indented, or contain a command, are not wrapped.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        line
        if line.startswith((" ", *COMMAND_PREFIXES))
        else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def _numeric(text: str) -> bool:
    return not text.strip("0123456789.,-+e *") or text in ("", "nan")


@contextmanager
def data_file(path: str, suffix: str) -> Iterator[Path]:
    """Yield the path of a data file; for `-` and an address, that of a temporary copy."""
    if path != "-":
        yield local_path(path, Path()) if is_remote(path) else Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / f"standard-input{suffix}"
        with file.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield file
