"""Predictions for arrays of usual numbers, by a plan that is made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._utils.statistics import all_finite
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.model.outputs import Output
from nnreg.model.plain_rows import plain_rows
from nnreg.model.predictions import Predicted
from nnreg.network.few_rows import FewRows
from nnreg.network.network import Network
from nnreg.tables.table import Table

NO_COLUMNS = Table({})
"""The table of rows that are an array: what converts to units of the target reads no column."""


class PlannedPrediction:
    """What a model predicts for an array; several threads may use it."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        columns: Columns | None,
        network: Network,
        outputs: Mapping[str, Output],
    ) -> None:
        self._rows = plain_rows(preprocessing, columns, network)
        self._outputs = list(outputs.values())
        self._few = FewRows(network)

    def predicted(self, network: Network, x: Any) -> list[Predicted] | None:
        """Return what `predictions.predicted` yields for raw rows and a network of this model.

        None for anything else than usual numbers, and if a prediction is not finite: the general
        way then says what is wrong.
        """
        if self._rows is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = self._rows.encode(x)
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
