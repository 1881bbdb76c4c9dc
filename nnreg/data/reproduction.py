"""Targets that are inputs too: those of an autoencoder, or columns that a network could copy."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence

from nnreg.data.settings import INPUTS, Columns
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import NnregWarning
from nnreg.tables.table import Table


def resolve_inputs(
    targets: Sequence[TargetColumns], columns: Columns, table: Table
) -> list[TargetColumns]:
    """Return targets with the input columns in place of `"inputs"`, which is not a column."""
    return [
        one._replace(columns=columns.listed or ())
        if one.columns == (INPUTS,) and INPUTS not in table.columns
        else one
        for one in targets
    ]


def copies(targets: Collection[str], columns: Columns) -> list[str]:
    """Return the inputs that are targets too, except for inputs of which all columns are."""
    groups = columns.groups.values() or [columns.listed or ()]
    return [
        name
        for group in groups
        if not set(group) <= set(targets)
        for name in group
        if name in targets
    ]


def warn_of_copies(targets: Collection[str], columns: Columns, origin: str) -> None:
    """Warn if a network could copy a target from its inputs."""
    if copied := copies(targets, columns):
        warnings.warn(
            f"{origin}: column {copied[0]!r} is both an input and a target, which the network can "
            "copy; remove it from data.inputs",
            NnregWarning,
            stacklevel=2,
        )
