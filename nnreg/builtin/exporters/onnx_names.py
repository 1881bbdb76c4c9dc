"""The names in an ONNX graph."""

from __future__ import annotations

from nnreg.operations.program import Program


class GraphNames:
    """The names of the inputs, the outputs and the labels of a graph, which are all different."""

    def __init__(self, program: Program) -> None:
        self.taken: set[str] = set()
        self.inputs = {one.name: self.new(one.name or "column") for one in program.inputs}
        self.outputs = {one.name: self.new(one.name or "prediction") for one in program.outputs}
        self.labels = {name: self.new(f"{own}_label") for name, own in self.outputs.items()}

    def new(self, wanted: str) -> str:
        """Return a name, to which a number is added if another has it."""
        name, number = wanted, 2
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name
