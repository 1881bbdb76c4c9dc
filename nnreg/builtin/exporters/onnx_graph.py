"""An ONNX graph as it is written: the names of what is computed, the nodes and the constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.builtin.exporters.onnx_names import GraphNames
from nnreg.operations.operation import Operand, Operation, in_order
from nnreg.operations.program import Program
from nnreg.operations.recorded import Recorded

Write: TypeAlias = "Callable[[Graph, Operation], str]"
"""Adds the nodes of an operation; returns the name of its result."""


class Graph:
    """The nodes of a graph. `writers` add those of an operation, by its name."""

    def __init__(self, program: Program, writers: Mapping[str, Write]) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper = helper, numpy_helper
        self.program, self.writers = program, writers
        self.of_graph = GraphNames(program)
        self.names: dict[Operation, str] = {}
        self.parts: dict[Operation, list[str]] = {}
        self.nodes: list[Any] = []
        self.tensors: dict[Any, Any] = {}
        self.kept: list[Array] = []
        self.count = 0

    def type(self, operand: Operand) -> int:
        """Return the number of an operand's type."""
        return int(self.helper.np_dtype_to_tensor_dtype(operand.dtype))

    def operation(self, one: Operation) -> None:
        """Add the nodes of an operation."""
        if one.name == "input":
            self.names[one] = self.of_graph.inputs[one.attributes["name"]]
        else:
            self.names[one] = self.writers[one.name](self, one)

    def node(self, kind: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; return its first output."""
        domain = "ai.onnx.ml" if kind == "LabelEncoder" else ""
        names = list(outputs) or [self.new()]
        self.nodes.append(
            self.helper.make_node(kind, list(inputs), names, domain=domain, **attributes)
        )
        return names[0]

    def new(self) -> str:
        """Return a new name."""
        self.count += 1
        return self.of_graph.new(f"/{self.count}")

    def value(self, operand: Operand) -> str:
        """Return the name of an operand."""
        return self.names[operand] if isinstance(operand, Operation) else self.tensor(operand)

    def tensor(self, array: Any, dtype: Any = None) -> str:
        """Return the name of a constant."""
        values = np.asarray(array, dtype)
        self.kept.append(values)
        text = values.dtype == object
        key = values.shape, str(values.dtype), values.tobytes() if not text else str(values)
        if key not in self.tensors:
            name = self.of_graph.new(f"/c{len(self.tensors)}")
            missing = np.array(["" if v is None else v for v in values.reshape(-1)], object)
            found = missing.reshape(values.shape) if text else np.ascontiguousarray(values)
            self.tensors[key] = self.numpy_helper.from_array(found.reshape(values.shape), name)
        return str(self.tensors[key].name)

    def of_rows(self, operand: Operand) -> str:
        """Return the name of an operand that has the axis of the rows."""
        if isinstance(operand, Operation):
            return self.names[operand]
        first = self.program.inputs[0].operation
        count = self.node("Shape", self.names[first], start=0, end=1)
        shape = self.node("Concat", count, self.tensor(operand.shape, np.int64), axis=0)
        return self.node("Expand", self.tensor(operand[None]), shape)

    def recorded(self, name: str, value: Array) -> Recorded:
        """Return what a node computes, to record more; `value` is of its type and shape."""
        operation = Operation("node", (), value.shape[1:], value.dtype)
        self.names[operation] = name
        return Recorded(operation, value)

    def written(self, result: Operation) -> str:
        """Add the nodes of all operations that a result needs; return its name."""
        for one in in_order([result]):
            if one not in self.names:
                self.operation(one)
        return self.names[result]

    def images(self, x: Operand) -> str:
        """Return a value with its channels before the space."""
        dims = len(x.shape) - 1
        return self.node("Transpose", self.value(x), perm=[0, dims + 1, *range(1, dims + 1)])
