"""Help: commands by topic, and suggestions for mistyped commands and options."""

from __future__ import annotations

import dataclasses
import shutil
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import click
from click.exceptions import Exit
from click.shell_completion import CompletionItem

from nnreg._utils.metadata_search import commands_declared
from nnreg._utils.references import resolve
from nnreg._utils.suggestions import closest, did_you_mean, similarity
from nnreg.errors import NnregError, PluginError

RUNNING_PLUGIN = "nnreg.plugin"
"""The key in a context's `meta` of the plugin whose command runs."""

GROUPS = {
    "Train": ("example", "init", "validate", "lr-find", "run", "resume", "sweep"),
    "Use a model": ("predict", "forecast", "evaluate", "calibrate", "export", "serve"),
    "Examine runs": ("runs", "report", "plot", "compare", "inspect", "diff", "rerun"),
    "Extend": ("plugins", "show", "schema", "plugin"),
    "Set up": ("doctor", "completion"),
}
"""The headings of `nnreg --help`, in order, and their commands."""

SYNONYMS = {
    "train": ("run",), "fit": ("run",), "start": ("run",), "learn": ("run",),
    "tune": ("sweep",), "search": ("sweep",), "grid": ("sweep",), "sweeps": ("sweep",),
    "continue": ("resume",), "restart": ("resume",),
    "eval": ("evaluate",), "test": ("evaluate",), "score": ("evaluate",),
    "infer": ("predict",), "classify": ("predict",), "apply": ("predict",),
    "list": ("runs", "plugins"), "ls": ("runs", "plugins"), "history": ("runs",),
    "check": ("validate", "plugin check"), "lint": ("validate",),
    "create": ("init", "plugin new"), "new": ("init", "plugin new"), "generate": ("init",),
    "describe": ("show", "inspect"), "info": ("show", "inspect", "doctor"), "summary": ("inspect",),
    "components": ("plugins",), "graph": ("plot",), "draw": ("plot",), "verify": ("inspect",),
    "demo": ("example",), "models": ("example",), "server": ("serve",),
    "install": ("completion",), "convert": ("export",), "deploy": ("export", "serve"),
    "temperature": ("calibrate",), "importance": ("evaluate",),
    "version": ("--version",), "help": ("--help",),
}  # fmt: skip
"""Command names of other programs, and the commands that do the same here."""

SETTINGS = {
    "lr": "optimizer.learning_rate",
    "learning_rate": "optimizer.learning_rate",
    "batch": "train.batch_size",
    "patience": "train.early_stopping.patience",
}
"""Names that users may try as options, and their spec paths, in addition to the spec's own keys."""


class Formatter(click.HelpFormatter):
    """Formats help to the width of the terminal, at most 80 columns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.width = max(min(shutil.get_terminal_size().columns, 80) - 2, 30)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a definition list, giving long names a line of their own."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class _Context(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    """A command with a --debug option, which suggests a correction for a mistyped option."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options and arguments of a command line."""
        original = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _mistyped(ctx, error.option_name, original) from None


class CommandTable(UserDict[str, Any]):
    """Commands by name, as references; the module of a command is imported on first access."""

    def __getitem__(self, name: str) -> click.Command:
        command = self.data[name]
        if isinstance(command, str):
            command = self.data[name] = resolve(command)
        return cast(click.Command, command)


class Group(click.Group):
    """A group of commands, which prints its help if none is given, and suggests a correction."""

    context_class = _Context
    command_class = Command
    headings: ClassVar[Mapping[str, Sequence[str]]] = {}
    synonyms: ClassVar[Mapping[str, Sequence[str]]] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the command."""
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _mistyped(ctx, error.option_name, args) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a command line. Raise `UsageError` with suggestions if unknown."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            similar = [f"{ctx.command_path} {found}" for found in self.suggestions(name)]
            choices = f"; choose one of {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"no command {name!r}{did_you_mean(similar) or choices}", ctx)
        return super().resolve_command(ctx, args)

    def suggestions(self, name: str) -> list[str]:
        """Return the commands that a mistyped name may mean, the most similar first."""
        known: dict[str, Iterable[str]] = {command: (command,) for command in self.commands}
        known |= {name: filter(self._exists, commands) for name, commands in self.synonyms.items()}
        similar = closest(name.lower(), known)
        return list(dict.fromkeys(command for name in similar for command in known[name]))

    def _exists(self, command: str) -> bool:
        return command.startswith("-") or command.split()[0] in self.commands

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its summary under its heading."""
        width = max(map(len, self.commands))
        for heading, names in self._by_heading():
            rows = [(n.ljust(width), summary(self.commands[n])) for n in names]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _by_heading(self) -> Iterator[tuple[str, list[str]]]:
        rest = list(self.commands)
        for heading, names in self.headings.items():
            if existing := [name for name in names if name in rest]:
                yield heading, existing
                rest = [name for name in rest if name not in existing]
        if rest:
            yield "Commands", rest


