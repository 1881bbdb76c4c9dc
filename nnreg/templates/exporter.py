"""The exporter my_component for nnreg."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from nnreg import Array, Exporter, hookimpl
from nnreg.operations.operation import Operand, Operation
from nnreg.operations.program import Program

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "and": np.logical_and,
    "divide": np.divide,
    "equal": np.equal,
    "exp": np.exp,
    "greater_equal": np.greater_equal,
    "is_nan": np.isnan,
    "matmul": np.matmul,
    "maximum": np.maximum,
    "multiply": np.multiply,
    "not": np.logical_not,
    "or": np.logical_or,
    "subtract": np.subtract,
    "tanh": np.tanh,
    "where": np.where,
}
"""The operations that are a function of NumPy, for the values of all rows at once."""

RULES: dict[str, Callable[..., Any]] = {
    "as_type": lambda one, x: x.astype(one["dtype"]),
    "concatenate": lambda one, *parts: np.concatenate(parts, one["axis"] + 1),
    "lookup": lambda one, texts: np.array([_place(text, one["known"]) for text in texts]),
    "max": lambda one, x: np.max(x, _axes(one), keepdims=one["keepdims"]),
    "reshape": lambda one, x: x.reshape(len(x), *one["shape"]),
    "sum": lambda one, x: np.sum(x, _axes(one), keepdims=one["keepdims"]),
}
"""Other operations. Their shapes and axes are those of one row, which is one of many here."""


@dataclass(frozen=True)
class MyComponent(Exporter):
    """A JSON file with the operations of a model, each after those that it reads.

    An operand is the number of an operation, or an object with the values of a constant.

    Options:
        indent: spaces by which each level is indented, >= 0; null for a file without line breaks
    """

    suffix = ".json"

    indent: Annotated[int, Ge(0)] | None = None

    def unsupported(self, operation: Operation) -> str:
        """Return why an operation cannot be written; empty if it can."""
        if operation.name == "input" and operation.attributes.get("sequence"):
            return "a sequence cannot be written"
        if operation.name not in {"input", *FUNCTIONS, *RULES}:
            return f"the operation {operation.name!r} cannot be written"
        return ""

    def contents(self, program: Program) -> Mapping[str, bytes]:
        """Return the file."""
        numbers = {one: number for number, one in enumerate(program.operations)}

        def operand(one: Operand) -> Any:
            if isinstance(one, Operation):
                return numbers[one]
            return {"dtype": str(one.dtype), "values": one.tolist()}

        tree = {
            "operations": [
                {
                    **one.attributes,
                    "operation": one.name,
                    "reads": [operand(x) for x in one.inputs],
                    "shape": one.shape,
                    "dtype": str(one.dtype),
                }
                for one in program.operations
            ],
            "outputs": {one.name or "prediction": operand(one.operand) for one in program.outputs},
            "requirements": [operand(one.operand) for one in program.requirements],
        }
        return {"": json.dumps(tree, indent=self.indent).encode()}

    def run(
        self, program: Program, path: Path, columns: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Array]:
        """Return the outputs that the file has for these rows, by which nnreg checks it."""
        return outputs(json.loads(path.read_bytes()), columns)


def outputs(tree: dict[str, Any], columns: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
    """Return the outputs for rows; NaN for a row that does not meet a requirement."""
    values: list[Array] = []

    def operand(one: Any) -> Array:
        return values[one] if isinstance(one, int) else np.array(one["values"], one["dtype"])

    for one in tree["operations"]:
        name, given = one["operation"], [operand(x) for x in one["reads"]]
        if name == "input":
            values.append(np.array(list(columns[one["name"]]), one["dtype"]))
        elif name in FUNCTIONS:
            values.append(FUNCTIONS[name](*given))
        else:
            values.append(RULES[name](one, *given))
    found = {}
    for name, one in tree["outputs"].items():
        found[name] = np.array(operand(one), float)
        for condition in tree["requirements"]:
            found[name][~operand(condition)] = np.nan
    return found


def _axes(one: dict[str, Any]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in one["axes"])


def _place(text: str | None, known: list[str]) -> int:
    return known.index(text) if text in known else -1


@hookimpl
def nnreg_exporters() -> dict[str, type[Exporter]]:
    """Return what this plugin provides, by the name of the format."""
    return {"my_component": MyComponent}
