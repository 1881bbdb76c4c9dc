"""Commands that use a trained model: evaluate, predict, forecast."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from nnreg._utils import json_text
from nnreg._utils.atomic_files import replace_file
from nnreg._utils.formatting import number
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_file
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import console, data_file, one_line, print_json, print_table, printable
from nnreg.cli._progress import animated
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.interfaces.source import Source
    from nnreg.model.model import Model
    from nnreg.model.predicted_columns import Predictions
    from nnreg.tables.table import Table


COPY_BUFFER_BYTES = 2**16
"""The number of characters copied at a time."""

SPOOL_BYTES = 2**24
"""The bytes of predictions kept in memory; more are kept on disk, until all are complete."""


@command()
@checkpoint_argument
@click.argument("data", required=False, shell_complete=complete_file)
@plugin_option
@allow_changed_option
@json_option
def evaluate(
    checkpoint: Path,
    data: str | None,
    files: tuple[Path, ...],
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Print loss and metrics over the rows of DATA.

    CHECKPOINT is a file or a run directory; DATA may be - for standard input. Without DATA, the
    splits of the spec's own data are evaluated.

    \b
    nnreg evaluate runs/penguins-001 held-out.csv
    """
    from nnreg.checkpoint.save_load import load
    from nnreg.runs.prepare import prepare_from_checkpoint
    from nnreg.training.evaluation import reported

    registry = registry_with(files)
    model = load(checkpoint, registry=registry, allow_changed=allow_changed)
    if data is None:
        found = prepare_from_checkpoint(model).evaluate()
        results = {name: reported(one, f"the {name} split") for name, one in found.items()}
    else:
        columns = (*model.preprocessing.names, *model.preprocessing.target_names)
        with _chunks(model, data, columns) as chunks:
            results = {"data": model.evaluate_chunks(chunk.table for chunk in chunks)}
    if as_json:
        print_json(results)
        return
    names = model.evaluation.names
    rows = [[split, *(number(row[name]) for name in names)] for split, row in results.items()]
    print_table(["", *names], rows)


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
    with _output(out) as output, _chunks(model, data, model.preprocessing.names, kept) as chunks:
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
        with _chunks(model, data, model.preprocessing.names) as chunks:
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


def _with_names(model: Model, chunk: _Chunk, keep: Sequence[str]) -> Predictions:
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


class _Chunk(NamedTuple):
    """Rows as they were read, and as the model reads them."""

    read: Table
    table: Table


@contextmanager
def _chunks(
    model: Model, data: str, names: Sequence[str], keep: Sequence[str] = ()
) -> Iterator[Iterator[_Chunk]]:
    """Yield these columns of a file in chunks, read with the source of the model's own data.

    Those to `keep` are read as text.

    Rows that are grouped to sequences, or are in windows, are one chunk: those of a group may be
    anywhere in the file.
    On a terminal, a progress bar shows the fraction of the file that has been read.
    """
    from nnreg.cli._kept_columns import as_read_for_model
    from nnreg.data.loading import read_chunks, read_table
    from nnreg.data.observations import observed_together
    from nnreg.data.sequence_lengths import warned_of_empty
    from nnreg.data.settings import Columns
    from nnreg.tables.convert import iter_chunks

    source = _source(model, data)
    suffix = Path(model.spec.data.path).suffix if model.spec.data else ".csv"
    columns = model.spec.data or Columns()
    names = [*names, *columns.sequence_columns, *keep]
    text = {*model.preprocessing.text, *(columns.sequence_columns if columns.grouped else ())}
    if columns.windows is not None and columns.windows.group is not None:
        text.add(columns.windows.group)
    text.update(keep)

    def for_model(table: Table) -> Table:
        return as_read_for_model(table, keep, model, source) if keep else table

    def read() -> Iterator[_Chunk]:
        if columns.grouped or columns.windows is not None:
            whole = read_table(source, file, text)
            yield _Chunk(whole, for_model(whole))
            return
        warned = False
        for table in read_chunks(source, file, text):
            for part in iter_chunks(table, names):
                chunk = model.raw_rows.examples(for_model(part))
                warned = warned or warned_of_empty(chunk, model.preprocessing.names)
                yield _Chunk(part, chunk)
            show_fraction(table.fraction_read)

    with (
        observed_together(columns),
        data_file(data, suffix) as file,
        _progress_bar(data) as show_fraction,
    ):
        yield read()


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Yield a function that shows the fraction done, on a terminal."""
    if not animated(sys.stderr):
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    text = TextColumn("{task.description}", markup=False)
    terminal = console(err=True)
    with Progress(
        text, BarColumn(), TaskProgressColumn(), console=terminal, transient=True
    ) as progress:
        task = progress.add_task(one_line(title), total=1.0)
        yield lambda fraction: progress.update(task, completed=fraction)


def _source(model: Model, data: str) -> Source:
    """Return the source of the model's own data, or of a file with another suffix."""
    from nnreg.builtin.sources.delimited import Csv
    from nnreg.data.loading import source_entry, with_secrets
    from nnreg.interfaces.source import Source
    from nnreg.spec.validation import Reader

    registry, section, path = model.document.registry, model.spec.data, Path(data)
    own = section.source if section else Csv()
    if data == "-" or (section is not None and path.suffix == Path(section.path).suffix):
        return with_secrets(own)
    known = source_entry(path, registry)  # imports every source
    if known is None or known.cls is type(own):
        return with_secrets(own)
    return Reader(registry).read(Source, registry.reference(known))
