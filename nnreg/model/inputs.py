"""From raw rows to the inputs of a network, and to its targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import array_bytes, require_memory
from nnreg.data.observations import observed_together
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError
from nnreg.interfaces.graph import INPUT
from nnreg.model.outputs import Output
from nnreg.model.sequences import fit_padding, targets_per_step
from nnreg.network.network import Network
from nnreg.spec.sections import Spec
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.stored import RowsOfTable, StoredRows, located_as, reader_of, rows_in_file
from nnreg.tables.table import RowReader, Table
from nnreg.training.outputs import no_targets

HINT = "use fewer rows, or a network of one input, which may stay in its file"

GROUPS_HINT = "write it with smaller groups of rows, or encode categories as fewer numbers"

CHECKED_WINDOWS = 1024
"""The number of windows that are copied at a time, to be checked."""


def prepare_inputs(
    table: Table,
    preprocessing: Preprocessing,
    network: Network,
    spec: Spec,
    training: Table | None = None,
) -> Inputs:
    """Return the input of a network of this spec for raw rows, or several by name.

    A single column that stays in its file is encoded as it is read; several inputs are in memory.
    `training` has the targets of training rows, which some encoders encode in another way.
    """
    parts = preprocessing.parts or {INPUT: preprocessing}
    with observed_together(spec.data):
        own = {
            name: part.encode_training(table, part.target_of_rows(training))
            for name, part in parts.items()
            if training is not None
        }
        x = _encoded(table, preprocessing, network, own)
    return fit_padding(x, table, spec, preprocessing, network) if network.masked else x


def _encoded(
    table: Table,
    preprocessing: Preprocessing,
    network: Network,
    training: Mapping[str, Mapping[str, Array]],
) -> Inputs:
    if isinstance(table, WindowTable):
        return _windows(table, preprocessing, network)
    if preprocessing.groups:
        return _several(table, preprocessing, network, training)
    if reader := reader_of(table, preprocessing.names):
        return _stored(table, reader, preprocessing, network)
    name, *others = preprocessing.names
    column, dtype = table.columns.get(name), network.input_dtype()

    if others or not isinstance(column, LazyArray):
        found = preprocessing.encode(table, dtype, training.get(INPUT))
        encoded = _contiguous(found)
        _check(encoded, table, preprocessing.names, network)
        return encoded

    def encode(table: Table) -> Array:
        encoded = preprocessing.encode(table, dtype)
        assert isinstance(encoded, np.ndarray)  # sequences are in memory
        _check(encoded, table, [name], network)
        return np.ascontiguousarray(encoded)

    return column.encoded(
        lambda values, rows: encode(replace(table, columns={name: values}, row_numbers=rows)),
        preprocessing.inputs[0].shape,
        dtype,
    )


def _stored(
    table: Table, reader: RowReader, preprocessing: Preprocessing, network: Network
) -> LazyArray:
    """Return rows that stay in their files, all columns of which are encoded as they are read."""
    names, dtype = preprocessing.names, np.dtype(network.input_dtype())
    shape = preprocessing.input_shape
    assert isinstance(shape, tuple)  # several inputs are in memory
    width = max(len(names), math.prod(shape))
    found = LazyArray(StoredRows(reader, names, width), rows_in_file(table), shape, dtype)
    window = array_bytes((2, min(found.chunk_rows(), len(found)), *shape), dtype)
    require_memory(window, f"{table.origin}, some rows at a time", GROUPS_HINT)

    def encode(rows: RowsOfTable, numbers: Array) -> Array:
        located = located_as(rows.table, table, numbers)
        encoded = preprocessing.encode(located, dtype)
        assert isinstance(encoded, np.ndarray)  # sequences are in memory
        _check(encoded, located, names, network)
        return encoded

    return replace(found, encode=encode)


def _windows(table: WindowTable, preprocessing: Preprocessing, network: Network) -> Inputs:
    """Return windows of encoded rows, or those of several inputs by name."""
    parts = preprocessing.parts
    known = preprocessing.window.known if preprocessing.window else ()
    encoded: Any = (
        preprocessing.encode(table, network.input_dtype())
        if not parts
        else NamedArrays(
            {
                name: part.encode(
                    table.ahead() if name in known else table, network.input_dtype(name)
                )
                for name, part in parts.items()
            }
        )
    )
    _check(encoded, table, preprocessing.names, network)
    found: Inputs = encoded
    return found


def _contiguous(encoded: Inputs) -> Inputs:
    return np.ascontiguousarray(encoded) if isinstance(encoded, np.ndarray) else encoded


def _several(
    table: Table,
    preprocessing: Preprocessing,
    network: Network,
    training: Mapping[str, Mapping[str, Array]],
) -> NamedArrays:
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
            name: _contiguous(part.encode(table, network.input_dtype(name), training.get(name)))
            for name, part in preprocessing.parts.items()
        }
    )
    _check(encoded, table, preprocessing.names, network)
    return encoded


def _check(encoded: Any, table: Table, names: Sequence[str], network: Network) -> None:
    """Let the layers check their input. Raises `DataError` with the first row that they refuse."""

    def refuses(rows: slice) -> DataError | None:
        try:
            network.check_input(encoded[rows])
        except DataError as error:
            return error
        return None

    size = CHECKED_WINDOWS if isinstance(table, WindowTable) else max(len(encoded), 1)
    for start in range(0, max(len(encoded), 1), size):
        whole = refuses(slice(start, start + size))
        if whole is not None:
            break
    else:
        return
    accepted, refused = start, min(start + size, len(encoded))  # numbers of rows
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        accepted, refused = (accepted, middle) if refuses(slice(middle)) else (middle, refused)
    alone = refuses(slice(accepted, refused))
    if alone is None:  # a layer may refuse rows for what they are together
        raise whole
    column = f", column {names[0]!r}" if len(names) == 1 else ""
    where = f"{table.origin}, {table.row_label(accepted)}{column}"
    raise DataError(f"{where}: {alone}") from alone


def prepare_targets(
    table: Table, outputs: Sequence[Output], network: Network, inputs: Inputs
) -> tuple[Any, Any]:
    """Return targets as the loss takes them, and as the metrics take them.

    They are those of the only output, or those of several by name.
    """
    compared = [output for output in outputs if output.target is not None]
    pairs = {output.name: output.targets(table, network) for output in compared}
    if network.masked:
        pairs |= targets_per_step(pairs, outputs, inputs, network, table)
    if not pairs:
        return no_targets(inputs), no_targets(inputs)
    targets, raw = ({name: pair[index] for name, pair in pairs.items()} for index in (0, 1))
    found = [one[""] if "" in one else NamedArrays(one) for one in (targets, raw)]
    if len(found[1]) != len(inputs):
        raise DataError(f"{len(inputs)} rows of inputs, but {len(found[1])} of targets")
    return found[0], found[1]
