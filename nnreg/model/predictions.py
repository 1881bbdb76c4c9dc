"""What a network predicts for raw rows, in the units of their targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import all_finite
from nnreg.errors import DataError
from nnreg.model.outputs import Output
from nnreg.model.sequences import real_points, refuse_not_finite, split_points
from nnreg.network.network import Network
from nnreg.tables.named import Inputs
from nnreg.tables.table import Table

Predicted: TypeAlias = tuple[Output, Array, Array | None]
"""An output, its values `(rows, ...)`, and of sequences the number of real steps of each row."""


def predicted(
    network: Network, outputs: Mapping[str, Output], table: Table, inputs: Inputs
) -> Iterator[Predicted]:
    """Yield the outputs of a network for the inputs from a table, in the units of their targets.

    Raises `DataError` if one is not finite.
    """
    masks = network.output_masks
    with np.errstate(over="ignore", invalid="ignore"):
        y = network.predict(inputs)
        found = {name: one.in_units(one.of(y), table) for name, one in outputs.items()}
    for name, y in found.items():
        points, lengths = real_points(y, inputs, masks[name])
        if not all_finite(points):
            refuse_not_finite(points, lengths, table)
        yield outputs[name], points, lengths


def by_output(convert: Callable[[Output, Array], Array], found: Iterable[Predicted]) -> Any:
    """Return the converted value of the only output, or those of several by name."""
    values = {output.name: split_points(convert(output, y), n) for output, y, n in found}
    if not values:
        raise DataError("no output of this model has classes; use predict")
    return values.get("", values)
