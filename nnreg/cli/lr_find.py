"""The command that draws the loss over the learning rate: lr-find."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnreg._utils.formatting import number
from nnreg.cli._help import command
from nnreg.cli._options import (
    check_option,
    json_option,
    overrides_option,
    plugin_option,
    spec_argument,
)
from nnreg.cli._output import print_json, print_lines, print_table
from nnreg.cli._registry import registry_with
from nnreg.cli.report import draw_into

if TYPE_CHECKING:
    from nnreg.plotting.chart import Chart
    from nnreg.runs.lr_find import RateCurve

ROWS = 12
"""The most rows of the table."""


@command()
@spec_argument
@overrides_option
@plugin_option
@check_option
@click.option("--from", "lowest", type=float, default=1e-6, show_default=True, help="First rate.")
@click.option("--to", "highest", type=float, default=10.0, show_default=True, help="Last rate.")
@click.option("--steps", type=int, default=100, show_default=True, help="Steps in between.")
@click.option(
    "--plot",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the losses into this file: .svg, .png or .pdf.",
)
@json_option
def lr_find(
    spec: str,
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    check: bool,
    lowest: float,
    highest: float,
    steps: int,
    file: Path | None,
    as_json: bool,
) -> None:
    """Show the loss over the learning rate, and suggest a rate.

    A network is trained for some steps, each with a higher rate, until its loss rises, and is then
    discarded: no run is written. The suggestion is where the loss falls most steeply.

    \b
    nnreg example digits
    nnreg lr-find digits.json
    nnreg lr-find digits.json --from 1e-4 --to 1 --plot rates.svg
    """
    from nnreg.runs.lr_find import rate_curve, rate_option
    from nnreg.runs.prepare import prepare_from_spec
    from nnreg.spec.document import read_spec
    from nnreg.spec.overrides import set_options

    planned = (f"train.epochs={max(steps, 1)}", "train.early_stopping=null")
    document = read_spec(spec, (*overrides, *planned), registry=registry_with(files))
    prepared = prepare_from_spec(document)
    with document.locating_errors():
        found = rate_curve(prepared, lowest, highest, steps, check=check)
    if file is not None:
        draw_into([_chart(found)], file, "the table has the losses")
    option, suggested = rate_option(document.spec.optimizer), found.suggested
    if as_json:
        print_json({
            "learning_rates": found.rates.tolist(), "losses": found.losses.tolist(),
            "option": option, "suggested": suggested,
        })  # fmt: skip
        return
    smooth = found.smooth
    rows = [[number(found.rates[k]), number(smooth[k])] for k in _shown(len(smooth))]
    print_table(["learning rate", "loss"], rows)
    if suggested is None:
        print_lines("the loss does not fall; try other rates with --from and --to")
        return
    given = f"{suggested:.2g}"
    print_lines(f"suggested: {given}, where the loss falls most steeply")
    if document.texts[-1].path:
        options = set_options((*overrides, f"{option}={given}"))
        print_lines(f"next: {shlex.join(['nnreg', 'run', document.origin, *options])}")


def _shown(count: int) -> list[int]:
    """Return the steps of the rows of the table, with the first and the last."""
    last = max(count - 1, 0)
    rows = min(ROWS, count)
    return [round(k * last / max(rows - 1, 1)) for k in range(rows)]


def _chart(found: RateCurve) -> Chart:
    from nnreg.plotting.chart import DOTTED, Chart, Curve, fit, spans_decades
    from nnreg.plotting.palette import BLUE, INK

    curves = [
        Curve("loss of each step", found.rates, found.losses, INK, DOTTED, width=1),
        Curve("mean", found.rates, found.smooth, BLUE),
    ]
    losses = [found.smooth]
    across = fit("learning rate", [found.rates], logarithmic=True, margin=0.02)
    up = fit("loss", losses, logarithmic=spans_decades(losses))
    mark = found.suggested
    return Chart(across, up, curves, mark=None if mark is None else (mark, f"{mark:.2g}"))
