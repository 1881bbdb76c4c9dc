"""Commands that predict with a trained model: predict, forecast."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from nnreg._utils import json_text
from nnreg._utils.atomic_files import replace_file
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_file
from nnreg.cli._data_chunks import Chunk, chunks_of
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import one_line, printable
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.model.model import Model
    from nnreg.model.predicted_columns import Predictions


COPY_BUFFER_BYTES = 2**16
"""The number of characters copied at a time."""

SPOOL_BYTES = 2**24
"""The bytes of predictions kept in memory; more are kept on disk, until all are complete."""


@command()
@checkpoint_argument
@click.argument("data", shell_complete=complete_file)
@plugin_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead."
)
@click.option(
    "--escape-formulas",
    is_flag=True,
    help="Put a ' before text that a spreadsheet would run as a formula.",
)
@click.option(
    "--keep",
    metavar="COLUMN",
    multiple=True,
    help="Copy this column of DATA to the output. Repeatable.",
)
@allow_changed_option
@json_option
def predict(
    checkpoint: Path,
    data: str,
    files: tuple[Path, ...],
    out: Path | None,
    escape_formulas: bool,
    keep: tuple[str, ...],
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Print a prediction for each row of DATA, as CSV.

    The column `prediction` has the class or the number; for classes, one column
    `probability_CLASS` for each follows. With a class for each time step or pixel, a column
    `prediction_NUMBER` has it, counted from 0. DATA (- for standard input) has the columns that the
    model was trained on, in any order; others are ignored. For images, the column `name` has the
    file name. Columns of --keep precede the prediction, as text; a missing value is empty, or null.
    Predictions for the steps of a sequence are a JSON list; where each row of DATA is a step, there
    is one row for each. For windows of a time series, there is a row for each, with its group and
    its last time first; a column `prediction_NUMBER` has each of the steps after it, from 1 on, and
    `nnreg forecast` prints those after the last rows alone. A terminal shows control characters in
    names as escapes; files and pipes get them unchanged, as UTF-8.

    \b
    nnreg predict runs/penguins-001 new.csv > predictions.csv
    """
    from nnreg.checkpoint.save_load import load

    refuse_missing_directory(out)
    if escape_formulas and as_json:
        raise click.UsageError("--escape-formulas changes CSV only; leave it out with --json")
    registry = registry_with(files)
    model = load(checkpoint, registry=registry, allow_changed=allow_changed)
    kept = tuple(dict.fromkeys(keep))
    if kept and model.preprocessing.window is not None:
        raise click.UsageError("--keep copies a value of each row, but a window has several rows")
    with _output(out) as output, chunks_of(model, data, model.preprocessing.names, kept) as chunks:
        found = (_with_names(model, chunk, kept) for chunk in chunks)
        if as_json:
            _write_json(output, found)
        else:
            on_terminal = out is None and sys.stdout.isatty()
            _write_csv(output, found, _conversions(escape_formulas, on_terminal))


