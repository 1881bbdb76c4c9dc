"""What a shell completes, and the command that sets it up."""

from __future__ import annotations

import click

from nnreg.cli._help import command

RC_FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/config.fish"}


@command()
@click.argument("shell", type=click.Choice(list(RC_FILES)))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, components and runs.

    \b
    nnreg completion bash
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    script = kind(
        click.get_current_context().find_root().command, {}, "nnreg", "_NNREG_COMPLETE"
    ).source()
    load = f"nnreg completion {shell} | source"
    if shell != "fish":
        load = f'eval "$(nnreg completion {shell})"'
    click.echo(f"# To have it in every shell, add this line to {RC_FILES[shell]}:\n#   {load}")
    click.echo(script)
