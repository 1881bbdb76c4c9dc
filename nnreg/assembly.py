"""From a spec to a model with its data: what `build`, `run` and `validate` have in common."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnreg.data.loading import Fold, Parts, data_files, divide, read_parts
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.tables import table_of
from nnreg.errors import DataError, Problem, SpecError, UsageError
from nnreg.evaluation import Examples
from nnreg.interfaces import Table
from nnreg.model import Model
from nnreg.spec import Columns, Document, Spec, Split
from nnreg.starting import take_weights
from nnreg.stored import Stored, pieces

TARGET = "target"
"""The name of the target column where the data are passed in as `(x, y)`."""


@dataclass(frozen=True)
class Assembled:
    """A model, and the examples of each part of its data.

    `tables` has, by the name of the part, where its rows come from: tables without their columns.
    """

    model: Model
    train: Examples
    validation: Examples | None
    test: Examples | None
    tables: Mapping[str, Table]

    @property
    def parts(self) -> dict[str, Examples]:
        """The parts that there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def measure(self) -> dict[str, dict[str, float]]:
        """Return the loss and every metric of each part, by its name."""
        model, network = self.model, self.model.answering
        return {name: model.evaluation.measure(network, part) for name, part in self.parts.items()}


def assemble(document: Document, data: tuple[Any, Any] | None = None) -> Assembled:
    """Read the data of a spec, or take `(x, y)` instead, and build the model for them.

    Arrays passed in are not scaled, unless the spec has a data section that says so.
    """
    if data is not None and not (isinstance(data, tuple) and len(data) == 2):
        raise UsageError("data: expected (x, y), the inputs and the targets")
    with document.locating():
        preprocessing, parts = _from_arrays(document, *data) if data else _from_files(document)
        model = Model(document, preprocessing)
        model.network.initialize(model.spec.seed)
        take_weights(model)
        if not data:
            model.data_digests = digests(document)
        return with_data(model, parts)


def reassemble(model: Model) -> Assembled:
    """Read the data of a loaded model again, with the preprocessing that it learned."""
    check_data(model)
    with model.document.locating():
        _, parts = _from_files(model.document)
        return with_data(model, parts)


def check_data(model: Model) -> None:
    """Refuse data files other than those that a loaded model was trained on.

    A checkpoint may name any file of this machine. None is used whose SHA-256 the checkpoint does
    not have: raises `DataError`.
    """
    document = model.document
    if document.spec.data:
        if not model.data_digests:
            raise DataError(f"{document.origin}: it was trained on data passed in, not on files")
        now = digests(document)
        for path, found, known in zip(now, now.values(), model.data_digests.values(), strict=False):
            if found != known:
                raise DataError(
                    f"{path}: not the data that it was trained on (SHA-256 {known[:16]}…); "
                    "put the old file back, or start a new run"
                )
        if len(now) != len(model.data_digests):
            raise DataError(f"{document.origin}: it was trained on other data files")


def with_data(model: Model, parts: Parts) -> Assembled:
    """Turn tables into what the model's network takes."""
    train = _examples(model, parts.train, read=not model.network.integer_input)
    train = model.weighted(train, parts.train)
    validation, test = (
        None if part is None else _examples(model, part) for part in (parts.validation, parts.test)
    )
    tables = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    bare = {name: replace(table, columns={}) for name, table in tables.items() if table is not None}
    return Assembled(model, train, validation, test, bare)


def _examples(model: Model, table: Table, *, read: bool = False) -> Examples:
    """Return a table's examples. What stays in its file is read once, unless it was already.

    A value that cannot be used is then told before anything is written.
    """
    examples = model.examples(table, table)
    if not read and isinstance(examples.x, Stored):
        for _ in pieces(examples.x, len(examples)):
            pass
    return examples


def digests(document: Document) -> dict[str, str]:
    """Return the SHA-256 of the data at each path that the spec gives."""
    data = document.spec.data
    if data is None:
        return {}
    named = data_files(data, document.folder)
    return {str(path): _digest(path, files) for path, files in named.items()}


def _digest(path: Path, files: Sequence[Path]) -> str:
    """Return the SHA-256 of a file; of several, that of what `sha256sum` prints of them."""
    each = {}
    for name in files:
        with name.open("rb") as file:
            each[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if list(files) == [path]:
        return each[path]
    names = {name: os.path.relpath(name, path.parent) for name in files}
    listed = "".join(f"{each[name]}  {names[name]}\n" for name in files)
    return hashlib.sha256(os.fsencode(listed)).hexdigest()


def _from_files(document: Document) -> tuple[Preprocessing, Parts]:
    spec = document.spec
    if spec.data is None:
        problem = "required, but not given; say where the data are, or pass data=(x, y) in Python"
        raise SpecError([Problem("$.data", problem)])
    return read_parts(
        spec.data,
        document.folder,
        spec.seed,
        _fold(spec),
        of_classes=_of_classes(spec),
        integer_input=spec.model.layers[0].integer_input,
    )


def _from_arrays(document: Document, x: Any, y: Any) -> tuple[Preprocessing, Parts]:
    spec = document.spec
    inputs, target = table_of(x), table_of(y, [TARGET])
    targets = tuple(target.columns)
    clash = sorted(set(targets) & set(inputs.columns))
    if clash:
        raise DataError(f"column {clash[0]!r} is among both the inputs and the targets")
    table = replace(inputs, columns={**inputs.columns, **target.columns})
    return divide(
        table,
        targets,
        spec.data or Columns(scaling="none"),
        spec.data.split if spec.data else Split(),
        spec.seed,
        _fold(spec),
        of_classes=_of_classes(spec),
        integer_input=spec.model.layers[0].integer_input,
    )


def _fold(spec: Spec) -> Fold | None:
    """Return the fold that a spec is about: the first, unless it says which."""
    return Fold(spec.train.fold or 1, spec.train.folds) if spec.train.folds else None


def _of_classes(spec: Spec) -> bool:
    """Tell whether a target of numbers is meant as classes: by the loss, a layer, or a metric."""
    layers = any(getattr(layer, "units", None) == "classes" for layer in spec.model.layers)
    return layers or spec.loss.of_classes or any(metric.of_classes for metric in spec.metrics)
