"""From raw rows to the inputs of a network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import require_memory
from nnreg.data.preprocessing import Preprocessing
from nnreg.network.network import Network
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.table import Table

HINT = "use fewer rows, or a network of one input, which may stay in its file"


def prepare_inputs(table: Table, preprocessing: Preprocessing, network: Network) -> Inputs:
    """Return the input of a network for raw rows, or several by name.

    A single column that stays in its file is encoded as it is read; several inputs are in memory.
    """
    if preprocessing.groups:
        return _several(table, preprocessing, network)
    name, *others = preprocessing.names
    column, dtype = table.columns.get(name), network.input_dtype()

    def encode(table: Table) -> Array:
        encoded = preprocessing.encode(table, dtype)
        network.check_input(encoded)
        return np.ascontiguousarray(encoded)

    if others or not isinstance(column, LazyArray):
        return encode(table)
    return column.encoded(
        lambda values, rows: encode(replace(table, columns={name: values}, row_numbers=rows)),
        preprocessing.inputs[0].shape,
        dtype,
    )


def _several(table: Table, preprocessing: Preprocessing, network: Network) -> NamedArrays:
    preprocessing.require_columns(table)
    columns = {name: table.columns[name] for name in preprocessing.names}
    lazy = [column for column in columns.values() if isinstance(column, LazyArray)]
    itemsize = network.dtype.itemsize
    size = sum(math.prod(one.shape) * (one.dtype.itemsize + itemsize) for one in lazy)
    require_memory(size, f"{table.origin}: several inputs", HINT)
    read = {n: materialize(c) if isinstance(c, LazyArray) else c for n, c in columns.items()}
    table = replace(table, columns=read)
    encoded = NamedArrays(
        {
            name: np.ascontiguousarray(part.encode(table, network.input_dtype(name)))
            for name, part in preprocessing.parts.items()
        }
    )
    network.check_input(encoded)
    return encoded
