"""The history of a training: a table with a row an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from nnreg.interfaces import Array


def records(names: Sequence[str], rows: Array) -> list[dict[str, float]]:
    """Return the records of a table with these columns; a NaN stands for a figure not measured."""
    return [
        {
            name: int(value) if name == "epoch" else float(value)
            for name, value in zip(names, row, strict=True)
            if not math.isnan(value)
        }
        for row in rows
    ]


class History(Sequence[Mapping[str, float]]):
    """The records of the epochs so far. `history["loss"]` is the column as an array."""

    def __init__(self, records: Sequence[Mapping[str, float]]) -> None:
        self.records = records

    @property
    def names(self) -> list[str]:
        """The columns, in order: `epoch`, `loss`, the metrics, then those of the validation.

        With a schedule, `learning_rate` comes last.
        """
        return list(dict.fromkeys(name for record in self.records for name in record))

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
        """Return a column by its name, or a record by its place."""
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.names)}")
            return np.array([record.get(key, math.nan) for record in self.records])
        return self.records[key]

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epochs yet)"
        last = self.records[-1]
        figures = ", ".join(f"{name}={_figure(name, value)}" for name, value in last.items())
        return f"History({len(self)} epochs; last: {figures})"

    def _repr_html_(self) -> str:
        """Show the loss curve and the last epochs in a notebook."""
        head = "".join(f"<th>{name}</th>" for name in self.names)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{_figure(n, record.get(n, math.nan))}</td>" for n in self.names)
            + "</tr>"
            for record in self.records[-5:]
        )
        return f"{self._curve()}<table><tr>{head}</tr>{rows}</table>"

    def _curve(self, width: int = 360, height: int = 120) -> str:
        """Draw loss and validation loss as SVG, on a logarithmic scale where all are positive."""
        curves = {
            name: np.array([record.get(name, math.nan) for record in self.records])
            for name in ("loss", "val_loss")
            if name in self.names
        }
        values = np.concatenate([*curves.values(), np.empty(0)])
        values = values[np.isfinite(values)]
        if len(self.records) < 2 or not values.size:
            return ""
        scale = np.log if (values > 0).all() else np.asarray
        low, high = float(np.min(scale(values))), float(np.max(scale(values)))
        span = (high - low) or 1.0
        lines = []
        for colour, (name, curve) in zip(("#1f77b4", "#ff7f0e"), curves.items(), strict=False):
            points = " ".join(
                f"{width * i / (len(curve) - 1):.1f},{height * (high - y) / span:.1f}"
                for i, y in enumerate(scale(curve))
                if math.isfinite(y)
            )
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5">'
                f"<title>{name}</title></polyline>"
            )
        return (
            f'<svg viewBox="-4 -4 {width + 8} {height + 8}" width="{width}" role="img" '
            f'aria-label="loss by epoch">{"".join(lines)}</svg>'
        )


def _figure(name: str, value: float) -> str:
    return str(int(value)) if name == "epoch" else f"{value:.6g}"