class Program(Group):
    """The top-level group, with headings and the synonyms of other programs."""

    group_class = Group
    headings = GROUPS
    synonyms = SYNONYMS

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a command line; one that is not built in may be a plugin's."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            from nnreg.cli._plugin_commands import find

            if found := find(ctx, name, self.commands):
                ctx.meta[RUNNING_PLUGIN] = found.plugin
                return name, found.command, args[1:]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. What one of a plugin returns is ignored, and its errors name the plugin.

        Raises `PluginError` instead of an error that neither nnreg nor click knows.
        """
        known = (NnregError, click.ClickException, click.Abort, Exit, BrokenPipeError, MemoryError)
        try:
            result = super().invoke(ctx)
        except known:
            raise
        except Exception as error:
            plugin = ctx.meta.get(RUNNING_PLUGIN)
            if plugin is None:
                raise
            from nnreg.interfaces.returned import plugin_line

            raise PluginError(
                f"{type(error).__name__}: {error}{plugin_line(error)}; this is a bug in plugin "
                f"{plugin.name} ({plugin.provider}); nnreg --debug {ctx.invoked_subcommand} shows "
                "where"
            ) from error
        return None if RUNNING_PLUGIN in ctx.meta else result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the built-in commands, and the names of those that distributions declare."""
        super().format_commands(ctx, formatter)
        rows = [(name, f"from {distribution}") for name, distribution in self._declared()]
        if rows:
            with formatter.section("Plugins"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the matching commands and options."""
        return [
            *super().shell_complete(ctx, incomplete),
            *(
                CompletionItem(name, help=f"from {distribution}")
                for name, distribution in self._declared()
                if name.startswith(incomplete)
            ),
        ]

    def _declared(self) -> list[tuple[str, str]]:
        """Return the commands of plugins, without importing what reads metadata if none has any."""
        if not commands_declared():
            return []
        from nnreg.cli._plugin_commands import declared

        return declared(self.commands)


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    return command.get_short_help_str(limit=1000)


def debug_option() -> click.Option:
    """Return the option --debug; `main` reads it."""
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
    )


def _mistyped(ctx: click.Context, option: str, args: Sequence[str]) -> click.UsageError:
    """Return the error for an unknown option, with a similar option or spec setting."""
    options = {
        name for param in ctx.command.params for name in (*param.opts, *param.secondary_opts)
    }
    wanted = option.lstrip("-").lower().replace("-", "_")
    similar = closest(option.lower(), [name for name in options if name.startswith("-")])
    if "--set" in options:
        settings = _settings()
        found = closest(wanted, settings)
        if found and (not similar or similarity(wanted, found[0]) > similarity(option, similar[0])):
            similar = [f"--set {settings[found[0]]}={_value_after(option, args)}"]
    return click.UsageError(f"no option {option!r}{did_you_mean(similar)}", ctx)


def _settings() -> Mapping[str, str]:
    """Return the spec paths of settings that users may try as options."""
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
    """Return the value that was given to an option, or a placeholder."""
    for index, argument in enumerate(args):
        name, equals, value = argument.partition("=")
        if name == option and equals:
            return value
        if name == option and index + 1 < len(args) and not args[index + 1].startswith("-"):
            return args[index + 1]
    return "VALUE"


def command() -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator of a command; `app` lists the commands."""
    return click.command(cls=Command)


def group() -> Callable[[Callable[..., Any]], Group]:
    """Return the decorator of a command with subcommands."""
    return click.group(cls=Group)
