"""Models as C99, without allocation and with the mathematical functions of libm alone."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnreg._types import Array
from nnreg.builtin.exporters.c_texts import CALLS, encoded
from nnreg.builtin.exporters.c_writer import Names, source_and_header
from nnreg.builtin.exporters.loop_operations import OPERATIONS
from nnreg.errors import ExportError
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-pedantic", "-O2", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class CSource(Exporter):
    """A directory with model.c and model.h, in C99, without allocation.

    A function takes a struct with the columns of a row, numbers NAN and texts NULL where missing,
    and writes the predictions. It returns 0, or the number of a requirement that the row does not
    meet, such as a known category.

    Options:
        precision: Of the network's values, "float" as in training or "double".
        memory: Where intermediate values are: "stack", so that several threads may call the
            function at once, or "static" for a device whose stack is small.
    """

    precision: Literal["float", "double"] = "float"
    memory: Literal["stack", "static"] = "stack"

    def unsupported(self, operation: Operation) -> str:
        if operation.name in OPERATIONS or operation.name in CALLS:
            return ""
        return f"C has no operation {operation.name!r}"

    def contents(self, program: Program) -> Mapping[str, bytes]:
        source, header = source_and_header(program, self.precision, self.memory)
        return {"model.c": source.encode(), "model.h": header.encode()}

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array] | None:
        compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
        if compiler is None:
            return None
        with tempfile.TemporaryDirectory() as directory:
            library = Path(directory) / "model.so"
            command = [compiler, *FLAGS, "-shared", "-fPIC", "-o", str(library)]
            made = subprocess.run(
                [*command, str(path / "model.c"), "-lm"],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise ExportError(f"the C compiler refuses the exported model: {made.stderr}")
            return _call(ctypes.CDLL(str(library)), program, columns, self.precision)


def _call(
    library: Any, program: Program, columns: Mapping[str, Sequence[Any]], kind: str
) -> dict[str, Array]:
    """Return the outputs of the compiled function for each row."""
    function = getattr(library, f"{Names(program).model}_predict")
    shapes = [one.operand.shape for one in program.outputs]
    single = np.dtype(np.float32 if kind == "float" else np.float64)
    types = {"float32": single, "bool": np.dtype(np.int32)}  # as the types of the source
    dtypes = [types.get(str(one.operand.dtype), one.operand.dtype) for one in program.outputs]
    rows = rows_of(program, columns)
    found = [np.full((len(rows), *shape), np.nan) for shape in shapes]
    for index, row in enumerate(rows):
        results = [np.zeros(*both) for both in zip(shapes, dtypes, strict=True)]
        pointers = [ctypes.c_void_p(result.ctypes.data) for result in results]
        if function(ctypes.byref(row), *pointers) == 0:
            for own, result in zip(found, results, strict=True):
                own[index] = result
    return {one.name or "prediction": own for one, own in zip(program.outputs, found, strict=True)}


def rows_of(program: Program, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return an array of the structs that the function takes."""
    names = Names(program)
    fields = [(names.fields[one.name], _field(one)) for one in program.inputs]
    row_type: Any = type("Row", (ctypes.Structure,), {"_fields_": fields})
    found = (row_type * len(next(iter(columns.values()))))()
    for one in program.inputs:
        for row, value in zip(found, one.given(columns), strict=True):
            values = np.ravel(value).tolist()
            if one.takes == "text":
                values = [None if text is None else encoded(text) for text in values]
            setattr(
                row,
                names.fields[one.name],
                _field(one)(*values) if one.operation.shape else values[0],
            )
    return found


def _field(one: ProgramInput) -> Any:
    kinds = {"text": ctypes.c_char_p, "steps": ctypes.c_long}
    kind: Any = kinds.get(one.takes, ctypes.c_double)
    return kind * one.operation.size if one.operation.shape else kind
