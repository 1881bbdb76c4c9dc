"""Encoders of cells with several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Len

from nnreg._types import Array, Shape
from nnreg._utils.json_text import dumps
from nnreg.builtin.encoders.categories import require_distinct
from nnreg.interfaces.component import Count
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.tables.label_cells import label_counts, label_matrix, labels_of, most_frequent_labels


@dataclass(frozen=True)
class Labels(Encoder):
    """Several labels in a cell, such as "garden;balcony", a JSON list of them, or a Python list.

    y[k] = 1 if the cell has the k-th label, 0 if not

    A missing cell has none. A target of labels has several per row: its network ends in a sigmoid
    of `"units": "classes"` outputs, with the loss `binary_cross_entropy`.

    Options:
        separator: What separates labels; spaces around them are not part of them.
        counts: Whether y is how often the cell has the label. A target has no counts.
        max_labels: How many of the most frequent labels are kept. All others are one more; for a
            target, they are ignored.
        unseen: Whether to "refuse" or "ignore" a label that is not in the training rows; null for
            `data.unseen`, and to refuse that of a target.

    Learned:
        labels: The labels that are kept, sorted.
        other: Whether all others are one more.
        ignore_unseen: Whether unseen ones are ignored.
    """

    takes = "text"
    takes_missing = True  # 0 everywhere
    takes_lists = True

    separator: Annotated[str, Len(1)] = ";"
    counts: bool = False
    max_labels: Count | None = None
    unseen: Literal["refuse", "ignore"] | None = None
    labels: tuple[str, ...] = learned(())
    other: bool = learned(False)
    ignore_unseen: bool = learned(False)

    def __post_init__(self) -> None:
        require_distinct("labels", self.labels, self.labels)

    @property
    def shape(self) -> Shape:
        """One number per label."""
        return (len(self.labels) + self.other,)

    @property
    def example_texts(self) -> Sequence[str]:
        """Some of the labels, texts of several, and lists."""
        some = self.labels[:50]
        both = [f"{one}{self.separator} {two}" for one, two in pairwise(some)]
        return [*some, *both, *(dumps([one, one]) for one in some)]

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the labels."""
        found = label_counts(column.table, column.name, column.categories, self.separator)
        kept = most_frequent_labels(found, self.max_labels)
        ignore = self.unseen == "ignore"
        return replace(self, labels=kept, other=len(kept) < len(found), ignore_unseen=ignore)

    def encode(self, column: RawColumn) -> Array:
        """Return which labels each cell has, or how often."""
        found = label_matrix(
            column.table, column.name, column.categories, self.separator, self.labels,
            ignore_unseen=self.ignore_unseen or self.other,
        )[:, : self.shape[0]]  # fmt: skip
        return found if self.counts else np.minimum(found, 1)

    def infer(self, column: Any) -> Any:
        """Return which labels each cell has, or how often."""
        found = column.of_texts(
            "count_labels", self._counts_of, labels=self.labels, separator=self.separator
        )
        column.require(np.logical_not(np.isnan(found[:, -1])), "labels, or a JSON list of them")
        if not (self.ignore_unseen or self.other):
            column.require(found[:, -1] == 0, f"labels among {', '.join(self.labels)}")
        found = found[:, : self.shape[0]]
        return found if self.counts else np.minimum(found, 1)

    def _counts_of(self, texts: Sequence[str | None]) -> Array:
        """Return how often each text has each label, and others; these are NaN in a wrong list."""
        place = {label: number for number, label in enumerate(self.labels)}
        counts = np.zeros((len(texts), len(self.labels) + 1))
        for row, text in zip(counts, texts, strict=True):
            labels = labels_of(text or "", self.separator)
            if labels is None:
                row[-1] = np.nan
            for label in labels or ():
                row[place.get(label, -1)] += 1
        return counts
