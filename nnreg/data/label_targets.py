"""Targets of several labels per row, from one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Len

from nnreg._types import Array
from nnreg.builtin.encoders.categories import require_distinct
from nnreg.data.input_columns import raw_column
from nnreg.data.targets import NumericTarget, Target
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.encoder import Encoder
from nnreg.tables.columns import categorical, require_all
from nnreg.tables.label_cells import label_matrix
from nnreg.tables.table import Table


@dataclass(frozen=True)
class LabelTarget(NumericTarget):
    """A target of labels: a number for each, 1 if a row has it and 0 if not.

    A label that is not among `labels` is refused, unless `ignore_unseen`.
    """

    type: Literal["labels"] = "labels"
    labels: Annotated[tuple[str, ...], Len(1)] = ("",)
    separator: Annotated[str, Len(1)] = ";"
    ignore_unseen: bool = False

    def __post_init__(self) -> None:
        require_distinct("labels", self.labels, self.labels)
        zeros, ones = (0.0,) * len(self.labels), (1.0,) * len(self.labels)
        if self.single or len(self.names) != 1 or (self.mean, self.std) != (zeros, ones):
            raise ValueError("labels: need one column, means of 0 and deviations of 1")

    def encode(self, table: Table) -> Array:
        """Return `(rows, labels)`, 0 and 1."""
        (name,) = self.names
        cells = categorical(table, name)
        require_all(table, name, cells.codes < 0)
        found = label_matrix(
            table, name, cells, self.separator, self.labels, ignore_unseen=self.ignore_unseen
        )
        return np.minimum(found[:, :-1], 1)

    def chosen(self, probabilities: Array) -> list[list[str]]:
        """Return the labels of each row that are more probable than not."""
        return [
            [label for label, p in zip(self.labels, row, strict=True) if p > 0.5]
            for row in probabilities.tolist()
        ]

    def joined(self, probabilities: Array) -> list[str]:
        """Return the labels of each row as the text of a cell."""
        return [self.separator.join(labels) for labels in self.chosen(probabilities)]


def why_no_classes(targets: Sequence[Target]) -> str:
    """Return what targets without classes are instead."""
    if any(isinstance(one, LabelTarget) for one in targets):
        return "the target has several labels per row"
    numeric = any(isinstance(one, NumericTarget) and one.names for one in targets)
    return "the target is numeric" if numeric else "no target"


def fit_label_target(train: Table, name: str, encoder: Encoder) -> LabelTarget:
    """Return the target of the labels that a column of the training rows has."""
    from nnreg.builtin.encoders import Labels  # a module is loaded only where it is used

    problem = ""
    if not isinstance(encoder, Labels):
        problem = f'{name!r} is a target of lists, whose encoder is "labels"; choose it'
    elif encoder.counts:
        problem = f'the target {name!r} has a label or not; remove "counts"'
    if problem or not isinstance(encoder, Labels):
        raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    found = encoder.learn(raw_column(train, name, encoder))
    if not found.labels:
        raise DataError(f"{train.origin}: no training row has a label in column {name!r}")
    ignore = found.ignore_unseen or found.other
    zeros, ones = (0.0,) * len(found.labels), (1.0,) * len(found.labels)
    return LabelTarget(
        (name,), zeros, ones, labels=found.labels, separator=found.separator, ignore_unseen=ignore
    )
