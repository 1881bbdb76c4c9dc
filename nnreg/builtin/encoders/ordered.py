"""Encoders of categories that have an order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from annotated_types import Len

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean_and_deviation, scale_of
from nnreg._utils.suggestions import suggest
from nnreg.builtin.encoders.categories import require_distinct
from nnreg.errors import DataError
from nnreg.interfaces.component import Positive
from nnreg.interfaces.encoder import Encoder, RawColumn, learned
from nnreg.tables.cells import positions

CLOSE = 1e-3
"""How near to a whole number a position is in float32; the mean position is that of none."""


@dataclass(frozen=True)
class Ordered(Encoder):
    """A category of several in an order, such as small, medium and large, by its position.

    position: y = (k - offset) / scale for the k-th category, from 0;
    thermometer: y[j] = 1 for j < k, 0 for the others

    A missing category, and an unseen one that is ignored, has the mean position of the training
    rows.

    Options:
        order: The categories from low to high; null for those of an ordered categorical of pandas.
        code: "position" for one number, "thermometer" for one fewer than categories.
        scaling: Of the position: "min_max" for 0 to 1, "standard" for the mean and standard
            deviation of the training rows, "none" for the position itself.
        unseen: Whether to "refuse" or "ignore" a category that is not in the order; null for
            `data.unseen`. In the training rows, it is always refused.

    Learned:
        categories: The categories from low to high.
        ignore_unseen: Whether unseen ones are ignored.
        mean: The mean position.
        offset: Subtracted from the position.
        scale: Divided by.
    """

    takes = "text"
    takes_missing = True  # the mean position

    order: Annotated[tuple[str, ...], Len(2)] | None = None
    code: Literal["position", "thermometer"] = "position"
    scaling: Literal["min_max", "standard", "none"] = "min_max"
    unseen: Literal["refuse", "ignore"] | None = None
    categories: tuple[str, ...] = learned(())
    ignore_unseen: bool = learned(False)
    mean: float = learned(0.0)
    offset: float = learned(0.0)
    scale: Positive = learned(1.0)

    def __post_init__(self) -> None:
        require_distinct("order", self.order or (), self.order or ())
        require_distinct("categories", self.categories, self.categories)

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """Return encoders with a column each."""
        sizes = ["M", "S", "L", "S"]
        return [(cls(("S", "M", "L"), code), sizes) for code in ("position", "thermometer")]

    @property
    def shape(self) -> Shape:
        """One number, or one for each category but the lowest."""
        return (1 if self.code == "position" else max(len(self.categories) - 1, 0),)

    @property
    def known_texts(self) -> Sequence[str]:
        """The categories."""
        return self.categories or self.order or ()

    @property
    def ignores_unknown(self) -> bool:
        """Whether they become the mean position."""
        return self.ignore_unseen

    @property
    def refuses_unknown(self) -> bool:
        """Whether they are not ignored."""
        return not self.ignore_unseen

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the categories, and the scale of their positions."""
        known = replace(self, categories=self._order(column), ignore_unseen=False)
        found = known._positions(column)
        known = replace(known, ignore_unseen=self.unseen == "ignore")
        mean, deviation = mean_and_deviation(found) if len(found) else (0.0, 0.0)
        if self.scaling == "standard":
            offset, scale = float(mean), float(scale_of(np.asarray(mean), np.asarray(deviation)))
        else:
            last = max(len(known.categories) - 1, 1)
            offset, scale = 0.0, float(last if self.scaling == "min_max" else 1)
        return replace(known, mean=float(mean), offset=offset, scale=scale)

    def encode(self, column: RawColumn) -> Array:
        """Return the positions, or their thermometer code."""
        found = self._positions(column)
        if self.code == "position":
            return ((found - self.offset) / self.scale)[:, None]
        return np.clip(found[:, None] - np.arange(*self.shape), 0, 1)

    def infer(self, column: Any) -> Any:
        """Return the positions, or their thermometer code."""
        known = column.positions(self.categories)
        if not self.ignore_unseen:
            column.require((known >= 0) | column.missing, f"one of {', '.join(self.categories)}")
        found = np.where(known < 0, self.mean, known.astype(np.float64))[:, None]
        if self.code == "position":
            return (found - self.offset) / self.scale
        return np.clip(found - np.arange(*self.shape), 0, 1)

    def text_of(self, encoded: Array) -> str:
        """Return the category."""
        by_position = self.code == "position"
        position = encoded[0] * self.scale + self.offset if by_position else encoded.sum()
        nearest = round(float(position))
        return self.categories[nearest] if abs(position - nearest) < CLOSE else "(unknown)"

    def _order(self, column: RawColumn) -> tuple[str, ...]:
        cells = column.categories
        if self.order is None and not cells.ordered:
            raise DataError(
                f"{column.table.origin}: column {column.name!r}: the order of its categories is "
                'not known; list them from low to high, as in "order": ["S", "M", "L"]'
            )
        return self.order or cells.categories

    def _positions(self, column: RawColumn) -> Array:
        """Return the position of each row, from 0; the mean of a missing or ignored category."""
        cells = column.categories
        known = positions(cells.categories, self.categories)
        unknown = cells.each(np.less(known, 0), False, bool)
        if not self.ignore_unseen and unknown.any():
            row = int(np.argmax(unknown))
            text = cells.categories[cells.codes[row]]
            hint = suggest(
                text, self.categories, 'add it to "order", or set data.unseen to "ignore"'
            )
            raise DataError(
                f"{column.location(row)}: found {text!r}, which is not one of the ordered "
                f"categories {', '.join(self.categories)}{hint}"
            )
        return cells.each([self.mean if k < 0 else k for k in known], self.mean, np.float64)
