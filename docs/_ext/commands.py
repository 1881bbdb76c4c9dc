"""The reference of the command line, written from click's own objects."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click
from markdown import directive, plain, table
from sphinx.application import Sphinx

from nnreg.cli.app import cli


def commands() -> str:
    """Return a section for the program and for each of its commands."""
    return "\n".join(
        command(context) for context in contexts(click.Context(cli, info_name="nnreg"))
    )


def contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command, and those of its subcommands."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            child = context.command.get_command(context, name)
            assert child is not None
            yield from contexts(click.Context(child, info_name=name, parent=context))


def command(context: click.Context) -> str:
    """Return the section of a command: its usage, help, and options."""
    usage = " ".join(context.command.get_usage(context).removeprefix("Usage: ").split())
    records = [param.get_help_record(context) for param in context.command.get_params(context)]
    rows = [
        [f"`{name}`".replace("|", r"\|"), plain(meaning)]
        for name, meaning in filter(None, records)
        if meaning
    ]
    return "\n\n".join([
        f"## {context.command_path}",
        f"```text\n{usage}\n```",
        paragraphs(context.command.help or ""),
        table(["Option", "Meaning"], rows),
        plain(getattr(context.command, "epilog", None) or ""),
    ])  # fmt: skip


def paragraphs(text: str) -> str:
    r"""Return a help text as Markdown; those that click does not wrap, after a \b, as code."""
    parts = re.split(r"\n\n", inspect.cleandoc(text))
    return "\n\n".join(
        f"```sh\n{part.removeprefix(chr(8)).strip(chr(10))}\n```"
        if part.startswith("\b")
        else plain(part)
        for part in parts
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", directive(lambda _: commands()))
    return {"parallel_read_safe": True}
