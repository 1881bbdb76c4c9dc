"""Preparing a run: a spec's model and its data, for `build`, `run` and `validate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.remote import is_remote
from nnreg.data.loading import DataReader, data_files, read_splits, split_table
from nnreg.data.observations import observed_together
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.reproduction import copies
from nnreg.data.settings import INPUTS, Columns, Split
from nnreg.data.split import Fold, Splits, reported_split
from nnreg.data.weights import weights_of_members
from nnreg.errors import DataError, Problem, SpecError, UsageError
from nnreg.interfaces.integers import integer_inputs
from nnreg.interfaces.layer import LayerEntry
from nnreg.model.model import Model
from nnreg.ranks.group import ALONE, Ranks
from nnreg.runs.target_columns import compared_outputs, target_columns
from nnreg.runs.warm_start import take_weights
from nnreg.spec.document import Document, SpecSource, read_spec
from nnreg.spec.overrides import Overrides
from nnreg.spec.sections import Spec
from nnreg.tables.categorical import Categorical
from nnreg.tables.convert import table_of
from nnreg.tables.lazy import LazyArray, iter_chunks
from nnreg.tables.padded import Padded, as_type
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table
from nnreg.training.evaluation import Examples

TARGET = "target"
"""The name of the target column of data passed in as `(x, y)`."""


@dataclass(frozen=True)
class PreparedRun:
    """A model, and the examples of each split of its data.

    `tables` has the origin of each split's rows, by its name: tables without their columns.
    """

    model: Model
    train: Examples
    validation: Examples | None
    test: Examples | None
    tables: Mapping[str, Table]

    @property
    def splits(self) -> dict[str, Examples]:
        """The splits that exist, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    @property
    def reported(self) -> tuple[str, Examples]:
        """The name and the examples of the split whose metrics are reported."""
        name = reported_split(self.splits) or "train"
        return name, self.splits[name]

    def evaluate(
        self, *, reproducible: bool | None = None, ranks: Ranks = ALONE
    ) -> dict[str, dict[str, float]]:
        """Return the loss and every metric of each split, by its name; see `Network.logits`."""
        evaluate, network_for = self.model.evaluation.evaluate, self.model.network_for
        return {
            name: evaluate(network_for(len(split)), split, reproducible=reproducible, ranks=ranks)
            for name, split in self.splits.items()
        }


def build(
    spec: SpecSource, *, overrides: Overrides = (), data: tuple[Any, Any] | None = None
) -> Model:
    """Return the untrained model of a spec; its shapes are those of the spec's data or `(x, y)`.

    `overrides` are those of `nnreg.run`. Its weights have their initial values, so that it can be
    trained by `fit`. Raises `SpecError` and `DataError`.
    """
    return prepare_from_spec(read_spec(spec, overrides), data).model


def prepare_from_spec(
    document: Document, data: tuple[Any, Any] | None = None, reader: DataReader | None = None
) -> PreparedRun:
    """Read the data of a spec, or take `(x, y)` instead, and build the model for them.

    Arrays passed in are scaled only if the spec has a data section that says so. A `reader` caches
    the files that it read, for the next fold.
    """
    arrays = None if data is None else tables_of(data)
    with document.locating_errors():
        preprocessing, splits = (
            _from_arrays(document, *arrays) if arrays else _from_files(document, reader)
        )
        model = Model(document, preprocessing)
        model.network.initialize(model.spec.seed)
        take_weights(model)
        if not arrays:
            model.data_digests = digests(document, reader)
        return attach_data(model, splits)


def prepare_from_checkpoint(model: Model, reader: DataReader | None = None) -> PreparedRun:
    """Read the data of a loaded model again, with its fitted preprocessing."""
    check_data(model, reader)
    with model.document.locating_errors():
        _, splits = _from_files(model.document, reader)
        return attach_data(model, splits)


