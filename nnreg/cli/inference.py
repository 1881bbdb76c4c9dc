"""Commands that use a trained model: evaluate, predict."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import click

from nnreg._utils import json_text
from nnreg._utils.atomic_files import replace_file
from nnreg._utils.formatting import number
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_file
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import data_file, print_json, print_table, printable
from nnreg.cli._progress import animated
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.interfaces.source import Source
    from nnreg.model.model import Model
    from nnreg.tables.table import Table


COPY_BUFFER_BYTES = 2**16
"""The number of characters copied at a time."""

SPOOL_BYTES = 2**24
"""The bytes of predictions kept in memory; more are kept on disk, until all are complete."""

_Predictions: TypeAlias = tuple[list[str], list[list[Any]]]


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
            results = {"data": model.evaluate_chunks(chunks)}
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
@allow_changed_option
@json_option
def predict(
    checkpoint: Path,
    data: str,
    files: tuple[Path, ...],
    out: Path | None,
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Print a prediction for each row of DATA, as CSV.

    The column `prediction` has the class or the number; for classes, one column
    `probability_CLASS` for each follows. DATA (- for standard input) has the columns that the
    model was trained on, in any order; others are ignored. For images, the column `name` has the
    file name.

    \b
    nnreg predict runs/penguins-001 new.csv > predictions.csv
    """
    from nnreg.checkpoint.save_load import load

    if out is not None and not out.parent.is_dir():
        raise click.UsageError(f"{out}: no directory {out.parent}; create it first")
    registry = registry_with(files)
    model = load(checkpoint, registry=registry, allow_changed=allow_changed)
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES, "w+", encoding="utf-8", newline="") as output:
        with _chunks(model, data, model.preprocessing.names) as chunks:
            write = _write_json if as_json else _write_csv
            write(output, (_with_row_names(chunk, _predictions(model, chunk)) for chunk in chunks))
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


def _write_csv(target: IO[str], chunks: Iterable[_Predictions]) -> None:
    writer = csv.writer(target, lineterminator="\n")
    for index, (head, rows) in enumerate(chunks):
        if not index:
            writer.writerow(head)
        writer.writerows(rows)


def _write_json(target: IO[str], chunks: Iterable[_Predictions]) -> None:
    """Write a JSON list of objects, one object at a time."""
    separator = "[\n"
    for head, rows in chunks:
        for row in rows:
            text = json_text.dumps(dict(zip(head, row, strict=True)), indent=2, ensure_ascii=False)
            target.write(separator + "  " + text.replace("\n", "\n  "))
            separator = ",\n"
    target.write("\n]\n" if separator == ",\n" else "[]\n")


def _with_row_names(table: Table, predictions: _Predictions) -> _Predictions:
    """Insert the row names as the first column, if the table has any."""
    head, rows = predictions
    if table.row_names is None:
        return head, rows
    return ["name", *head], [[table.row_label(n), *row] for n, row in enumerate(rows)]


def _predictions(model: Model, table: Table) -> _Predictions:
    """Return the column names, and one row for each row of the table."""
    import numpy as np

    if model.classes is not None:
        y = model.probabilities(table)
        if y.ndim > 2:
            raise click.UsageError("this model predicts sequences; use model.predict in Python")
        names = np.array(model.classes)[np.argmax(y, axis=-1)]
        head = ["prediction", *(f"probability_{name}" for name in model.classes)]
        return head, [[str(n), *row] for n, row in zip(names, y.tolist(), strict=True)]
    y = model.predict(table)
    y = y.reshape(len(y), -1)
    many = y.shape[1] > 1
    head = [f"prediction_{i}" for i in range(y.shape[1])] if many else ["prediction"]
    targets = model.spec.data.targets if model.spec.data else ()
    if many and len(targets) == y.shape[1]:
        head = [f"prediction_{name}" for name in targets]
    return head, y.tolist()


@contextmanager
def _chunks(model: Model, data: str, names: Sequence[str]) -> Iterator[Iterator[Table]]:
    """Yield these columns of a file in chunks, read with the source of the model's own data.

    On a terminal, a progress bar shows the fraction of the file that has been read.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from nnreg.data.ignored_categories import reported_at_the_end
    from nnreg.data.loading import read_chunks
    from nnreg.tables.convert import iter_chunks

    source = _source(model, data)
    suffix = Path(model.spec.data.path).suffix if model.spec.data else ".csv"
    bar = Progress(console=Console(stderr=True), transient=True)
    # not `disable=True`: rich before 14.3 still ends a disabled bar with a newline
    shown = bar if animated(sys.stderr) else nullcontext()

    def read() -> Iterator[Table]:
        task = bar.add_task(escape(printable(data)), total=1.0)
        for table in read_chunks(source, file, model.preprocessing.text):
            yield from iter_chunks(table, names)
            bar.update(task, completed=table.fraction_read)

    with reported_at_the_end(), data_file(data, suffix) as file, shown:
        yield read()


def _source(model: Model, data: str) -> Source:
    """Return the source of the model's own data, or of a file with another suffix."""
    from nnreg.builtin.sources.delimited import Csv
    from nnreg.data.loading import source_entry
    from nnreg.interfaces.source import Source
    from nnreg.spec.validation import Reader

    registry, section, path = model.document.registry, model.spec.data, Path(data)
    own = section.source if section else Csv()
    known = source_entry(path, registry)
    same_suffix = section is not None and path.suffix == Path(section.path).suffix
    if data == "-" or same_suffix or known is None or known.cls is type(own):
        return own
    return Reader(registry).read(Source, known.name)
