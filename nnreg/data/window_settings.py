"""The section `data.window` of a spec: windows of time series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from nnreg.interfaces.component import Configurable, Count, Text


@dataclass(frozen=True)
class Window(Configurable):
    """How rows of a time series become examples: a window of the past, and what comes after it.

    Rows are sorted by the column `order`, of numbers or dates, within each value of the column
    `group`; without `order`, they are in the order of the file, or of `data.split.order`. Dates are
    in an ISO form, or as the encoder "date" of the column in `columns` says. An example is `length`
    consecutive rows. Its target is the value of the target column in each of the `horizon` rows
    that begin `gap` rows after the last of them; of several target columns, all values of the first
    row, then of the next. Examples begin `stride` rows after each other.

    The inputs are all columns, the past of the target too, except those of `group` and `order`, or
    those that `data.inputs` lists. `data.split` is by time: the targets of a split are rows of its
    own, the later ones held out, while its inputs may begin earlier.

    Times are expected at one frequency, found in the training data. Where rows are missing, have
    the same time or come at another distance, a warning says so, and `irregular` decides: `split`
    leaves out the windows that would span such a place, `refuse` is an error, and with `ignore`
    rows follow each other at any distance. `season` is the number of rows after which the series
    is expected to repeat itself, in the baseline that predictions are compared with; by default,
    that of the frequency, such as 7 days.

    With `relative_to`, the network predicts by how much a number differs from the `last` value of
    the window, or from the one a `season` before it, the last such one in the window; the past of
    the target is given to it relative to the last value. So it continues a series at a level that
    training did not have. Predictions and metrics are the values themselves.

    `known` names inputs of `data.inputs` whose columns are known in advance, such as holidays and
    planned prices: an example has their values of the target rows, `(horizon, columns)`. A forecast
    then needs these rows too, with an empty target.
    """

    length: Count
    horizon: Count = 1
    group: Text | None = None
    order: Text | None = None
    stride: Count = 1
    gap: Annotated[int, Ge(0)] = 0
    irregular: Literal["split", "refuse", "ignore"] = "split"
    season: Count | None = None
    relative_to: Literal["last", "season"] | None = None
    known: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if self.relative_to == "season" and (self.season or 0) > self.length:
            raise ValueError(
                f"a season of {self.season} rows is longer than the window, so that values are "
                "relative to none in it; make length as long, or set relative_to to 'last'"
            )

    @property
    def rows_to_predict(self) -> int:
        """The number of consecutive rows that an example needs, if its targets are not known."""
        return self.length + (self.gap + self.horizon if self.known else 0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which rows are grouped and sorted."""
        return tuple(name for name in (self.group, self.order) if name is not None)