def check_data(model: Model, reader: DataReader | None = None) -> None:
    """Raise `DataError` for data files other than those that a loaded model was trained on.

    A checkpoint may name any file of this machine. A file is used only if the checkpoint has its
    SHA-256.
    """
    document = model.document
    if document.spec.data:
        if not model.data_digests:
            raise DataError(f"{document.origin}: trained on data passed in, not on files")
        now = digests(document, reader)
        for path, found, known in zip(now, now.values(), model.data_digests.values(), strict=False):
            if found != known:
                file = path if is_remote(path) else document.directory / path
                raise DataError(
                    f"{file}: not the data that it was trained on (SHA-256 {known[:16]}…); "
                    "restore the old file, or start a new run"
                )
        if len(now) != len(model.data_digests):
            raise DataError(f"{document.origin}: trained on other data files")


def attach_data(model: Model, splits: Splits) -> PreparedRun:
    """Convert tables to examples for the model's network."""
    read = not model.network.integer_input
    train = _examples(model, splits.train, read=read, training=True)
    train = model.with_sample_weights(train, splits.train)
    validation, test = (
        None if table is None else _examples(model, table)
        for table in (splits.validation, splits.test)
    )
    tables = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    if splits.holders is not None:
        train, validation = _out_of_fold(model, train, splits.holders)
        tables["validation"] = splits.train
    bare = {name: replace(table, columns={}) for name, table in tables.items() if table is not None}
    return PreparedRun(model, train, validation, test, bare)


def _out_of_fold(model: Model, train: Examples, holders: Array) -> tuple[Examples, Examples]:
    """Return training rows with their weights for each member, and the same ones for validation."""
    if model.evaluation.points(train.targets) is not None:
        problem = "the target has a value per step, but needs one per row; use validation instead"
        raise SpecError([Problem("$.data.split.member_folds", problem)])
    model.evaluation.require_independent()
    assert not isinstance(train.weights, Padded)  # those of a target per step are
    weights = weights_of_members(train.weights, holders, model.network.members)
    validation = replace(train, weights=None, holders=holders)
    return replace(train, weights=as_type(weights, model.network.dtype)), validation


def _examples(
    model: Model, table: Table, *, read: bool = False, training: bool = False
) -> Examples:
    """Return a table's examples. Inputs that stay in their file are read once, unless `read`.

    So an invalid value is reported before anything is written.
    """
    examples = model.examples(table, table, training=training)
    if not read and isinstance(examples.x, LazyArray):
        with observed_together(model.spec.data):
            for _ in iter_chunks(examples.x, len(examples)):
                pass
    return examples


def digests(document: Document, reader: DataReader | None = None) -> dict[str, str]:
    """Return the SHA-256 of the data at each path in the spec, as the spec has it."""
    data, reader = document.spec.data, reader or DataReader()
    if data is None:
        return {}
    named = data_files(data, document.directory)
    return {text: reader.digest(path, files) for path, (text, files) in named.items()}


def _from_files(document: Document, reader: DataReader | None) -> tuple[Preprocessing, Splits]:
    spec = document.spec
    if spec.data is None:
        problem = "required, but missing; name the data file, or pass data=(x, y) in Python"
        raise SpecError([Problem("$.data", problem)])
    return read_splits(
        spec.data,
        target_columns(spec, spec.data.target_groups or spec.data.targets),
        document.directory,
        _split_seed(spec),
        _fold(spec),
        reader or DataReader(),
        integer_inputs=integer_inputs(spec.model.layers, spec.data.groups, spec.several),
        members=spec.model.members,
    )


def tables_of(data: tuple[Any, Any]) -> tuple[Table, Table]:
    """Return the tables of inputs and of targets passed in as `(x, y)`.

    They are the same of an autoencoder, to which an array is passed as both.
    """
    if not (isinstance(data, tuple) and len(data) == 2):
        raise UsageError("data: expected (x, y), the inputs and the targets")
    inputs = table_of(data[0])
    if data[1] is None:
        return inputs, replace(inputs, columns={})
    return inputs, inputs if data[1] is data[0] else table_of(data[1], [TARGET])


