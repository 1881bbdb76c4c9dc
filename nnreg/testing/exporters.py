"""The conformance checks of exporters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.exporters.api import answers_of
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.functions import lookup
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput, Requirement
from nnreg.operations.recorded import Recorded
from nnreg.testing.assertions import close
from nnreg.testing.finite_differences import points

KNOWN = ("low", "high")
COLUMNS: Mapping[str, Sequence[Any]] = {
    "size": [1.5, -2.0, float("nan"), 0.25],
    "level": ["low", "high", "high", "unknown"],
}
CLASSES = ("no", "perhaps", "yes")


def answers(exporter: Exporter) -> None:
    """What it writes has the answers of the program; a row with an unknown text has NaN."""
    if exporter.missing() or exporter.weights_only:
        return
    program = example_program()
    if any(exporter.unsupported(one) for one in program.operations):
        return
    found = answers_of(exporter, program, exporter.contents(program), COLUMNS)
    if found is None:
        return
    expected = program.run(COLUMNS)[""]
    given = np.asarray(found["prediction"], np.float64)
    if given.shape != expected.shape or not np.isnan(given[3]).all():
        raise AssertionError(f"{exporter}: found the answers {given}, expected {expected}")
    close(exporter, "the answers", given[:3], expected[:3], 1e-5)


def same_bytes(exporter: Exporter) -> None:
    """The same program gives the same bytes."""
    program = example_program()
    if not exporter.missing() and exporter.contents(program) != exporter.contents(program):
        raise AssertionError(f"{exporter}: the content differs when it is written again")


def refuses(exporter: Exporter) -> None:
    """It says of an operation that it does not know that it is not supported."""
    if exporter.weights_only:
        return
    unknown = Operation("an operation of no format", (), (), np.dtype(np.float64))
    if not exporter.unsupported(unknown):
        raise AssertionError(f"{exporter}: `unsupported` returned no reason for {unknown.name!r}")


def example_program() -> Program:
    """Return the program of a small classifier of a number and a text."""
    size = _input("size", np.array([0.0, 1.0]))
    level = _input("level", np.array(["low", "high"], object))
    scaled: Any = (np.where(np.isnan(size), 1.0, size) - 1.0) / 2.0
    place = lookup(level, KNOWN)
    encoded: Any = np.equal(place[:, None], np.arange(2)[None]).astype(np.float64)
    x: Any = np.concatenate([scaled[:, None], encoded], axis=1).astype(np.float32)
    hidden = np.maximum(x @ _weights(3, 4) + np.float32(0.1), 0)
    z: Any = hidden @ _weights(4, 3)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    y = powers / powers.sum(axis=1, keepdims=True)
    return Program(
        "example",
        (
            ProgramInput("size", "number", size.operation),
            ProgramInput("level", "text", level.operation),
        ),
        (ProgramOutput("", y.operation, CLASSES),),
        (Requirement((place >= 0).operation, f"column 'level': expected one of {KNOWN}"),),
    )


def _input(name: str, values: Array) -> Any:
    return Recorded(Operation("input", (), (), values.dtype, {"name": name}), values)


def _weights(inputs: int, units: int) -> Array:
    return points((inputs, units), seed=inputs).astype(np.float32)


CHECKS = (answers, same_bytes, refuses)


def checks_of(cls: type[Exporter]) -> Sequence[Any]:
    """Return the checks of a class."""
    return CHECKS


def cases(exporter: Exporter) -> Sequence[Exporter]:
    """Return the arguments of the checks."""
    return [exporter]
