"""Recording the inputs of a network: from raw columns, one per row or one per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.targets import NumericTarget
from nnreg.data.window_table import step_names
from nnreg.data.windows import relative_rows
from nnreg.errors import ExportError
from nnreg.interfaces.graph import INPUT
from nnreg.model.model import Model
from nnreg.model.outputs import Output
from nnreg.operations.functions import lookup, of_texts, scan
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

    def of_texts(
        self, name: str, compute: Callable[[Sequence[Any]], Array], **attributes: Any
    ) -> Any:
        """Record numbers `(rows, …)` that a function finds in texts; see `of_texts`."""
        return of_texts(name, self.values, compute, **attributes)

    def require(self, valid: Any, expected: str) -> None:
        """Record that a program has no answer for rows that are not valid."""
        self.required.append((valid, f"column {self.name!r}: expected {expected}"))


def encode(column: InputColumn, values: Any, *time: int) -> tuple[Any, Any, list[tuple[Any, str]]]:
    """Return the encoded values of a column, which are missing, and what rows are required to be.

    `values` are `(rows, …)`, recorded or not; with `time`, arrays `(rows, time, …)`.
    """
    encoder = column.encoder
    missing = lookup(values, (None,)) == 0 if encoder.infer_takes == "text" else np.isnan(values)
    if values.ndim > 1:
        missing = np.any(missing, axis=tuple(range(1, values.ndim)))
    if encoder.takes_lists:  # a missing cell is one without labels
        missing = missing & False
    own = RecordedColumn(column.name, values, missing)
    if not (column.indicator and encoder.takes_missing):
        if column.fill is None:
            own.require(~missing, "a value, found none")
        else:
            own.values = np.where(missing, _fill_of(column, values.dtype), values)
            own.missing = missing & False
    with located(f"column {column.name!r} ({type(encoder).__name__})"):
        encoded = encoder.infer(own)
    encoded = encoded.reshape((len(values), *time, *encoder.shape))
    if column.indicator:
        encoded = np.concatenate([encoded, missing[:, None].astype(encoded.dtype)], axis=1)
    return encoded, missing, own.required


def _fill_of(column: InputColumn, dtype: Any) -> Array:
    """Return what replaces a missing value, a number where the text of one is recorded as it."""
    try:
        return np.array(column.fill, dtype)
    except ValueError as error:
        raise ExportError(
            f"column {column.name!r}: is exported as a number, but {column.fill!r} replaces a "
            "missing value"
        ) from error


def relative_of(model: Model) -> int:
    """Return how many rows before a target the value is that it is relative to; 0 if to none."""
    window, settings = model.preprocessing.window, model.raw_rows.columns.windows
    if window is None or settings is None:
        return 0
    return relative_rows(settings, window.spacing)


class RecordedInputs:
    """The inputs `x` of a network, recorded from raw columns, and the masks of its sequences."""

    def __init__(self, model: Model) -> None:
        self.model, self.network = model, model.inference_network
        self.inputs: dict[str, ProgramInput] = {}
        self.values: dict[str, Recorded] = {}
        self.requirements: list[Requirement] = []
        self.masks: dict[str, Any] = {}
        self.relative = relative_of(model)
        preprocessing = model.preprocessing
        parts = preprocessing.parts or {"": preprocessing}
        found = {name: self._input(part, name) for name, part in parts.items()}
        self.x: Any = found.get("", found)

    def _input(self, preprocessing: Preprocessing, name: str) -> Recorded:
        """Record the input of the network of this name."""
        dtype = self.network.input_dtype(name or None)
        if preprocessing.window is not None:
            return self._window(preprocessing, name, dtype)
        steps = preprocessing.steps.get(INPUT)
        if preprocessing.inputs[0].encoder.makes_sequences:
            assert steps is not None  # of the longest text in training
            return self._made_sequence(preprocessing.inputs[0], steps, name)
        if steps is None:
            parts = [self._encoded(one, self._column(one)) for one in preprocessing.inputs]
        else:
            real = self.masks[name or INPUT] = self._mask(preprocessing, steps)
            parts = [self._sequence(column, steps, real) for column in preprocessing.inputs]
        joined: Any = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        found: Recorded = joined.astype(dtype)
        return found

    def _window(self, preprocessing: Preprocessing, name: str, dtype: Any) -> Recorded:
        """Record an input of windows: each column has the values of several rows."""
        whole, window = self.model.preprocessing, preprocessing.window
        assert window is not None  # asked of windows
        ahead, parts = name in (whole.window or window).known, []
        for one in preprocessing.inputs:
            key = name_ahead(whole, one.name) if ahead else one.name
            values = self._column(one, window.length, name=key)
            parts.append(self._by_step(one, values, carry=True))
        joined: Any = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        x: Recorded = joined.astype(dtype)
        if ahead or not self.relative:
            return x
        moved = np.zeros(x.shape[-1], dtype)
        moved[list(preprocessing.features_of(window.targets))] = 1
        return x - x[:, -1:] * moved[None, None] if moved.any() else x

    def base(self, output: Output) -> Any:
        """Record the values that the targets of an output are relative to; None if they are not."""
        target, window = output.target, self.model.preprocessing.window
        if not self.relative or window is None or not isinstance(target, NumericTarget):
            return None
        settings = self.model.raw_rows.columns.windows
        assert settings is not None  # the model has windows
        names, columns = step_names(window.targets, settings.horizon), []
        for name in target.names:
            step, number = divmod(names.index(name), len(window.targets))
            ahead = settings.gap + step + 1
            back = self.relative * -(-ahead // self.relative) - ahead
            known = self._carried_forward(window.targets[number], window.length)
            columns.append(known[:, window.length - 1 - back])
        base = np.stack(columns, axis=1)
        text = "expected a known value that the prediction is relative to"
        self._require(np.all(~np.isnan(base), axis=1), text)
        return base

    def _carried_forward(self, name: str, length: int) -> Any:
        """Record the numbers of a column, a missing one as the last before it in the window."""
        if (read := self.inputs.get(name)) is not None and read.takes != "number":
            raise ExportError(f"column {name!r}: is read as text, but targets are relative to it")
        values = self._number(name, "number", (length,))

        def step(carried: Sequence[Any], given: Sequence[Any]) -> Any:
            last = np.where(np.isnan(given[0]), carried[0], given[0])
            return [last], [last]

        return scan(step, [np.full(1, np.nan)], [values])[1][0]

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
        if encoder.takes == "arrays":
            encoded = self._encoded(column, values, steps)
        else:
            encoded = self._by_step(column, values, real)
        wide = real.reshape(*real.shape, *(1,) * (encoded.ndim - 2))
        return np.where(wide, encoded, np.zeros((), encoded.dtype))

    def _made_sequence(self, column: InputColumn, steps: int, name: str) -> Recorded:
        """Record the indices of a column whose texts become sequences, 0 after the end of each."""
        values = self._column(column)
        missing = lookup(values, (None,)) == 0
        own = RecordedColumn(column.name, values, missing)
        if column.fill is None:
            own.require(~missing, "a value, found none")
        else:
            own.values = np.where(missing, np.array(column.fill, object), values)
        with located(f"column {column.name!r} ({type(column.encoder).__name__})"):
            found = column.encoder.infer_sequences(own, steps)
        counts = found[:, 0]
        own.require(counts <= steps, f"a text of at most {steps} tokens")
        for valid, text in own.required:
            self._require(valid, text)
        self.masks[name or INPUT] = np.arange(steps)[None] < counts[:, None]
        x: Recorded = found[:, 1:].astype(self.network.input_dtype(name or None))
        return x

    def _by_step(
        self, column: InputColumn, values: Any, real: Any = None, *, carry: bool = False
    ) -> Any:
        """Record the encoded values of each step, as those of rows are.

        To `carry`, an imputed value is that of the last step before which has one.
        """
        texts: list[str] = []
        carry = carry and column.fill is not None
        carry = carry and not (column.indicator and column.encoder.takes_missing)
        shape = column.encoder.shape
        last = [np.zeros((1, *shape)), np.zeros((1, *(1 for _ in shape)), bool)] if carry else []

        def step(carried: Sequence[Any], given: Sequence[Any]) -> Any:
            encoded, missing, required = encode(column, given[0])
            texts[:] = [text for _, text in required]
            after = []
            if carry:
                gap = missing.reshape((len(missing), *(1 for _ in shape)))
                own, indicator = encoded[:, : shape[0]], encoded[:, shape[0] :]
                own = np.where(gap & carried[1], carried[0], own)
                encoded = np.concatenate([own, indicator], axis=1) if column.indicator else own
                after = [own, carried[1] | ~gap]
            return after, [encoded, *(valid for valid, _ in required)]

        _, (encoded, *valid) = scan(step, last, [values])
        for one, text in zip(valid, texts, strict=True):
            self._require(np.all(one if real is None else one | ~real, axis=1), text)
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

    def _column(
        self, column: InputColumn, *time: int, name: str = "", sequence: bool = False
    ) -> Recorded:
        """Return the input for a column, the same for all encoders that read it."""
        encoder = column.encoder
        if encoder.takes == "arrays":
            return self._number(name or column.name, "array", (*time, *encoder.shape), sequence)
        known = next(iter(encoder.example_texts), "")
        if encoder.infer_takes == "numbers":
            quantiles = column.summary.quantiles if column.summary else ()
            example = quantiles[len(quantiles) // 2] if quantiles else None
            if encoder.takes == "text":
                example = float(known)
            return self._number(name or column.name, "number", time, sequence, example)
        values = np.full((SAMPLES, *time), known, object)
        return self._known(name or column.name, "text", values, sequence, known)

    def _number(
        self,
        name: str,
        takes: Takes,
        shape: Shape,
        sequence: bool = False,
        example: float | None = None,
    ) -> Recorded:
        return self._known(name, takes, np.zeros((SAMPLES, *shape)), sequence, example)

    def _known(
        self, name: str, takes: Takes, values: Array, sequence: bool, example: float | str | None
    ) -> Recorded:
        """Return the input of this name; `values` are of its type, and have its shape."""
        if name not in self.values:
            attributes = {"name": name, "sequence": sequence}
            operation = Operation("input", (), values.shape[1:], values.dtype, attributes)
            self.values[name] = Recorded(operation, values)
            self.inputs[name] = ProgramInput(
                name,
                takes,
                operation,
                sequence=sequence,
                example=None if values.ndim > 1 else example,
            )
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


def name_ahead(preprocessing: Preprocessing, column: str) -> str:
    """Return the name of the values that a column has in the rows of the targets."""
    name = f"{column}_ahead"
    while name in preprocessing.names:
        name += "_"
    return name
