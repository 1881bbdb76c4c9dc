"""Raw rows of programs as tables of the inputs and the targets of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnreg._types import Array
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.fitting import date_form
from nnreg.data.missing_targets import rows_with_target, warn_dropped
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.preprocessing import columns_of as target_columns
from nnreg.data.sequences import join_sequences
from nnreg.data.settings import Columns, Data
from nnreg.data.targets import NumericTarget
from nnreg.data.window_table import WindowTable
from nnreg.data.windows import as_examples, last_windows
from nnreg.errors import DataError, UsageError
from nnreg.tables.cells import MISSING_TEXTS
from nnreg.tables.convert import columns_of, table_of
from nnreg.tables.table import Table


@dataclass(frozen=True)
class RawRows:
    """Converts arrays, lists, mappings or data frames to tables, as the data of a model were."""

    preprocessing: Preprocessing
    columns: Columns

    def table(self, x: Any, names: Iterable[str]) -> Table:
        """Return raw rows as a table; which text is missing is as in the model's own data."""
        source = self.columns.source if isinstance(self.columns, Data) else None
        return table_of(x, names, source.missing if isinstance(source, Csv) else MISSING_TEXTS)

    def examples(self, table: Table, *, with_targets: bool = False) -> Table:
        """Return a table with sequences where training had them, or as one of windows.

        Without targets, windows are those of rows after which there need not be others.
        """
        return as_examples(table, self.preprocessing, self.columns, with_targets=with_targets)

    def inputs(self, x: Any) -> Table:
        """Return the table of raw inputs."""
        return self.examples(self.table(x, self.preprocessing.names))

    def last_windows(self, x: Any) -> WindowTable:
        """Return the last window of each group of rows. Raises `UsageError` without windows."""
        window, known = self.columns.windows, self.preprocessing.window
        if window is None or known is None:
            raise UsageError("the model was not trained on windows of a series; use predict")
        form = date_form(window.order, self.columns)
        return last_windows(self.table(x, self.preprocessing.names), window, known, form)

    def inputs_and_targets(self, x: Any, y: Any) -> tuple[Table, Table]:
        """Return the tables of raw inputs and of raw targets. Raises `DataError` without these."""
        if self.preprocessing.window is not None:
            table = self._windows(x, y)
            return table, table
        inputs, targets = self._tables(x, self._given_targets(x, y))
        names = self.preprocessing.target_names
        if missing := [name for name in names if name not in targets.columns]:
            raise DataError(
                f"{targets.origin}: the target column {missing[0]!r} is missing; without targets, "
                "use predict"
            )
        return inputs, targets

    def without_dropped(self, x: Any, y: Any) -> tuple[Any, Any, Array | None]:
        """Return inputs and targets without the rows that the spec drops, and which rows these are.

        The rows are None if none is dropped.
        """
        names = self.preprocessing.target_names
        by_row = self.preprocessing.window is None
        if self.columns.missing_target != "drop" or not names or not by_row:
            return x, y, None
        y = self._given_targets(x, y)
        inputs, targets = self._tables(x, y)
        rows = rows_with_target(targets, names, self.columns)
        if rows is None or len(inputs) != len(targets):
            return x, y, None
        warn_dropped(targets.origin, len(rows), len(targets))
        return inputs.take(rows), targets.take(rows), rows

    def _windows(self, x: Any, y: Any) -> Table:
        """Return the windows of rows, of which `y` has the targets, unless they are columns of `x`.

        Those whose target is missing are dropped if the spec says so.
        """
        assert self.preprocessing.window is not None  # asked of windows
        table = self.table(x, self.preprocessing.names)
        if y is not None and y is not x:
            targets = self.table(y, self.preprocessing.window.targets)
            if len(targets) != len(table):
                raise DataError(f"{len(table)} rows of inputs, but {len(targets)} of targets")
            table = replace(table, columns={**table.columns, **targets.columns})
        table = self.examples(table, with_targets=True)
        rows = rows_with_target(table, self.preprocessing.target_names, self.columns)
        if rows is None:
            return table
        warn_dropped(table.origin, len(rows), len(table))
        return table.take(rows)

    def _tables(self, x: Any, y: Any) -> tuple[Table, Table]:
        """Return the tables of inputs and of targets, with columns of sequences as such."""
        inputs = self.table(x, self.preprocessing.names)
        targets = self._target_table(y) if self.preprocessing.target_names else inputs
        return join_sequences(inputs, targets, self.examples)

    def _target_table(self, y: Any) -> Table:
        names = self.preprocessing.target_names
        numeric = isinstance(self.preprocessing.target, NumericTarget)
        if numeric and not isinstance(y, Table | Mapping):
            y = columns_of(y, names)
        return self.table(y, names)

    def _given_targets(self, x: Any, y: Any) -> Any:
        """Return targets by their columns: those given by output, or columns of the inputs `x`."""
        columns = {*self.preprocessing.target_names}
        compared = self.preprocessing.by_output
        if y is None and columns:
            if not columns <= table_of(x, self.preprocessing.names).columns.keys():
                raise UsageError("the model takes a target; pass it as y")
            return x
        if not isinstance(y, Mapping) or columns <= y.keys() or not compared.keys() <= y.keys():
            return y
        tables = (columns_of(y[name], target_columns(target)) for name, target in compared.items())
        return {name: values for table in tables for name, values in table.columns.items()}
