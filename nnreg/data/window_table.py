"""Tables whose rows are windows: consecutive rows of another table, and the values after them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from nnreg._types import Array
from nnreg.data.spacing import Spacing
from nnreg.tables.table import Table


def _no_rows() -> Array:
    return np.empty(0, np.intp)


@dataclass(frozen=True)
class WindowTable(Table):
    """Windows as examples. Its columns are the targets, if it has any.

    `rows` are sorted by group and time. The inputs of example i are `length` of them from
    `starts[i]` on; its targets, the `horizon` rows that begin `gap` rows after these, are a column
    for each step and each of the columns `targets` of `rows`, in this order. `groups` and `times`
    have the number of the group and the time of each row, which ascend; without a column of times,
    they are the numbers of the rows in their group, and there is no `spacing`. Targets are learned
    relative to the values `relative` rows before them, or as often that as these are in the window;
    0 if they are not.
    """

    rows: Table = field(default_factory=lambda: Table({}))
    starts: Array = field(default_factory=_no_rows)
    length: int = 1
    gap: int = 0
    horizon: int = 1
    targets: tuple[str, ...] = ()
    groups: Array = field(default_factory=_no_rows)
    times: Array = field(default_factory=_no_rows)
    spacing: Spacing | None = None
    relative: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    def row_label(self, row: int) -> str:
        """Return the location of a window: that of the last row of its inputs."""
        return self.rows.row_label(int(self.starts[row]) + self.length - 1)

    def location(self, row: int, column: str) -> str:
        """Return the location of a target value in the file."""
        step, target = self.place_of(column)
        return self.rows.location(int(self.first_targets[row]) + step, target)

    def place_of(self, column: str) -> tuple[int, str]:
        """Return the step, from 0 on, and the column of the rows, of a column of targets."""
        names = step_names(self.targets, self.horizon)
        step, number = divmod(names.index(column), len(self.targets))
        return step, self.targets[number]

    @property
    def first_targets(self) -> Array:
        """The number in `rows` of the first target row of each window."""
        return self.starts + (self.length + self.gap)

    @property
    def last_inputs(self) -> Array:
        """The number in `rows` of the last input row of each window."""
        return self.starts + (self.length - 1)

    @property
    def used_rows(self) -> Array:
        """The numbers of the rows that are an input of a window."""
        changes = np.zeros(len(self.rows) + 1, np.intp)
        np.add.at(changes, self.starts, 1)
        np.add.at(changes, self.starts + self.length, -1)
        return np.flatnonzero(np.cumsum(changes[:-1]) > 0)

    def ahead(self) -> Self:
        """Return windows of the target rows, whose columns are known in advance."""
        return replace(self, starts=self.first_targets, length=self.horizon, relative=0)

    def inputs(self) -> tuple[Table, Array]:
        """Return the rows that are an input of a window, and where in them each window starts."""
        used = self.used_rows
        return self.take_rows(used), np.searchsorted(used, self.starts)

    def take_rows(self, numbers: Array) -> Table:
        """Return these of the rows, without a copy if they are all."""
        return self.rows if len(numbers) == len(self.rows) else self.rows.take(numbers)

    def _select(self, rows: Array | slice, numbers: Array) -> Self:
        selected = super()._select(rows, numbers)
        return replace(selected, starts=self.starts[rows])  # type: ignore[call-arg,return-value]


def step_names(names: tuple[str, ...], horizon: int) -> tuple[str, ...]:
    """Return the columns of the targets of windows: `sales_1`, `sales_2`, …, or `sales` for one."""
    if horizon == 1:
        return names
    return tuple(f"{name}_{step}" for step in range(1, horizon + 1) for name in names)
