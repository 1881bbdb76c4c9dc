"""Networks that are chains of dense layers, which kernels may run in one call."""

from __future__ import annotations

from dataclasses import replace

from nnreg.builtin.activations import Identity
from nnreg.builtin.layers.dense import ActivationLayer, Dense, Dropout, Flatten
from nnreg.interfaces.dense_chain import ChainLayer, DenseChain
from nnreg.network.network import Network
from nnreg.network.parameters import slices


def dense_chain(network: Network) -> DenseChain | None:
    """Return a network as a chain of dense layers; None if it is not one.

    Its layers may also be activations and dropout after a dense layer, and flatten, which does
    nothing here. Only classes of nnreg count, not subclasses, whose methods may differ.
    """
    shape, steps = network.input_shape, list[ChainLayer]()
    if type(network) is not Network or network.masked or network.named_outputs:
        return None
    if not isinstance(shape, tuple) or len(shape) != 1 or network.integer_input:
        return None
    positions = {name: span.start for name, span in slices(network.params).items()}
    features = shape[0]
    for name, (layer, plan) in network.plan.children.items():
        if plan.wire is not None or plan.children:  # an entry of a graph, a trained activation
            return None
        before = steps[-1] if steps else None
        if type(layer) is Dense:
            units = network.params[f"{name}/weight"].shape[1]
            places = positions[f"{name}/weight"], positions.get(f"{name}/bias")
            steps.append(ChainLayer(features, units, *places, layer.activation))
            features = units
        elif type(layer) is Flatten:
            continue
        elif before is None or before.dropout:
            return None
        elif type(layer) is Dropout:
            steps[-1] = replace(before, dropout=layer.rate)
        elif type(layer) is ActivationLayer and type(before.activation) is Identity:
            steps[-1] = replace(before, activation=layer.activation)
        else:
            return None
    if not steps:
        return None
    return DenseChain(tuple(steps), network.output_activation, network.vector.size)
