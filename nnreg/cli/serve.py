"""The command that answers requests for predictions: serve."""

from __future__ import annotations

import warnings
from pathlib import Path

import click

from nnreg._utils.extras import needed
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, plugin_option
from nnreg.cli._output import print_lines
from nnreg.cli._registry import registry_with
from nnreg.errors import NnregWarning


@command()
@checkpoint_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
    help="The port; 0 for a free one.",
)  # fmt: skip
@plugin_option
@allow_changed_option
def serve(
    checkpoint: Path, host: str, port: int, files: tuple[Path, ...], allow_changed: bool
) -> None:
    """Answer requests for predictions, in JSON over HTTP.

    POST /predict takes a row, an object of values by column, or a list of rows; GET /openapi.json
    describes them, and GET / shows an example. By default, only programs on this machine reach it.
    Ctrl-C or SIGTERM stops it after the requests that have begun. It needs the extra `serve`.

    \b
    nnreg serve runs/penguins-001
    """
    with needed("nnreg serve", "the server", "starlette and uvicorn", "serve"):
        from nnreg.serve.server import serve as answer_requests

    from nnreg.checkpoint.save_load import load

    model = load(checkpoint, registry=registry_with(files), allow_changed=allow_changed)
    warnings.simplefilter("ignore", NnregWarning)  # of rows of requests
    name = model.document.name
    answer_requests(
        model, host, port,
        on_start=lambda at: print_lines(f"{name}: {at} (Ctrl-C stops it)", err=True),
    )  # fmt: skip
