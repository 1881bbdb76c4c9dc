"""Which inputs of a network are integers: those that a layer takes as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nnreg.interfaces.context import Read
from nnreg.interfaces.graph import INPUT
from nnreg.interfaces.layer import Layer, LayerEntry, connect_layers


def integer_inputs(
    layers: Sequence[Layer], inputs: Iterable[str], outputs: Mapping[str, str] | None
) -> frozenset[str]:
    """Return the names of the inputs of a list that reach a layer which takes integers.

    The name of the only input is "input".
    """
    inputs = tuple(inputs)
    unchanged = {Read(0, name): {name} for name in inputs} or {Read(0): {INPUT}}
    plain, found = list[Layer](), set[str]()
    wires = connect_layers(layers, "$.model", inputs, outputs).wires
    for index, (entry, wire) in enumerate(zip(layers, wires, strict=True)):
        layer = entry.layer if isinstance(entry, LayerEntry) else entry
        plain.append(layer or plain[wire.use or 0])
        names = set().union(*(unchanged.get(one, ()) for one in wire.inputs))
        if wire.transposed:
            continue
        if plain[-1].integer_input:
            found |= names
        elif plain[-1].keeps_integers:
            unchanged[Read(index + 1)] = names
    return frozenset(found)
