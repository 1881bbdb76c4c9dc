"""Recording the inputs of a network: from raw columns, one per row or one per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._types import Shape
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import ExportError
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.graph import INPUT
from nnreg.model.model import Model
from nnreg.operations.functions import lookup, scan
from nnreg.operations.operation import Operation
from nnreg.operations.program import ProgramInput, Requirement, Takes
from nnreg.operations.recorded import Recorded, located

SAMPLES = 2
"""The number of rows for which values are computed while a program is recorded."""


@dataclass
class RecordedColumn:
    """A column as `Encoder.infer` gets it: what the encoder reads is recorded."""

    name: str
    values: Any
    missing: Any
    required: list[tuple[Any, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def positions(self, texts: Sequence[str]) -> Any:
        """Record the position of each text among these, -1 for others and missing ones."""
        return lookup(self.values, texts)

    def require(self, valid: Any, expected: str) -> None:
        """Record that a program has no answer for rows that are not valid."""
        self.required.append((valid, f"column {self.name!r}: expected {expected}"))


def encode(
    column: InputColumn, values: Any, *time: int
) -> tuple[Any, Any, list[tuple[Any, str]]]:
    """Return the encoded values of a column, which are missing, and what rows are required to be.

    `values` are `(rows, …)`, recorded or not; with `time`, arrays `(rows, time, …)`.
    """
    encoder = column.encoder
    missing = lookup(values, (None,)) == 0 if encoder.takes == "text" else np.isnan(values)
    if values.ndim > 1:
        missing = np.any(missing, axis=tuple(range(1, values.ndim)))
    own = RecordedColumn(column.name, values, missing)
    if not (column.indicator and encoder.takes_missing):
        if column.fill is None:
            own.require(~missing, "a value, found none")
        else:
            own.values = np.where(missing, np.array(column.fill, values.dtype), values)
            own.missing = missing & False
    with located(f"column {column.name!r} ({type(encoder).__name__})"):
        encoded = encoder.infer(own)
    encoded = encoded.reshape((len(values), *time, *encoder.shape))
    if column.indicator:
        encoded = np.concatenate([encoded, missing[:, None].astype(encoded.dtype)], axis=1)
    return encoded, missing, own.required


class RecordedInputs:
    """The inputs `x` of a network, recorded from raw columns, and the masks of its sequences."""

    def __init__(self, model: Model) -> None:
        self.model, self.network = model, model.inference_network
        self.inputs: dict[str, ProgramInput] = {}
        self.values: dict[str, Recorded] = {}
        self.requirements: list[Requirement] = []
        self.masks: dict[str, Any] = {}
        preprocessing = model.preprocessing
        parts = preprocessing.parts or {"": preprocessing}
        found = {name: self._input(part, name) for name, part in parts.items()}
        self.x: Any = found.get("", found)

    def _input(self, preprocessing: Preprocessing, name: str) -> Recorded:
        """Record the input of the network of this name."""
        if preprocessing.window is not None:
            raise ExportError("the model reads windows of rows")
        steps = preprocessing.steps.get(INPUT)
        if steps is None:
            parts = [self._encoded(one, self._column(one)) for one in preprocessing.inputs]
        else:
            real = self.masks[name or INPUT] = self._mask(preprocessing, steps)
            parts = [self._sequence(column, steps, real) for column in preprocessing.inputs]
        joined: Any = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        found: Recorded = joined.astype(self.network.input_dtype(name or None))
        return found

    def _encoded(self, column: InputColumn, values: Any, *time: int) -> Any:
        """Record the encoded values of a column of one value per row, or of arrays of steps."""
        encoded, _, required = encode(column, values, *time)
        for valid, text in required:
            self._require(valid, text)
        return encoded

    def _sequence(self, column: InputColumn, steps: int, real: Any) -> Any:
        """Record the encoded steps of a column of sequences, 0 after the end of each."""
        values = self._column(column, steps, sequence=True)
        encoder = column.encoder
        if encoder.makes_sequences:
            raise ExportError(
                f"column {column.name!r} ({type(encoder).__name__}): its texts become sequences, "
                "which no format can express; export a model of the tokens"
            )
        if encoder.takes == "arrays":
            encoded = self._encoded(column, values, steps)
        else:
            encoded = self._by_step(column, values, real)
        wide = real.reshape(*real.shape, *(1,) * (encoded.ndim - 2))
        return np.where(wide, encoded, np.zeros((), encoded.dtype))

    def _by_step(self, column: InputColumn, values: Any, real: Any) -> Any:
        """Record the encoded values of each step, as those of rows are."""
        texts: list[str] = []

        def step(_: Sequence[Any], given: Sequence[Any]) -> Any:
            encoded, _missing, required = encode(column, given[0])
            texts[:] = [text for _, text in required]
            return [], [encoded, *(valid for valid, _ in required)]

        _, (encoded, *valid) = scan(step, [], [values])
        for one, text in zip(valid, texts, strict=True):
            self._require(np.all(one | ~real, axis=1), text)
        return encoded

    def _mask(self, preprocessing: Preprocessing, steps: int) -> Any:
        """Record which steps are real; all columns of an input have the same number."""
        counts = [self._steps(name) for name in preprocessing.names]
        text = f"column {preprocessing.names[0]!r}: expected at most {steps} steps"
        self._require(counts[0] <= steps, text)
        for name, other in zip(preprocessing.names[1:], counts[1:], strict=True):
            self._require(counts[0] == other, f"column {name!r}: expected as many steps as others")
        return np.arange(steps)[None] < counts[0][:, None]

    def _require(self, valid: Any, text: str) -> None:
        if isinstance(valid, Recorded):
            self.requirements.append(Requirement(valid.operation, text))

    def _column(self, column: InputColumn, *time: int, sequence: bool = False) -> Recorded:
        """Return the input for a column, the same for all encoders that read it."""
        name, encoder = column.name, column.encoder
        if name not in self.values:
            takes, shape = _takes(encoder)
            dtype = np.dtype(object) if takes == "text" else np.dtype(np.float64)
            attributes = {"name": name, "sequence": sequence}
            operation = Operation("input", (), (*time, *shape), dtype, attributes)
            text = next(iter(encoder.known_texts), "") if takes == "text" else 0.0
            value = np.full((SAMPLES, *operation.shape), text, dtype)
            self.values[name] = Recorded(operation, value)
            self.inputs[name] = ProgramInput(name, takes, operation, sequence=sequence)
        return self.values[name]

    def _steps(self, column: str) -> Recorded:
        """Return the input with the number of steps of a column of sequences."""
        name = f"{column}_steps"
        while name in self.model.preprocessing.names:
            name += "_"
        if name not in self.values:
            operation = Operation("input", (), (), np.dtype(np.int64), {"name": name, "of": column})
            self.values[name] = Recorded(operation, np.ones(SAMPLES, np.int64))
            self.inputs[name] = ProgramInput(name, "steps", operation, of=column)
        return self.values[name]


def _takes(encoder: Encoder) -> tuple[Takes, Shape]:
    if encoder.takes == "arrays":
        return "array", encoder.shape
    return ("text" if encoder.takes == "text" else "number"), ()
