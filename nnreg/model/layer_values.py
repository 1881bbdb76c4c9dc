"""What the layers of a network compute for examples, and the gradients of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.join import one_output
from nnreg.interfaces.passes import chain, read_input, run_graph
from nnreg.network.ensemble import Ensemble
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


def gradients_of_layers(
    network: Network, evaluation: Evaluation, examples: Examples
) -> tuple[float, dict[str, Any]]:
    """Return the loss and its gradients by parameter name, and those of the output of each layer.

    The latter are by the names of `activations`, each with the shape of the output.
    """
    vector = np.zeros_like(network.vector)
    root = network.context(network.workspace(reuse=False), vector, input_gradient=True)
    found, x = dict[str, Any](), _in_memory(examples.x)
    with network.blas_threads():
        passes = [
            _recorded_pass(member, member.unmask(x, own), own, prefix, found)
            for prefix, member, own in network.parts(root)
        ]
        z = passes[0][0]
        if isinstance(network, Ensemble):
            z = np.stack([y for y, _ in passes], axis=1)
        loss, loss_backward = evaluation.loss_of(z, examples.targets, root)
        dz = loss_backward()
        for index, (_, backward) in enumerate(passes):
            backward(np.ascontiguousarray(dz[:, index]) if isinstance(network, Ensemble) else dz)
    return loss, {**views(vector, network.params), **found}


def _recorded_pass(
    network: Network, x: Any, context: Context, prefix: str, found: dict[str, Any]
) -> tuple[Array, Callable[[Array], Any]]:
    """Run `Network.forward` layer by layer; `found` gets the gradients of their outputs."""
    steps = []
    for name, own in context.children.items():
        layer = _Recorded(
            network.layers[name] if own.node is None else own.node.layer, prefix + name, found
        )
        if own.node is not None:
            own.node.layer = layer
        steps.append((layer, own))
    if not network.named_outputs:
        return chain(steps, x)
    contexts = [own for _, own in steps]
    y, backward = one_output(run_graph(contexts, x, network.plan.output_reads))
    return y, backward


class _Recorded:
    """A layer that records the gradient of its output, 0 if the loss does not depend on it."""

    def __init__(self, layer: Any, name: str, found: dict[str, Any]) -> None:
        self._layer, self._name, self._found = layer, name, found

    def forward(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        """Compute the layer; the returned function records what it is given."""
        y, backward_fn = self._layer.forward(x, context)
        several = isinstance(y, dict)
        self._found[self._name] = (
            {name: np.zeros_like(one) for name, one in y.items()} if several else np.zeros_like(y)
        )

        def backward(dy: Any) -> Any:
            self._found[self._name] = dy
            return backward_fn(dy)

        return y, backward


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
