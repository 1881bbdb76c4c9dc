"""Recording the program of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._utils import json_text
from nnreg.exporters.record_inputs import RecordedInputs
from nnreg.model.model import Model
from nnreg.model.outputs import Output, averages_of
from nnreg.network.network import Network
from nnreg.network.recorded_pass import infer_network
from nnreg.operations.program import Program, ProgramOutput, Requirement
from nnreg.operations.recorded import Recorded, collecting, located


def weights_of(model: Model) -> Program:
    """Return a program with the weights for predictions and the spec, and no computation."""
    network = model.inference_network
    spec = json_text.dumps(model.document.tree, ensure_ascii=False)
    return Program(model.document.name, (), (), (), {**network.parameters, **network.state}, spec)


def program_of(model: Model) -> Program:
    """Return the program of a model. Raises `ExportError` for what cannot be recorded."""
    network = model.inference_network
    inputs = RecordedInputs(model)
    conditions: list[tuple[Recorded, str]] = []
    with collecting(conditions):
        y = _outputs(model, network, inputs)
    outputs = [
        _output(one, one.of(y), inputs, network.output_masks[one.name])
        for one in model.outputs.values()
    ]
    requirements = [
        *inputs.requirements,
        *(Requirement(valid.operation, text) for valid, text in conditions),
    ]
    return replace(
        weights_of(model),
        inputs=tuple(inputs.inputs.values()),
        outputs=tuple(outputs),
        requirements=tuple(requirements),
    )


def _outputs(model: Model, network: Network, inputs: RecordedInputs) -> Any:
    """Record the outputs of the network, the mean of an ensemble."""
    if network.members == 1:
        return infer_network(network, inputs.x, inputs.masks)
    members = [
        infer_network(network.member(n), inputs.x, inputs.masks) for n in range(network.members)
    ]
    averages = averages_of(model.spec, model.preprocessing)
    found = {
        name: averages[name](np.stack([one.of(y) for y in members], axis=1))
        for name, one in model.outputs.items()
    }
    return found.get("", found)


def _output(output: Output, y: Any, inputs: RecordedInputs, mask: str | None) -> ProgramOutput:
    """Return an output in the units of its target, or as probabilities of its classes.

    One for each step of a sequence is not a number after the end.
    """
    with located(f"output {output.name!r}" if output.name else "the output"):
        if output.predicts_classes:
            y = output.class_scores(y)
        y = output.in_units_from(y, inputs.base(output))
    if mask is not None:
        real = inputs.masks[mask]
        y = np.where(real.reshape(*real.shape, *(1,) * (y.ndim - 2)), y, np.array(np.nan, y.dtype))
    return ProgramOutput(output.name, y.operation, output.classes)