def _from_arrays(document: Document, inputs: Table, target: Table) -> tuple[Preprocessing, Splits]:
    spec = document.spec
    columns = spec.data or Columns(scaling="none")
    if columns.window is None:
        columns = _with_reproduced(columns, inputs, target)
    if columns.inputs is None and _are_named(inputs, spec):
        columns = replace(columns, inputs=dict(zip(inputs.columns, inputs.columns, strict=True)))
    table = replace(inputs, columns={**inputs.columns, **target.columns})
    return split_table(
        table,
        target_columns(spec, _targets_given(spec, inputs, tuple(target.columns))),
        columns,
        spec.data.split if spec.data else Split(),
        _split_seed(spec),
        _fold(spec),
        integer_inputs=integer_inputs(spec.model.layers, columns.groups, spec.several),
        members=spec.model.members,
    )


def _targets_given(
    spec: Spec, inputs: Table, names: tuple[str, ...]
) -> tuple[str, ...] | Mapping[str, tuple[str, ...]]:
    """Return the target columns of data passed in with these, as the data section has them.

    Without such a section, each column is the target of the output of its name if there are several
    columns and outputs.
    """
    compared, data = compared_outputs(spec), spec.data
    own = data.targets if data else ()
    if set(own) <= set(names) or (own == (INPUTS,) and set(names) <= set(inputs.columns)):
        names = own or names
    if not names and any(one.loss and one.loss.takes_target for one in compared):
        raise UsageError("data: the loss takes a target; pass (x, y), the inputs and the targets")
    if data and data.target_groups:
        return data.target_groups
    of_one = len(compared) == 1 and compared[0].target not in names
    if spec.several and len(names) > 1 and not of_one:
        return {name: (name,) for name in names}
    return names


def _with_reproduced(columns: Columns, inputs: Table, target: Table) -> Columns:
    """Return columns that list the inputs if data passed in has some among the targets too.

    Raises `DataError` for a column of both with other values, or that a network could copy.
    """
    both = [name for name in target.columns if name in inputs.columns]
    for name in both:
        if not _equal(inputs.columns[name], target.columns[name]):
            raise DataError(f"the inputs and the targets have columns {name!r} of other values")
    if both and columns.listed is None:
        columns = replace(columns, inputs=tuple(inputs.columns))
    if copied := copies(tuple(target.columns), columns):
        raise DataError(f"column {copied[0]!r} is both an input and a target; remove one of them")
    return columns


def _equal(first: Any, second: Any) -> bool:
    """Return True if two columns passed in are one, or have equal values."""
    if first is second:
        return True
    if isinstance(first, Ragged) and isinstance(second, Ragged):
        return np.array_equal(first.lengths, second.lengths) and _equal(first.steps, second.steps)
    one, other = (
        column.text() if isinstance(column, Categorical) else np.asarray(column)
        for column in (first, second)
    )
    return one.shape == other.shape and bool(
        np.all((one == other) | ((one != one) & (other != other)))
    )


def _are_named(inputs: Table, spec: Spec) -> bool:
    """Return True if each column passed in is an input of its own: one of them has arrays.

    A single one is if a layer reads it by its name.
    """
    lists = spec.data.list_columns if spec.data else ()
    if not any(one.ndim > 1 for name, one in inputs.columns.items() if name not in lists):
        return False
    entries = [one.keys.inputs for one in spec.model.layers if isinstance(one, LayerEntry)]
    read = {name for one in entries for name in ((one,) if isinstance(one, str) else one or ())}
    return len(inputs.columns) > 1 or not read.isdisjoint(inputs.columns)


def _split_seed(spec: Spec) -> int:
    """Return the seed of the split: its own, or that of the spec."""
    own = spec.data.split.seed if spec.data else None
    return spec.seed if own is None else own


def _fold(spec: Spec) -> Fold | None:
    """Return the fold of a spec; the first if it does not name one."""
    return Fold(spec.train.fold or 1, spec.train.folds) if spec.train.folds else None
