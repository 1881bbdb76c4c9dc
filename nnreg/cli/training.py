"""Commands that train: run, resume."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg.cli import cli
from nnreg.cli.common import (
    allow_changed_option,
    figure,
    json_option,
    overrides_option,
    plugin_option,
    print_json,
    print_table,
    registry_with,
    spec_argument,
)
from nnreg.cli.completing import complete_run
from nnreg.cli.preparing import dry_run_option, preview

if TYPE_CHECKING:
    from nnreg.runs import Run

out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write. [default: runs/NAME-001]"
)
every_option = click.option(
    "--every",
    type=click.IntRange(min=1),
    help="Print a line every so many epochs. [default: about ten lines]",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print no progress.")


@cli.command()
@spec_argument
@overrides_option
@plugin_option
@out_option
@dry_run_option
@every_option
@quiet_option
@json_option
def run(
    spec: str,
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    out: Path | None,
    dry_run: bool,
    every: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the network of SPEC (- for standard input).

    \b
    nnreg run models/penguins.json
    nnreg run models/penguins.json --set train.epochs=5 --out runs/short
    """
    from nnreg.folder import numbered
    from nnreg.runs import start
    from nnreg.spec import read_spec

    document = read_spec(spec, overrides, registry=registry_with(files))
    if dry_run:
        preview(document, as_json=as_json)
        return
    _train(start(document, out=out or numbered(document.name)), every, quiet, as_json)


@cli.command()
@click.argument(
    "path",
    metavar="RUN",
    type=click.Path(path_type=Path, exists=True),
    shell_complete=complete_run,
)
@overrides_option
@plugin_option
@out_option
@allow_changed_option
@every_option
@quiet_option
@json_option
def resume(
    path: Path,
    overrides: tuple[str, ...],
    files: tuple[Path, ...],
    out: Path | None,
    allow_changed: bool,
    every: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Go on with a run as if it had never stopped.

    RUN is its folder, or a last.h5. --set may change the spec, to train longer for example.

    \b
    nnreg resume runs/penguins-001 --set train.epochs=200
    """
    from nnreg.folder import numbered
    from nnreg.runs import restart

    registry = registry_with(files)
    prepare = functools.partial(
        restart, path, overrides=overrides, registry=registry, allow_changed=allow_changed
    )
    prepared = prepare(out=out)
    if prepared.folder is None:
        prepared = prepare(out=numbered(path.stem))
    _train(prepared, every, quiet, as_json)


def _train(prepared: Run, every: int | None, quiet: bool, as_json: bool) -> None:
    from nnreg.errors import DataError, DivergedError

    epochs = prepared.model.spec.train.epochs
    on_epoch = None if quiet else _printer(epochs, every or max(epochs // 10, 1))
    try:
        prepared.train(on_epoch, signals=(signal.SIGINT, signal.SIGTERM))
    except (DivergedError, DataError) as error:
        kept = f"\nThe run {prepared.saved} is in {prepared.folder}/checkpoints/last.h5"
        raise type(error)(f"{error}{kept if prepared.summary['epochs'] else ''}") from error
    except KeyboardInterrupt as stopped:
        if not prepared.saved:
            raise
        click.echo(f"stopped; saved {prepared.saved}", err=True)
        click.echo(f"go on: nnreg resume {prepared.folder}", err=True)
        sys.exit(128 + (stopped.args[0] if stopped.args else signal.SIGINT))
    if as_json:
        print_json({**prepared.summary, "folder": str(prepared.folder)})
    else:
        _print_result(prepared)


def _printer(epochs: int, every: int) -> Callable[[dict[str, float]], None]:
    def print_line(record: dict[str, float]) -> None:
        epoch = int(record["epoch"])
        if epoch == 1 or epoch % every == 0 or epoch == epochs:
            figures = "  ".join(f"{k} {figure(v)}" for k, v in record.items() if k != "epoch")
            click.echo(f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {figures}", err=True)

    return print_line


def _print_result(prepared: Run) -> None:
    """Print what was learned, against a constant guess, and what to type next."""
    summary: dict[str, Any] = prepared.summary
    parts = [name for name in ("train", "validation", "test") if name in summary]
    names = list(summary["train"])
    rows = [[part, *(figure(summary[part][name]) for name in names)] for part in parts]
    if summary["baseline"]:
        guess = "always the mean" if prepared.model.classes is None else "always one class"
        base = summary["baseline"]
        rows.append([guess, *(figure(base[name]) if name in base else "" for name in names)])
    print_table(["", *names], rows, title=f"\n{summary['name']}: what was learned")
    early = " (stopped early)" if summary["stopped"] == "early_stopping" else ""
    click.echo(
        f"best epoch {summary['best_epoch']} of {summary['epochs']}{early}, "
        f"{summary['parameters']:,} parameters, {summary['seconds']:.1f} s"
    )
    click.echo(f"saved in {prepared.folder}")
    click.echo(f"next: nnreg predict {prepared.folder} DATA")
