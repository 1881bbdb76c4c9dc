"""The command that lists and copies the example models: example."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from nnreg.cli._help import command
from nnreg.cli._options import json_option
from nnreg.cli._output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from nnreg.starter.examples import Example


def complete_example(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the examples whose name starts with the input."""
    from nnreg.starter.examples import EXAMPLES

    found = (example for example in EXAMPLES.values() if example.name.startswith(incomplete))
    return [CompletionItem(example.name, help=example.shows) for example in found]


@command()
@click.argument("name", required=False, shell_complete=complete_example)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIRECTORY",
    help="The directory to copy into. [default: the current one]",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@json_option
def example(name: str | None, out: Path, force: bool, as_json: bool) -> None:
    """List example models, or copy one.

    Each is a spec with its data. Without NAME they are listed, each with what it shows, the number
    of rows, and the size of its files. An existing file with the same content is kept.

    \b
    nnreg example
    nnreg example penguins
    nnreg example digits --out digits
    """
    from nnreg.starter.examples import EXAMPLES, copy
    from nnreg.starter.examples import example as find

    if name is None:
        _list(EXAMPLES.values(), as_json=as_json)
        return
    found = find(name)
    paths = copy(found, out, force=force)
    making = f"pip install --no-deps {found.made_after}", _line("python", paths[-1], name)
    steps = [*(making if found.made_after else ()), _line("nnreg", "run", paths[0])]
    if as_json:
        print_json({"files": list(map(str, paths)), "next": steps})
        return
    print_lines(*(f"wrote {path}" for path in paths), *(f"next: {step}" for step in steps))


def _line(*words: object) -> str:
    return shlex.join(map(str, words))


def _list(examples: Iterable[Example], *, as_json: bool) -> None:
    """Print one line for each example, and how to copy one."""
    if as_json:
        facts = ("name", "shows", "rows", "size", "files")
        print_json([{fact: getattr(one, fact) for fact in facts} for one in examples])
        return
    from nnreg._utils.formatting import byte_size

    rows = [
        (
            one.name,
            one.shows,
            f"{one.rows:,}",
            "to make" if one.made_after else byte_size(one.size),
        )
        for one in examples
    ]
    print_table(("example", "shows", "rows", "size"), rows)
    print_lines("next: nnreg example penguins")
