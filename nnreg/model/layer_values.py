"""What the layers of a network compute for examples, and the gradients of their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.passes import read_input
from nnreg.network.network import Network
from nnreg.network.parameters import views
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.training.evaluation import Evaluation, Examples


def gradients(
    network: Network, evaluation: Evaluation, examples: Examples
) -> tuple[float, dict[str, Array]]:
    """Return the loss and its gradients by parameter name, in inference mode."""
    vector = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=False), vector)
    with network.blas_threads():
        z, backward = network.forward(_in_memory(examples.x), context)
        loss, loss_backward = evaluation.loss_of(z, examples.targets, context)
        backward(loss_backward())
    return loss, views(vector, network.params)


def activations(network: Network, inputs: Inputs) -> dict[str, Any]:
    """Return the output of each layer by its name, and the `outputs` of the network."""
    x, found = _in_memory(inputs), dict[str, Any]()
    root = network.context(network.workspace(reuse=False))
    with network.blas_threads(), np.errstate(over="ignore", invalid="ignore"):
        for prefix, member, context in network.parts(root):
            values = [member.unmask(x, context)]
            for name, own in context.children.items():
                layer = member.layers[name] if own.node is None else own.node.layer
                values.append(layer.forward(read_input(own, values), own)[0])
                found[prefix + name] = values[-1]
        y = network.outputs(network.forward(x, root)[0])
    return {**found, "outputs": y.arrays if isinstance(y, NamedArrays) else y}


def _in_memory(x: Inputs) -> Any:
    return materialize(x) if isinstance(x, LazyArray) else x[:]
