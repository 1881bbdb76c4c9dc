"""The command that sets up shell completion."""

from __future__ import annotations

import click

from nnreg.cli._help import command
from nnreg.cli._output import print_text

RC_FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/config.fish"}


@command()
@click.argument("shell", type=click.Choice(list(RC_FILES)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    It completes commands, options, components, specs, runs and files.

    \b
    nnreg completion bash
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None  # click supports these three
    script = completion_class(
        click.get_current_context().find_root().command, {}, "nnreg", "_NNREG_COMPLETE"
    ).source()
    load = f"nnreg completion {shell} | source"
    if shell != "fish":
        load = f'eval "$(nnreg completion {shell})"'
    print_text(f"# To load it in every shell, add this line to {RC_FILES[shell]}:\n#   {load}")
    print_text(script)
