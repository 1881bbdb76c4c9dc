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
from nnreg.network.chain_prediction import ChainPrediction
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
        self._chain = ChainPrediction(network)
        self._as_they_are = not any(isinstance(one.target, NumericTarget) for one in self._outputs)
        """Whether the outputs of the network are what is predicted."""

    def predicted(self, network: Network, x: Any) -> list[Predicted] | None:
        """Return what `predictions.predicted` yields for raw rows and a network of this model.

        None for anything else than usual values, and if a prediction is not finite: the general
        way then says what is wrong.
        """
        chain, rows = self._chain, self._rows
        if not chain.is_of(network):
            chain = self._chain = ChainPrediction(network)
        if self._as_they_are and rows is not None and rows.is_input(x):
            y = chain.in_one_call(x)
            if y is not None:
                return [(output, y, None) for output in self._outputs]
        way = rows if isinstance(x, np.ndarray) else self._records
        if way is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = way.encode(x)
            return None if inputs is None else self._of_inputs(network, chain, inputs)

    def _of_inputs(
        self, network: Network, chain: ChainPrediction, x: Array
    ) -> list[Predicted] | None:
        """Return what the network predicts for its input; None if that is not finite."""
        y = chain.in_one_call(x)
        if y is None:
            y = chain.outputs(x)
        if y is None:
            y = network.predict(x)
        found: list[Predicted] = []
        for output in self._outputs:
            points = output.in_units(output.of(y), NO_COLUMNS)
            if not all_finite(points):
                return None
            found.append((output, points, None))
        return found
