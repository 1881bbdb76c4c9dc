"""Which tables stay in their files, and which of their columns are in memory all the same."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg.data.files import readable, row_reader
from nnreg.data.settings import INPUTS, Data
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import NnregWarning, Problem, SpecError
from nnreg.interfaces.source import Source
from nnreg.tables.lazy import AnyColumn, StoredColumn
from nnreg.tables.survey import survey_table
from nnreg.tables.table import RowReader, Table

MAX_FRACTION = 1 / 5
"""The fraction of the memory that a table may take before its inputs stay in the file: preparing
them takes up to four times their size."""


class InMemory(NamedTuple):
    """The columns of a table that are in memory anyway, and why all others must be; "" if not.

    Of the others, inputs are those that are `listed`, by default all, but not those to `exclude`.
    """

    names: tuple[str, ...]
    obstacle: str
    listed: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def are_sequences(self, name: str, values: AnyColumn) -> bool:
        """Return whether a column is an input that cannot stay in its file."""
        used = name not in self.exclude and (self.listed is None or name in self.listed)
        return used and isinstance(values, StoredColumn) and values.sequences


def in_memory(data: Data, targets: Sequence[TargetColumns]) -> InMemory:
    """Return the columns that the split, the targets and the weights need for all rows."""
    names = [name for target in targets for name in target.columns]
    others = (data.split.group, data.split.order, data.sample_weights)
    names += [name for name in others if isinstance(name, str)]
    kept = tuple(dict.fromkeys(names))
    return InMemory(kept, _obstacle(data, names), data.listed, data.exclude)


def _obstacle(data: Data, names: Sequence[str]) -> str:
    """Return why the inputs of a spec must be in memory; empty if they may stay in their file."""
    if data.sequences is not None or data.windows is not None:
        return "sequences and windows are made of several rows"
    if data.groups:
        return "a network of several inputs has them in memory"
    if INPUTS in names or set(data.listed or ()) & set(names):
        return "columns that are both input and target, or weight, or of the split, are in memory"
    if not names:
        return "there is no target"
    encoders = [*data.columns.items(), ("", data.numbers), ("", data.categories)]
    for name, encoder in encoders:
        if encoder is None or name in names:
            continue
        if encoder.takes_target or encoder.makes_sequences or encoder.takes_lists:
            what = f"of column {name!r} " if name else ""
            return f"the encoder {what}needs all rows at once"
    return ""


def table_in_files(
    source: Source, path: Path, text: Collection[str], kept: InMemory
) -> Table | None:
    """Return a table whose inputs stay in its files; None if all of it is to be read to memory.

    They stay there if the source says so, or else if the table is large, of which a warning tells:
    the rows are then in another order in each epoch.
    """
    reader = _rows_that_stay(source, path, kept.obstacle)
    if reader is None:
        return None
    with readable(path):
        table = survey_table(reader, path, text, kept.names)
    if reader.required:
        return table
    if any(kept.are_sequences(name, values) for name, values in table.columns.items()):
        return None
    warnings.warn(
        f"{path}: about {byte_size(reader.size)} in memory, more than a fifth of it, so that rows "
        'stay in the file and are shuffled in windows; set "stream" of the source to true to do so '
        "on any machine, or to false",
        NnregWarning,
        stacklevel=2,
    )
    return table


def _rows_that_stay(source: Source, path: Path, obstacle: str) -> RowReader | None:
    """Return what reads rows of a file on demand; None if its table is read to memory."""
    reader = row_reader(source, path)
    if reader is None:
        return None
    if reader.required and obstacle:
        problem = f"{obstacle}, so that rows do not stay in the file; set it to false"
        raise SpecError([Problem("$.data.source.stream", problem)])
    large = exceeds_memory(reader.size, MAX_FRACTION)
    return reader if reader.required or (large and not obstacle) else None
