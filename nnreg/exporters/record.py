"""Recording the program of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnreg._types import Shape
from nnreg._utils import json_text
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import ExportError
from nnreg.interfaces.encoder import Encoder
from nnreg.model.model import Model
from nnreg.model.outputs import Output
from nnreg.network.network import Network
from nnreg.network.recorded_pass import infer_network
from nnreg.operations.functions import lookup
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput, Requirement, Takes
from nnreg.operations.recorded import Recorded, located

SAMPLES = 2
"""The number of rows for which values are computed while a program is recorded."""


@dataclass
class RecordedColumn:
    """A column as `Encoder.infer` gets it: what the encoder reads is recorded."""

    name: str
    values: Any
    missing: Any
    requirements: list[Requirement] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def positions(self, texts: Sequence[str]) -> Any:
        """Record the position of each text among these, -1 for others and missing ones."""
        return lookup(self.values, texts)

    def require(self, valid: Any, expected: str) -> None:
        """Record that a program has no answer for rows that are not valid."""
        if isinstance(valid, Recorded):
            text = f"column {self.name!r}: expected {expected}"
            self.requirements.append(Requirement(valid.operation, text))


def weights_of(model: Model) -> Program:
    """Return a program with the weights for predictions and the spec, and no computation."""
    network = model.inference_network
    spec = json_text.dumps(model.document.tree, ensure_ascii=False)
    return Program(model.document.name, (), (), (), {**network.parameters, **network.state}, spec)


def program_of(model: Model) -> Program:
    """Return the program of a model. Raises `ExportError` for what cannot be recorded."""
    preprocessing = model.preprocessing
    if preprocessing.steps or preprocessing.window is not None:
        raise ExportError("the model reads sequences of different lengths, or windows of rows")
    recorder = _Recorder(model.inference_network)
    parts = preprocessing.parts or {"": preprocessing}
    encoded = {name: recorder.encode(part, name) for name, part in parts.items()}
    x = encoded.get("", encoded)
    y = recorder.infer(x, model.outputs)
    outputs = [
        _output(one, y[one.name] if isinstance(y, dict) else y) for one in model.outputs.values()
    ]
    inputs, requirements = tuple(recorder.inputs.values()), tuple(recorder.requirements)
    return replace(
        weights_of(model), inputs=inputs, outputs=tuple(outputs), requirements=requirements
    )


@dataclass
class _Recorder:
    """The inputs and requirements of a program that is being recorded."""

    network: Network
    inputs: dict[str, ProgramInput] = field(default_factory=dict)
    values: dict[str, Recorded] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)

    def encode(self, preprocessing: Preprocessing, name: str) -> Recorded:
        """Record the input of the network of this name for raw columns."""
        parts = [self._encoded(column) for column in preprocessing.inputs]
        joined: Any = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        found: Recorded = joined.astype(self.network.input_dtype(name or None))
        return found

    def _encoded(self, column: InputColumn) -> Any:
        """Record the encoded values of a column, with its indicator."""
        encoder = column.encoder
        values: Any = self._input(column.name, encoder)
        missing = lookup(values, (None,)) == 0 if encoder.takes == "text" else np.isnan(values)
        if values.ndim > 1:
            missing = np.any(missing, axis=tuple(range(1, values.ndim)))
        own = RecordedColumn(column.name, values, missing, self.requirements)
        if not (column.indicator and encoder.takes_missing):
            if column.fill is None:
                own.require(~missing, "a value, found none")
            else:
                own.values = np.where(missing, np.array(column.fill, values.dtype), values)
                own.missing = missing & False
        with located(f"column {column.name!r} ({type(encoder).__name__})"):
            encoded = encoder.infer(own)
        if encoded.ndim == 1:
            encoded = encoded[:, None]
        if column.indicator:
            encoded = np.concatenate([encoded, missing[:, None].astype(encoded.dtype)], axis=1)
        return encoded

    def _input(self, name: str, encoder: Encoder) -> Recorded:
        """Return the input for a column, the same for all encoders that read it."""
        if name not in self.values:
            takes: Takes = "text" if encoder.takes == "text" else "number"
            shape: Shape = encoder.shape if encoder.takes == "arrays" else ()
            takes = "array" if encoder.takes == "arrays" else takes
            dtype = np.dtype(object) if takes == "text" else np.dtype(np.float64)
            operation = Operation("input", (), shape, dtype, {"name": name})
            text = next(iter(encoder.known_texts), "") if takes == "text" else 0.0
            self.values[name] = Recorded(operation, np.full((SAMPLES, *shape), text, dtype))
            self.inputs[name] = ProgramInput(name, takes, operation)
        return self.values[name]

    def infer(self, x: Any, outputs: Mapping[str, Output]) -> Any:
        """Record the outputs of the network, the mean of an ensemble."""
        if self.network.members == 1:
            return infer_network(self.network, x)
        members = [infer_network(self.network.member(n), x) for n in range(self.network.members)]
        if not isinstance(members[0], dict):
            return outputs[""].average(np.stack(members, axis=1))  # type: ignore[attr-defined]
        return members


def _output(output: Output, y: Any) -> ProgramOutput:
    """Return an output in the units of its target, or as probabilities of its classes."""
    if output.predicts_classes:
        y = output.class_scores(y)
    y = output.in_units(y, None)  # type: ignore[arg-type]
    return ProgramOutput(output.name, y.operation, output.classes)
