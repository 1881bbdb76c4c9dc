"""Options and arguments shared by several commands."""

from __future__ import annotations

from pathlib import Path

import click

from nnreg.cli._complete import complete_run, complete_spec

overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change the spec, as in train.epochs=5; may be repeated.",
)
plugin_option = click.option(
    "--plugin",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),  # that it exists is checked by all ranks together
    help="Load a plugin from a file; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
check_option = click.option(
    "--no-check", "check", is_flag=True, flag_value=False, default=True,
    help="Do not test the components of plugins first.",
)  # fmt: skip
allow_changed_option = click.option(
    "--allow-changed",
    is_flag=True,
    help="Load it even if plugins behave differently from when it was saved.",
)
spec_argument = click.argument("spec", shell_complete=complete_spec)
checkpoint_argument = click.argument(
    "checkpoint", type=click.Path(path_type=Path), shell_complete=complete_run
)
