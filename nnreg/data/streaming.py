"""Which tables stay in their files, and which of their columns are in memory all the same."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg.data.files import row_reader
from nnreg.data.settings import INPUTS, Data
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import NnregWarning, Problem, SpecError
from nnreg.interfaces.source import Source
from nnreg.tables.table import RowReader

MAX_FRACTION = 1 / 5
"""The fraction of the memory that a table may take before its inputs stay in the file: preparing
them takes up to four times their size."""


class InMemory(NamedTuple):
    """The columns of a table that are in memory anyway, and why all others must be; "" if not."""

    names: tuple[str, ...]
    obstacle: str


def in_memory(data: Data, targets: Sequence[TargetColumns]) -> InMemory:
    """Return the columns that the split, the targets and the weights need for all rows."""
    names = [name for target in targets for name in target.columns]
    others = (data.split.group, data.split.order, data.sample_weights)
    names += [name for name in others if isinstance(name, str)]
    return InMemory(tuple(dict.fromkeys(names)), _obstacle(data, names))


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


def rows_that_stay(source: Source, path: Path, obstacle: str) -> RowReader | None:
    """Return what reads rows of a file on demand; None if its table is read to memory.

    It stays in the file if the source says so, or else if it is large, of which a warning tells:
    the rows are then in another order in each epoch.
    """
    reader = row_reader(source, path)
    if reader is None:
        return None
    if reader.required and obstacle:
        problem = f"{obstacle}, so that rows do not stay in the file; set it to false"
        raise SpecError([Problem("$.data.source.stream", problem)])
    if reader.required:
        return reader
    if obstacle or not exceeds_memory(reader.size, MAX_FRACTION):
        return None
    warnings.warn(
        f"{path}: about {byte_size(reader.size)} in memory, more than a fifth of it, so that rows "
        'stay in the file and are shuffled in windows; set "stream" of the source to true to do so '
        "on any machine, or to false",
        NnregWarning,
        stacklevel=2,
    )
    return reader
