"""The layers of a network as a table."""

from __future__ import annotations

from collections.abc import Sequence

from nnreg._types import Shape
from nnreg.network.network import Network
from nnreg.network.parameters import sources
from nnreg.registry.registry import Registry

LayerRow = tuple[str, str, str, int]
"""A layer's name, kind, output shape, and number of parameters."""

LAYER_COLUMNS = ("layer", "type", "output", "parameters")


def layer_table(network: Network, registry: Registry) -> list[LayerRow]:
    """Return a row for each layer, with the kind as the registry names it.

    Those of an ensemble are the layers of one member.
    """
    result, params = [], network.member(0).parameters
    for name, (layer, plan) in network.plan.children.items():
        own = [p for key, p in params.items() if key.startswith(f"{name}/")]
        shapes = plan.outputs or {"": plan.output}
        shape = ", ".join(f"{key} {_with_batch(one)}".lstrip() for key, one in shapes.items())
        entry = registry.entry_of_class(type(layer))
        kind = registry.reference(entry) if entry else type(layer).__name__
        if read := sources(network.plan, name):
            kind += f" ({read})"
        result.append((name, kind, shape, sum(p.size for p in own)))
    return result


def _with_batch(shape: Shape) -> str:
    return f"({', '.join(['batch', *map(str, shape)])})"


def summary(network: Network, table: Sequence[LayerRow]) -> str:
    """Return the table of a network's layers as text, with the number of parameters."""
    rows = [LAYER_COLUMNS]
    rows += [(name, kind, shape, f"{size:,}") for name, kind, shape, size in table]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join(
            cell.rjust(width) if column == 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    frozen = sum(network.parameters[name].size for name in network.frozen)
    shape = network.input_shape
    shapes = {"input": shape} if isinstance(shape, tuple) else shape
    inputs = ", ".join(f"{name} {_with_batch(one)}" for name, one in shapes.items())
    total = f"{inputs if 'input' in shapes else f'inputs {inputs}'}, "
    total += f"{network.members} members, " if network.members > 1 else ""
    total += f"{network.vector.size:,} parameters"
    total += f", {frozen:,} of them frozen" if frozen else ""
    return "\n".join([*lines, total])
