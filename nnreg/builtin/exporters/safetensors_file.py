"""The weights of a model as a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnreg._utils.safetensors import encode
from nnreg.interfaces.exporter import Exporter
from nnreg.operations.program import Program


@dataclass(frozen=True)
class SafetensorsFile(Exporter):
    """A safetensors file with the weights and the buffers by their names.

    Its metadata have the spec as JSON, under "spec". It has not the computation, and not what was
    learned from the data, such as categories: another program, or another spec, takes the weights.
    """

    suffix = ".safetensors"
    weights_only = True

    def contents(self, program: Program) -> Mapping[str, bytes]:
        return {"": encode(program.weights, {"format": "nnreg", "spec": program.spec})}
