"""A pass in inference mode by NumPy's functions alone, which an export records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnreg.interfaces.passes import infer
from nnreg.network.network import Network


def infer_network(network: Network, x: Any, masks: Mapping[str, Any]) -> Any:
    """Return the outputs, each after its activation; several are a dictionary by name.

    `masks` has the steps that are real, `(rows, time)`, for each input of sequences.
    """
    context = network.context(network.workspace(reuse=False))
    context.workspace.masks = masks
    steps = zip(network.layers.values(), context.children.values(), strict=True)
    if not network.named_outputs:
        y = infer(steps, x)
        return y if network.output_activation is None else network.output_activation.infer(y)
    return {
        name: y if (last := network.named_outputs[name].activation) is None else last.infer(y)
        for name, y in infer(steps, x, network.plan.output_reads).items()
    }
