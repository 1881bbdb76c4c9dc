"""Help: commands by what they are for, and the nearest name for one that is mistyped."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import click

from nnreg._utils.suggestions import closest, did_you_mean, similarity

GROUPS = {
    "Train": ("init", "validate", "run", "resume"),
    "Use what was learned": ("predict", "evaluate"),
    "Look at runs": ("runs", "report", "plot", "compare", "inspect", "diff", "rerun"),
    "Extend": ("plugins", "show", "schema", "plugin"),
    "Set up": ("doctor", "completion"),
}
"""The commands under the headings of `nnreg --help`, in this order."""

SYNONYMS = {
    "train": ("run",), "fit": ("run",), "start": ("run",), "learn": ("run",),
    "continue": ("resume",), "restart": ("resume",),
    "eval": ("evaluate",), "test": ("evaluate",), "score": ("evaluate",),
    "infer": ("predict",), "classify": ("predict",), "apply": ("predict",),
    "list": ("runs", "plugins"), "ls": ("runs", "plugins"), "history": ("runs",),
    "check": ("validate", "plugin check"), "lint": ("validate",),
    "create": ("init", "plugin new"), "new": ("init", "plugin new"), "generate": ("init",),
    "describe": ("show", "inspect"), "info": ("show", "inspect", "doctor"), "summary": ("inspect",),
    "components": ("plugins",), "graph": ("plot",), "draw": ("plot",), "verify": ("inspect",),
    "install": ("completion",), "version": ("--version",), "help": ("--help",),
}  # fmt: skip
"""What other programs call it, and the commands that do it here."""

SETTINGS = {
    "lr": "optimizer.learning_rate",
    "learning_rate": "optimizer.learning_rate",
    "batch": "train.batch_size",
    "patience": "train.early_stopping.patience",
}
"""What people look for among the options, and where it is in a spec; beside the spec's own keys."""


class Formatter(click.HelpFormatter):
    """Writes help that a narrow terminal shows too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.width = max(min(shutil.get_terminal_size().columns, 80) - 2, 30)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names with what they mean, on a line of its own where a name is long."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class _Context(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    """A command that takes --debug too, and knows what a wrong option was meant to be."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options and arguments of a command line."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _mistyped(ctx, error.option_name, given) from None


class Group(click.Group):
    """Commands of commands. Without one of them it prints its help, and a wrong one it guesses."""

    context_class = _Context
    command_class = Command
    headings: ClassVar[Mapping[str, Sequence[str]]] = {}
    synonyms: ClassVar[Mapping[str, Sequence[str]]] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options in front of a command."""
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _mistyped(ctx, error.option_name, args) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line, or say which one may be meant."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            meant = [f"{ctx.command_path} {found}" for found in self.meant_by(name)]
            choices = f"; choose one of {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"no command {name!r}{did_you_mean(meant) or choices}", ctx)
        return super().resolve_command(ctx, args)

    def meant_by(self, name: str) -> list[str]:
        """Return the commands that a wrong name may stand for, the nearest first."""
        known: dict[str, Iterable[str]] = {command: (command,) for command in self.commands}
        known |= {word: filter(self._is_there, words) for word, words in self.synonyms.items()}
        nearest = closest(name.lower(), known)
        return list(dict.fromkeys(command for word in nearest for command in known[word]))

    def _is_there(self, words: str) -> bool:
        return words.startswith("-") or words.split()[0] in self.commands

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and the options after them."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its summary, under its heading."""
        width = max(map(len, self.commands))
        for heading, names in self._headed():
            rows = [(n.ljust(width), summary(self.commands[n])) for n in names]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _headed(self) -> Iterator[tuple[str, list[str]]]:
        rest = list(self.commands)
        for heading, names in self.headings.items():
            if there := [name for name in names if name in rest]:
                yield heading, there
                rest = [name for name in rest if name not in there]
        if rest:
            yield "Commands", rest


class Program(Group):
    """The group of all commands, under headings, which knows what other programs call them."""

    group_class = Group
    headings = GROUPS
    synonyms = SYNONYMS


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    return command.get_short_help_str(limit=1000)


def debug_option() -> click.Option:
    """Return an option that shows the traceback of an error; `main` looks for it."""
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
    )


def _mistyped(ctx: click.Context, option: str, args: Sequence[str]) -> click.UsageError:
    """Return what to say of an option that there is not: the nearest, or where it is in a spec."""
    options = {
        name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)
    }
    wanted = option.lstrip("-").lower().replace("-", "_")
    meant = closest(option.lower(), [name for name in options if name.startswith("-")])
    if "--set" in options:
        settings = _settings()
        near = closest(wanted, settings)
        if near and (not meant or similarity(wanted, near[0]) > similarity(option, meant[0])):
            meant = [f"--set {settings[near[0]]}={_value_after(option, args)}"]
    return click.UsageError(f"no option {option!r}{did_you_mean(meant)}", ctx)


def _settings() -> Mapping[str, str]:
    """Return where a spec has what people may look for among the options."""
    from nnreg.data.settings import Data, Split
    from nnreg.spec.sections import Checkpoint, Spec
    from nnreg.training.settings import Train

    sections = {"": Spec, "train.": Train, "data.": Data, "data.split.": Split,
                "checkpoint.": Checkpoint}  # fmt: skip
    own = {
        field.name: f"{prefix}{field.name}"
        for prefix, section in reversed(sections.items())
        for field in dataclasses.fields(section)
    }
    return own | SETTINGS


def _value_after(option: str, args: Sequence[str]) -> str:
    """Return the value that was given to an option, or a word for one."""
    for place, argument in enumerate(args):
        name, equals, value = argument.partition("=")
        if name == option and equals:
            return value
        if name == option and place + 1 < len(args) and not args[place + 1].startswith("-"):
            return args[place + 1]
    return "VALUE"


def command() -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator of a command; `app` lists the commands."""
    return click.command(cls=Command)


def group() -> Callable[[Callable[..., Any]], Group]:
    """Return the decorator of a command that has commands of its own."""
    return click.group(cls=Group)
