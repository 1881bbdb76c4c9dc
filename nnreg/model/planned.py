"""Predictions for usual values, by a plan that is made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._utils.statistics import all_finite
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
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

    def predicted(self, network: Network, x: Any) -> list[Predicted] | None:
        """Return what `predictions.predicted` yields for raw rows and a network of this model.

        None for anything else than usual values, and if a prediction is not finite: the general
        way then says what is wrong.
        """
        way = self._rows if isinstance(x, np.ndarray) else self._records
        if way is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = way.encode(x)
            if inputs is None:
                return None
            few = self._few
            y = few.outputs(inputs) if few.takes(network, inputs) else network.predict(inputs)
            found: list[Predicted] = []
            for output in self._outputs:
                points = output.in_units(output.of(y), NO_COLUMNS)
                if not all_finite(points):
                    return None
                found.append((output, points, None))
            return found
