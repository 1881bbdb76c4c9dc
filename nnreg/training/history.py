"""The history of a training: a table with one row per epoch."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import counted, number
from nnreg.training.monitor import Monitor

if TYPE_CHECKING:
    from nnreg.plotting.svg import Drawing

SHOWN_EPOCHS = 5
"""The epochs that a notebook lists."""


def records(
    names: Sequence[str], rows: Array, measured: Array | None = None
) -> list[dict[str, float]]:
    """Return the records of a table with these columns.

    `measured` is 0 for a metric that a record lacks; without it, a NaN stands for such a metric.
    """
    measured = ~np.isnan(rows) if measured is None else measured
    return [
        {
            name: int(value) if name == "epoch" else float(value)
            for name, value, present in zip(names, row, known, strict=True)
            if present
        }
        for row, known in zip(rows, measured, strict=True)
    ]


def table(
    names: Sequence[str], records: Sequence[Mapping[str, float]]
) -> tuple[Array, Array | None]:
    """Return the table of records, with NaN for a metric that a record lacks, and what is measured.

    The latter is None unless a metric was measured as NaN, so that it cannot be derived.
    """
    shape = len(records), len(names)
    values: list[Sequence[float]] = []
    measured = np.ones(shape, np.uint8)
    try:  # several times as fast
        if names:
            values = [*map(operator.itemgetter(*names), records)]
    except KeyError:
        values = [[record.get(name, math.nan) for name in names] for record in records]
        measured = np.array([[name in record for name in names] for record in records], np.uint8)
    rows = np.array(values, np.float64).reshape(shape)
    ambiguous = bool((np.isnan(rows) & (measured == 1)).any())
    return rows, measured if ambiguous else None


class History(Sequence[Mapping[str, float]]):
    """The records of the epochs so far. `history["loss"]` is the column as an array."""

    def __init__(self, records: Sequence[Mapping[str, float]]) -> None:
        self.records = records

    @property
    def names(self) -> list[str]:
        """The columns, in order: `epoch`, `loss`, the metrics, then the validation metrics.

        With a schedule, `learning_rate` comes last.
        """
        return list(dict.fromkeys(itertools.chain.from_iterable(self.records)))

    @property
    def columns(self) -> dict[str, Array]:
        """Every column as an array, by its name."""
        return {name: self[name] for name in self.names}

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Mapping[str, float]]:
        return iter(self.records)

    @overload
    def __getitem__(self, key: str) -> Array: ...
    @overload
    def __getitem__(self, key: int) -> Mapping[str, float]: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Mapping[str, float]]: ...

    def __getitem__(
        self, key: str | int | slice
    ) -> Array | Mapping[str, float] | Sequence[Mapping[str, float]]:
        """Return a column by its name, or a record by its index."""
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.names)}")
            return np.array([record.get(key, math.nan) for record in self.records])
        return self.records[key]

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epochs yet)"
        last = self.records[-1]
        metrics = ", ".join(f"{name}={_formatted(name, value)}" for name, value in last.items())
        return f"History({len(self)} epochs; last: {metrics})"

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows: the losses by epoch, and the last epochs."""
        from nnreg.plotting.card import card, details  # only notebooks need it
        from nnreg.plotting.html import table

        last = self.records[-SHOWN_EPOCHS:]
        rows = [[_formatted(n, one[n]) if n in one else "" for n in self.names] for one in last]
        head = [name.replace("_", " ") for name in self.names]
        listed = details("last epochs", table(head, rows, "last epochs"), opened=True)
        return card(f"History: {counted(len(self), 'epoch')}", self.curve(), listed if rows else "")

    def svg(self, title: str) -> str:
        """Return a chart of the losses by epoch as an SVG file, for light and dark pages.

        The best validation loss is marked. Raises ValueError for fewer than two epochs, and if no
        loss is finite.
        """
        return self._drawing(title, f"{title}: loss by epoch", title, 640, 340).file()

    def curve(self, best: int | None = None) -> str:
        """Return that chart as an element of an HTML page; empty if there is nothing to draw.

        `best` is the epoch to mark, by default that of the best validation loss.
        """
        try:
            return self._drawing("training", "loss by epoch", "", 480, 240, best).inline()
        except ValueError:
            return ""

    def _drawing(
        self,
        run: str,
        description: str,
        title: str,
        width: int,
        height: int,
        best: int | None = None,
    ) -> Drawing:
        if len(self) < 2:
            raise ValueError("at least two epochs are needed to draw a curve")
        losses = {name: column for name, column in self.columns.items() if name.endswith("loss")}
        if not any(np.isfinite(losses[name]).any() for name in losses):
            raise ValueError("no loss is finite")
        from nnreg.plotting import svg  # only to draw: each command imports this module
        from nnreg.plotting.curves import by_epoch

        chart = by_epoch({run: self.columns}, "loss", {run: best or best_epoch(self.records)})
        return svg.draw(chart, description, title=title, width=width, height=height)


def best_epoch(records: Sequence[Mapping[str, float]]) -> int | None:
    """Return the best epoch by the validation loss, as training does; None if it has none."""
    monitor = Monitor("val_loss")
    monitor.follow({"epoch": epoch, **record} for epoch, record in enumerate(records, 1))
    return monitor.best_epoch or None


def _formatted(name: str, value: float) -> str:
    return str(int(value)) if name == "epoch" else number(value)
