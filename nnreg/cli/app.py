"""The command line. Results go to standard output, progress and errors to standard error.

The module of a command is imported when it is called, and slow modules inside the commands that
need them, so that help is quick. Each command calls the library and prints; nothing here is part of
the Python API.
"""

from __future__ import annotations

import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import click

from nnreg._version import __version__
from nnreg.cli._help import CommandTable, Program, debug_option
from nnreg.cli._output import one_line, prepare_streams, print_lines, print_text, wrapped
from nnreg.errors import MissingPluginError, NnregError, NnregWarning
from nnreg.kernels.compiling import telling
from nnreg.ranks.variables import rank_started


def _names_to_block(
    context: click.Context, _: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("no:") or value == "no:":
            raise click.BadParameter(f"expected no:NAME, found {value!r}; a file is --plugin FILE")
    return tuple(value.removeprefix("no:") for value in values)


COMMANDS = {
    "example": ["example"],
    "init": ["init"],
    "validate": ["validate"],
    "lr_find": ["lr-find"],
    "train": ["run", "resume"],
    "sweep": ["sweep"],
    "inference": ["predict", "forecast"],
    "evaluate": ["evaluate"],
    "calibrate": ["calibrate"],
    "export": ["export"],
    "serve": ["serve"],
    "runs": ["runs"],
    "report": ["report", "plot"],
    "compare": ["compare"],
    "checkpoints": ["inspect", "diff", "rerun"],
    "components": ["plugins", "show", "schema"],
    "plugin": ["plugin"],
    "doctor": ["doctor"],
    "completion": ["completion"],
}
"""The commands of each module; the function of `lr-find` is `lr_find`."""


@click.group(
    cls=Program,
    commands=CommandTable(
        {
            name: f"nnreg.cli.{module}:{name.replace('-', '_')}"
            for module, names in COMMANDS.items()
            for name in names
        }
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command has help with examples: nnreg run --help. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or invalid spec, 3 the training diverged, "
    "4 a plugin is missing, 129, 130 or 143 stopped by SIGHUP, Ctrl-C or SIGTERM.",
)
@click.version_option(__version__, message="nnreg %(version)s")
@click.option(
    "-p",
    "blocked",
    multiple=True,
    metavar="no:NAME",
    callback=_names_to_block,
    help="Block a plugin, by its name in `nnreg plugins` or by its distribution.",
)
def cli(blocked: tuple[str, ...]) -> None:
    """Train neural networks from a JSON spec, computed with NumPy.

    Train a first network and predict with it:

    \b
    nnreg example penguins
    nnreg run penguins.json
    nnreg predict runs/penguins-001 penguins.csv

    Train on your own table:

    \b
    nnreg init data.csv
    nnreg run data.json
    """


cli.params.append(debug_option())


def main(args: list[str] | None = None) -> None:
    """Run a command and exit with its code. Print an error as one message, without a traceback."""
    args = sys.argv[1:] if args is None else args
    debug = "--debug" in args
    prepare_streams(silent=rank_started() > 0)
    try:
        with _printing_notes():
            code = cli.main(args, prog_name="nnreg", standalone_mode=False)
    except click.ClickException as error:
        code = _fail(*_usage(error), code=error.exit_code, debug=debug)
    except NnregError as error:
        first, *others = error.lines
        if isinstance(error, MissingPluginError) and error.file:
            others.append(f"run: {shlex.join(['nnreg', *args, '--plugin', error.file])}")
        code = _fail(f"error: {first}", *others, code=error.exit_code, debug=debug)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("stopped", code=130)
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except MemoryError:
        code = _fail("error: out of memory; use a smaller network, batch or file", debug=debug)
    except Exception as error:
        advice = f"this is a bug in nnreg or in a plugin{_plugin_check(args)}; --debug shows where"
        code = _fail(f"error: {type(error).__name__}: {error}; {advice}", debug=debug)
    sys.exit(code if isinstance(code, int) else 0)


def _plugin_check(args: list[str]) -> str:
    """Return the command that checks a plugin file of these arguments, in parentheses."""
    files = [file for option, file in pairwise(args) if option == "--plugin"]
    return f" (nnreg plugin check {shlex.quote(files[0])} may find it)" if files else ""


def _usage(error: click.ClickException) -> list[str]:
    """Return what is wrong with a command line, and the command's usage."""
    message = error.format_message().rstrip(".").replace("\n\t", " ")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    text = f"error: {message}"
    context = getattr(error, "ctx", None)
    if context is None:
        return [text]
    usage = context.get_usage().removeprefix("Usage: ")
    return [text, *f"usage: {usage}".split("\n"), f"help: {context.command_path} --help"]


@contextmanager
def _printing_notes() -> Iterator[None]:
    """Print nnreg's own warnings as notes, one per line, each once: a fold repeats the others'."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", NnregWarning)

        def note(text: str) -> None:
            if text not in shown:
                shown.add(text)
                print_lines(f"note: {text}", err=True)

        def show(
            message: Any, category: type[Warning], filename: str, lineno: int,
            file: Any = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if issubclass(category, NnregWarning):
                note(str(message))
            else:
                text = one_line(message)
                text = warnings.formatwarning(text, category, filename, lineno, line)
                print_text(text.removesuffix("\n"), err=True)

        warnings.showwarning = show
        with telling(note):
            yield


def _fail(*lines: str, code: int = 1, debug: bool = False) -> int:
    if debug:
        print_text(traceback.format_exc(), err=True)
    print_text("\n".join(wrapped(one_line(line), sys.stderr) for line in lines), err=True)
    return code
