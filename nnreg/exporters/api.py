"""Exporting a model: writing it in a format, and checking that its answers are those of nnreg."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from nnreg._types import Array
from nnreg._utils.atomic_files import replace_file
from nnreg._utils.os_errors import os_errors_as
from nnreg.errors import ExportError, NnregWarning, UsageError
from nnreg.exporters.record import program_of, weights_of
from nnreg.exporters.rows import random_rows, window_table
from nnreg.interfaces.exporter import Exporter
from nnreg.model.model import Model
from nnreg.operations.program import Program
from nnreg.spec.compose import Origins, apply_override
from nnreg.spec.overrides import Overrides, as_tuple
from nnreg.spec.validation import Reader, read

ROWS = 100
"""The number of rows whose answers are compared."""

TOLERANCE = 1e-5
"""The largest difference of an answer, relative to the largest answer if that is above 1."""


@dataclass(frozen=True)
class Export:
    """What was exported: the path, its size in bytes, and how it was checked.

    `difference` is the largest between its answers and those of nnreg in `rows` rows, relative to
    the largest answer if that is above 1; None if the format cannot be run here, and for weights,
    which have no answers.
    """

    path: Path
    bytes: int
    rows: int
    difference: float | None


def export(
    model: Model,
    path: str | PathLike[str],
    to: str | None = None,
    *,
    overrides: Overrides = (),
) -> Export:
    """Write a model in another format, and check it on random rows.

    `to` is the name of the format; by default it follows from the suffix of `path`. `overrides` are
    its options, as `{"precision": "double"}`.

    Raises `ExportError` for a model that cannot be expressed, before anything is written, and if
    the answers differ; `SpecError` for an option that the format does not have.
    """
    target = Path(path)
    exporter = _exporter(model, target, to, overrides)
    if exporter.weights_only:
        contents = exporter.contents(weights_of(model))
        return _written(target, exporter, contents, 0, None)
    program = program_of(model)
    _require_supported(program, exporter)
    plan, network = model.network.plan, model.network
    integers = [""] if network.integer_input else plan.integers
    columns = random_rows(model.preprocessing, ROWS, integers)
    answers = _answers(model, columns)
    contents = exporter.contents(program)
    difference = _difference(answers_of(exporter, program, contents, columns), answers)
    return _written(target, exporter, contents, ROWS, difference)


def _written(
    target: Path,
    exporter: Exporter,
    contents: Mapping[str, bytes],
    rows: int,
    difference: float | None,
) -> Export:
    with os_errors_as(ExportError, target):
        if not exporter.suffix:
            target.mkdir(exist_ok=True)
        _write(target, contents)
    return Export(target, sum(map(len, contents.values())), rows, difference)


def _write(target: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        replace_file(target / name if name else target, [(0, content)])


def answers_of(
    exporter: Exporter,
    program: Program,
    contents: Mapping[str, bytes],
    columns: Mapping[str, Sequence[Any]],
) -> Mapping[str, Array] | None:
    """Return the answers of what an exporter writes, written into a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="nnreg-export-") as directory:
        path = Path(directory) / f"model{exporter.suffix}"
        if not exporter.suffix:
            path.mkdir()
        _write(path, contents)
        return exporter.run(program, path, columns)


def _exporter(model: Model, path: Path, to: str | None, overrides: Overrides) -> Exporter:
    """Return the exporter of a name, or that of the suffix of a path, with these options."""
    registry = model.document.registry
    known = {one.name: one for one in registry if one.kind == "exporter"}
    choose = f"choose one of {', '.join(sorted(known))}"
    if to is None:
        classes = {name: cast(type[Exporter], one.cls) for name, one in known.items()}
        fitting = [known[name] for name, cls in classes.items() if path.suffix == cls.suffix != ""]
        if len(fitting) != 1:
            raise UsageError(f"{path}: its name says no format; {choose}")
        entry = fitting[0]
    elif (found := registry.find("exporter", to)) is None:
        raise UsageError(f"unknown format {to!r}; {choose}")
    else:
        entry = found
    cls = cast(type[Exporter], entry.cls)
    if missing := cls.missing():
        raise UsageError(f"the format {entry.name!r} needs {missing}")
    tree, origins = {"type": to or entry.name}, Origins()
    for override in as_tuple(overrides):
        apply_override(tree, override, origins)
    with origins.locating_errors(f"format {entry.name}"):
        return read(Exporter, tree, Reader(registry))


def _require_supported(program: Program, exporter: Exporter) -> None:
    """Raise `ExportError` with every operation that the format cannot express."""
    problems = {
        f"{one.location or 'the program'}: {reason}"
        for one in program.operations
        if (reason := exporter.unsupported(one))
    }
    if problems:
        raise ExportError(*sorted(problems))


def _answers(model: Model, columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    window = model.preprocessing.window
    rows = columns if window is None else window_table(model, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)  # of the unknown texts of random rows
        found = model.probabilities(rows) if model.classes else model.predict(rows)
    return found if isinstance(found, dict) else {"": found}


def _difference(found: Mapping[str, Array] | None, answers: Mapping[str, Any]) -> float | None:
    """Return the largest relative difference. Raises `ExportError` if it is too large."""
    if found is None:
        return None
    largest = 0.0
    for name, answer in answers.items():
        given = np.asarray(found[name or "prediction"], np.float64)
        if isinstance(answer, list):  # of sequences: the steps of all, one after the other
            given = np.concatenate([y[: len(own)] for y, own in zip(given, answer, strict=True)])
            answer = np.concatenate(answer)
        expected = np.asarray(answer)
        given = given.reshape(expected.shape)
        if np.isnan(given).any():
            raise ExportError("an exported answer is not a number, unlike that of nnreg")
        scale = max(1.0, float(np.abs(expected).max()))
        largest = max(largest, float(np.abs(given - expected).max()) / scale)
    if largest > TOLERANCE:
        raise ExportError(f"the exported answers differ from those of nnreg by {largest:.1e}")
    return largest