@command()
@checkpoint_argument
@click.argument("data", shell_complete=complete_file)
@plugin_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead."
)
@allow_changed_option
@json_option
def forecast(
    checkpoint: Path,
    data: str,
    files: tuple[Path, ...],
    out: Path | None,
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Print what comes after the last rows of a time series, as CSV.

    The model was trained with `data.window`. DATA (- for standard input) has the rows of the past:
    at least the length of a window of each group. There is a row for each group and each of the
    next steps, with the group, the time, which continues at the frequency of the training data, the
    number of the step, and the columns that `nnreg predict` prints.

    \b
    nnreg forecast runs/sales-001 sales.csv > next-week.csv
    """
    from nnreg.checkpoint.save_load import load

    refuse_missing_directory(out)
    model = load(checkpoint, registry=registry_with(files), allow_changed=allow_changed)
    with _output(out) as output:
        with chunks_of(model, data, model.preprocessing.names) as chunks:
            for chunk in chunks:
                columns = model.forecast(chunk.read)
        rows = [list(row) for row in zip(*(one.tolist() for one in columns.values()), strict=True)]
        found = [(list(columns), rows)]
        if as_json:
            _write_json(output, found)
        else:
            _write_csv(output, found, _conversions(False, out is None and sys.stdout.isatty()))


def refuse_missing_directory(out: Path | None) -> None:
    """Raise `UsageError` if the directory of the output does not exist."""
    if out is not None and not out.parent.is_dir():
        raise click.UsageError(f"{out}: no directory {out.parent}; create it first")


@contextmanager
def _output(out: Path | None) -> Iterator[IO[str]]:
    """Yield a file for the output, which is written to `out` or printed when all is complete."""
    with tempfile.SpooledTemporaryFile(
        SPOOL_BYTES, "w+", encoding="utf-8", errors="backslashreplace", newline=""
    ) as output:
        yield output
        output.seek(0)
        if out is None:
            shutil.copyfileobj(output, sys.stdout)
            return
        with os_errors_as(click.UsageError, out):
            replace_file(out, _copied(output))


def _copied(output: IO[str]) -> Iterator[tuple[int, bytes]]:
    """Yield the output in chunks, each with its offset."""
    position = 0
    while data := output.read(COPY_BUFFER_BYTES).encode():
        yield position, data
        position += len(data)


class _Lines:
    """A target of `csv.writer`, which quotes a carriage return only if its lines end with one."""

    def __init__(self, target: IO[str]) -> None:
        self._target = target

    def write(self, row: str) -> None:
        """Write a row that ends with both characters."""
        self._target.write(row[:-2] + "\n")


FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
"""The characters with which a formula begins in a spreadsheet, according to OWASP."""


def _without_formula(text: str) -> str:
    """Return text that a spreadsheet shows as it is; numbers stay numbers."""
    if not text.startswith(FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _conversions(escape_formulas: bool, on_terminal: bool) -> Sequence[Callable[[str], str]]:
    """Return the conversions of text in a cell; a file or pipe gets the data unchanged."""
    return [_without_formula] * escape_formulas + [one_line] * on_terminal


def _write_csv(
    target: IO[str], chunks: Iterable[Predictions], conversions: Sequence[Callable[[str], str]]
) -> None:
    writer = csv.writer(_Lines(target), lineterminator="\r\n")
    for index, (head, rows) in enumerate(chunks):
        cells = [[_cell(value) for value in row] for row in rows]
        shown = [head, *cells] if index == 0 else cells
        for convert in conversions:
            shown = [[convert(v) if isinstance(v, str) else v for v in row] for row in shown]
        writer.writerows(shown)


def _cell(value: Any) -> Any:
    """Return a value as it is written to a cell: a list as JSON."""
    return json_text.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _write_json(target: IO[str], chunks: Iterable[Predictions]) -> None:
    """Write a JSON list of objects, one object at a time."""
    separator = "[\n"
    for head, rows in chunks:
        for row in rows:
            text = json_text.dumps(dict(zip(head, row, strict=True)), indent=2, ensure_ascii=False)
            target.write(separator + "  " + printable(text).replace("\n", "\n  "))
            separator = ",\n"
    target.write("\n]\n" if separator == ",\n" else "[]\n")


def _with_names(model: Model, chunk: Chunk, keep: Sequence[str]) -> Predictions:
    """Return predictions after the kept columns, and after the row names if there are any."""
    from nnreg.cli._kept_columns import with_kept
    from nnreg.model.predicted_columns import predictions

    head, rows = predictions(model, chunk.table)
    if keep:
        columns = model.spec.data
        group = columns.sequence_columns[0] if columns and columns.grouped else None
        head, rows = with_kept(chunk.read, keep, (head, rows), group)
    table = chunk.table
    if table.row_names is None:
        return head, rows
    return ["name", *head], [[table.row_label(n), *row] for n, row in enumerate(rows)]
