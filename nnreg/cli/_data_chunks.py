"""The rows of a data file, read in chunks for a trained model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnreg.cli._output import console, data_file, one_line
from nnreg.cli._progress import animated

if TYPE_CHECKING:
    from nnreg.interfaces.source import Source
    from nnreg.model.model import Model
    from nnreg.tables.table import Table
    from nnreg.training.evaluation import Examples


class Chunk(NamedTuple):
    """Rows as they were read, and as the model reads them."""

    read: Table
    table: Table


@contextmanager
def chunks_of(
    model: Model, data: str, names: Sequence[str], keep: Sequence[str] = ()
) -> Iterator[Iterator[Chunk]]:
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

    def read() -> Iterator[Chunk]:
        if columns.grouped or columns.windows is not None:
            whole = read_table(source, file, text)
            yield Chunk(whole, for_model(whole))
            return
        warned = False
        for table in read_chunks(source, file, text):
            for part in iter_chunks(table, names):
                chunk = model.raw_rows.examples(for_model(part))
                warned = warned or warned_of_empty(chunk, model.preprocessing.names)
                yield Chunk(part, chunk)
            show_fraction(table.fraction_read)

    with (
        observed_together(columns),
        data_file(data, suffix) as file,
        progress_bar(data) as show_fraction,
    ):
        yield read()


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
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


def examples_of(model: Model, data: str) -> Examples:
    """Return the rows of a file that have a target, with that, as the model's network takes them.

    Their inputs are in memory.
    """
    from nnreg.data.missing_targets import parts_with_target
    from nnreg.tables.named import concatenate
    from nnreg.training.evaluation import Examples

    rows, targets = model.raw_rows, model.preprocessing.target_names
    with chunks_of(model, data, (*model.preprocessing.names, *targets)) as chunks:
        tables = (rows.examples(chunk.table, with_targets=True) for chunk in chunks)
        known = parts_with_target(tables, targets, rows.columns)
        parts = [model.examples(table, table) for table in known]
    if len(parts) == 1:
        return parts[0]
    arrays = zip(*((one.x, one.targets, one.raw_targets) for one in parts), strict=True)
    return Examples(*map(concatenate, arrays))
