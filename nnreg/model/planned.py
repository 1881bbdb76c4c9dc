"""Predictions for usual values, by a plan that is made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import all_finite
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.data.targets import NumericTarget
from nnreg.model.outputs import Output
from nnreg.model.plain_records import PlainRecords, plain_records
from nnreg.model.plain_rows import PlainRows, has_plain_input, plain_rows
from nnreg.model.predictions import Predicted
from nnreg.network.few_rows import FewRows
from nnreg.network.network import Network
from nnreg.tables.table import Table

NO_COLUMNS = Table({})
"""The table of planned rows: what converts to units of the target reads no column."""


class PlannedPrediction:
    """What a model predicts for arrays and for a few rows; several threads may use it."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        columns: Columns | None,
        network: Network,
        outputs: Mapping[str, Output],
    ) -> None:
        self._rows: PlainRows | None = None
        self._records: PlainRecords | None = None
        if has_plain_input(preprocessing, columns, network):
            self._rows = plain_rows(preprocessing, columns, network.dtype)
            self._records = plain_records(preprocessing.inputs, network.dtype)
        self._outputs = list(outputs.values())
        self._few = FewRows(network)
        self._as_they_are = not any(isinstance(one.target, NumericTarget) for one in self._outputs)
        """Whether the outputs of the network are what is predicted."""

    def predicted(self, network: Network, x: Any) -> list[Predicted] | None:
        """Return what `predictions.predicted` yields for raw rows and a network of this model.

        None for anything else than usual values, and if a prediction is not finite: the general
        way then says what is wrong.
        """
        few, rows = self._few, self._rows
        if not few.is_of(network):
            few = self._few = FewRows(network)
        if self._as_they_are and rows is not None and rows.is_input(x):
            y = few.in_one_call(x)
            if y is not None:
                return [(output, y, None) for output in self._outputs]
        way = rows if isinstance(x, np.ndarray) else self._records
        if way is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = way.encode(x)
            return None if inputs is None else self._of_inputs(network, few, inputs)

    def _of_inputs(self, network: Network, few: FewRows, x: Array) -> list[Predicted] | None:
        """Return what the network predicts for its input; None if that is not finite."""
        y = few.in_one_call(x)
        if y is None:
            y = few.outputs(x)
        if y is None:
            y = network.predict(x)
        found: list[Predicted] = []
        for output in self._outputs:
            points = output.in_units(output.of(y), NO_COLUMNS)
            if not all_finite(points):
                return None
            found.append((output, points, None))
        return found
