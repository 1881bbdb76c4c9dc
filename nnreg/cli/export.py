"""The command that writes a model in another format: export."""

from __future__ import annotations

from pathlib import Path

import click

from nnreg._utils.formatting import byte_size
from nnreg.cli._complete import complete_format
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import print_json, print_lines
from nnreg.cli._registry import registry_with

EQUAL = "exactly those of nnreg"


@command()
@checkpoint_argument
@click.option(
    "--to", "form", metavar="FORMAT", shell_complete=complete_format,
    help="The format. [default: by the suffix of OUT]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), required=True,
    help="The file to write, or the directory for C.",
)  # fmt: skip
@click.option(
    "--set", "options", multiple=True, metavar="OPTION=VALUE",
    help="Set an option of the format, as in precision=double; may be repeated.",
)  # fmt: skip
@plugin_option
@allow_changed_option
@json_option
def export(
    checkpoint: Path,
    form: str | None,
    out: Path,
    options: tuple[str, ...],
    files: tuple[Path, ...],
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Write a model as ONNX, C, JavaScript or Python, or its weights.

    It then predicts without nnreg. What is written takes the columns of the data as they are,
    with missing values, and is checked: its answers for random rows must be those of nnreg.
    Weights alone are written as safetensors. `nnreg show c` has the options of a format.

    \b
    nnreg export runs/penguins-001 --out penguins.onnx
    nnreg export runs/penguins-001 --to c --out penguins
    nnreg export runs/penguins-001 --to c --set memory=static --out penguins
    """
    from nnreg.checkpoint.save_load import load
    from nnreg.exporters.api import export as export_model

    model = load(checkpoint, registry=registry_with(files), allow_changed=allow_changed)
    found = export_model(model, out, form, overrides=options)
    if as_json:
        print_json(
            {
                "path": str(found.path), "bytes": found.bytes, "rows": found.rows,
                "difference": found.difference,
            }
        )  # fmt: skip
        return
    if not found.rows:
        print_lines(f"written: {found.path} ({byte_size(found.bytes)}), weights and the spec")
        return
    checked = (
        "it cannot be run here, so that its answers were not checked"
        if found.difference is None
        else f"its answers for {found.rows} rows are "
        + (f"those of nnreg, at most {found.difference:.0e} off" if found.difference else EQUAL)
    )
    print_lines(f"written: {found.path} ({byte_size(found.bytes)}); {checked}")
