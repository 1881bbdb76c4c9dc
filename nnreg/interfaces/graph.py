"""Lists of layers that are graphs: entries with names, and inputs other than the entry before.

The entries of a list are numbered; value 0 is the input of the list, and value i + 1 the output of
entry i. Entries read earlier values only, so that a graph has no cycles and is computed in order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.context import Context

INPUT: Final = "input"
"""The name of the input of a list."""

Backward: TypeAlias = Callable[[Array], Any]


@dataclass(frozen=True)
class EntryKeys(Configurable):
    """The keys of an entry in a list of layers that belong to the entry, not to its layer.

    Options:
        name: name of the entry, by which later entries refer to it
        inputs: names of the entries read instead of the one before; "input" is that of the list
        use: name of an earlier entry whose layer is applied again, with the same weights
        transposed: whether the weight of the layer that is used again is transposed
    """

    name: str | None = None
    inputs: str | tuple[str, ...] | None = None
    use: str | None = None
    transposed: bool = False

    def __post_init__(self) -> None:
        name = self.name
        if name is not None and (not name or name.isdecimal() or set(name) & set("./")):
            raise ValueError(f"the name {name!r} is not a text without '.' and '/' or is a number")
        if name in (INPUT, "type"):
            raise ValueError(f"the name {name!r} is reserved; give the entry another name")
        if self.inputs == ():
            raise ValueError("'inputs' is empty; omit it to read the entry before")
        if self.transposed and self.use is None:
            raise ValueError("'transposed' needs 'use', the name of the layer that is transposed")

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the inputs; empty for the entry before."""
        return (self.inputs,) if isinstance(self.inputs, str) else self.inputs or ()

    def given(self) -> dict[str, Any]:
        """Return the keys that were given, as JSON."""
        pairs = ((one.name, getattr(self, one.name)) for one in dataclasses.fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in pairs
            if value not in (None, False)
        }


ENTRY_KEYS: Final = tuple(one.name for one in dataclasses.fields(EntryKeys))


@dataclass(frozen=True)
class Wire:
    """The connections of an entry: the numbers of the values that it reads, in order.

    `use` is the number of the earlier entry whose layer it applies again.
    """

    inputs: tuple[int, ...]
    use: int | None = None
    transposed: bool = False


def connect(entries: Sequence[EntryKeys | None], path: str) -> list[Wire]:
    """Return the connections of the entries of a list at this path of the spec.

    Raises `SpecError` with every name that is unknown, defined later or defined twice, and every
    value that is not read.
    """
    problems: list[Problem] = []
    values = {INPUT: 0}
    wires: list[Wire] = []
    names = [None if keys is None else keys.name for keys in entries]

    def find(name: str, where: str) -> int:
        if name in values:
            return values[name]
        if name in names:
            text = f"refers to {name!r}, which is not before it; move it behind that entry"
        else:
            text = f"unknown name {name!r}{suggest(name, values)}"
        problems.append(Problem(where, text))
        return 1

    for index, keys in enumerate(entries):
        here = f"{path}.layers[{index}]"
        if keys is None:
            wires.append(Wire((index,)))
            continue
        many = isinstance(keys.inputs, tuple)
        inputs = tuple(
            find(name, f"{here}.inputs[{position}]" if many else f"{here}.inputs")
            for position, name in enumerate(keys.sources)
        )
        use = None if keys.use is None else find(keys.use, f"{here}.use") - 1
        if keys.use == INPUT:
            problems.append(Problem(f"{here}.use", f"{INPUT!r} is the input, not a layer"))
        elif use is not None and wires[use].transposed:
            problems.append(Problem(f"{here}.use", "is transposed itself; name the layer it uses"))
        elif use is not None and wires[use].use is not None:
            use = wires[use].use
        wires.append(Wire(inputs or (index,), use, keys.transposed))
        if keys.name is not None:
            if keys.name in values:
                problems.append(Problem(f"{here}.name", f"the name {keys.name!r} is used twice"))
            values[keys.name] = index + 1
    if problems:
        raise SpecError(problems)
    _require_all_read(wires, names, path)
    return wires


def _require_all_read(wires: Sequence[Wire], names: Sequence[str | None], path: str) -> None:
    """Raise `SpecError` for each value but the last that no entry reads."""
    read = {value for wire in wires for value in wire.inputs}
    problems = []
    if 0 not in read:
        problems.append(Problem(f"{path}.layers", f"no entry reads {INPUT!r}, the input"))
    for index, name in enumerate(names[:-1]):
        if index + 1 not in read:
            fix = (
                f"name {name!r} in the 'inputs' of a later entry"
                if name
                else "name it, and read it"
            )
            text = f"no entry reads its output; {fix}, or remove the entry"
            problems.append(Problem(f"{path}.layers[{index}]", text))
    if problems:
        raise SpecError(problems)


def is_chain(wires: Sequence[Wire]) -> bool:
    """Return True if each entry reads the one before and none is used again."""
    return all(wire == Wire((index,)) for index, wire in enumerate(wires))


def read_input(context: Context, values: Sequence[Array]) -> Any:
    """Return what a layer reads of the values before it: in a chain, the last."""
    return values[-1] if context.node is None else context.node.read(values)


def run_graph(contexts: Sequence[Context], x: Array) -> tuple[Array, Backward]:
    """Run the entries of a graph in order; the returned function runs backward in reverse.

    It returns None if the gradient of the input is not needed.
    """
    values, steps = [x], []
    for context in contexts:
        node = context.node
        assert node is not None  # set for all entries of a graph
        y, backward_fn = node.layer.forward(node.read(values), context)
        values.append(y)
        steps.append((backward_fn, context, node))

    def backward(dy: Array) -> Array | None:
        gradients: list[Array | None] = [None] * len(values)
        gradients[-1] = dy
        for index in range(len(steps), 0, -1):
            backward_fn, context, node = steps[index - 1]
            gradient = gradients[index]
            if gradient is None:
                continue  # neither this entry nor those before it are trained
            found = backward_fn(gradient)
            for total, part in node.shared:
                np.add(total, part, out=total)
            if not context.needs_input_gradient:
                continue
            for value, part in zip(node.inputs, found if node.joins else (found,), strict=True):
                gradients[value] = _sum(gradients[value], part, context)
        return gradients[0]

    return values[-1], backward


def _sum(first: Array | None, second: Array | None, context: Context) -> Array | None:
    """Return the sum of two gradients, of which either may be None."""
    if first is None or second is None:
        return second if first is None else first
    return np.add(first, second, out=context.empty(first.shape))
