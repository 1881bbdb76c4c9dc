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
        if self.name is not None and (why := _unsuitable(self.name)):
            raise ValueError(f"the name {self.name!r} {why}; give the entry another name")
        if self.inputs == ():
            raise ValueError("'inputs' is empty; omit it to read the entry before")
        if self.transposed and self.use is None:
            raise ValueError("'transposed' needs 'use', the name of the layer that is transposed")

    def given(self) -> dict[str, Any]:
        """Return the keys that were given, as JSON."""
        pairs = ((one.name, getattr(self, one.name)) for one in dataclasses.fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in pairs
            if value not in (None, False)
        }


ENTRY_KEYS: Final = tuple(one.name for one in dataclasses.fields(EntryKeys))


def _unsuitable(name: str) -> str:
    """Return why a text cannot be the name of an entry; empty if it can."""
    if not name:
        return "is empty"
    if name.isdecimal():
        return "is a number, which unnamed entries have"
    if set(name) & set("./"):
        return "contains '/' or '.', which separate names"
    return "is reserved" if name in (INPUT, "type") else ""


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
    names = [None if keys is None else keys.name for keys in entries]
    scope, wires = _Scope(names), list[Wire]()
    for index, keys in enumerate(entries):
        here = f"{path}.layers[{index}]"
        if keys is None:
            wires.append(Wire((index,)))
            continue
        inputs = scope.find_all(keys, f"{here}.inputs") or (index,)
        use = None if keys.use is None else scope.find_layer(keys.use, wires, f"{here}.use")
        wires.append(Wire(inputs, use, keys.transposed))
        if keys.name is not None:
            scope.add(keys.name, index + 1, f"{here}.name")
    problems = scope.problems or _unread(wires, names, path)
    if problems:
        raise SpecError(problems)
    return wires


class _Scope:
    """The names of a list as far as it was read, with the numbers of their values."""

    def __init__(self, names: Sequence[str | None]) -> None:
        self.problems: list[Problem] = []
        self._names = names
        self._values = {INPUT: 0}

    def add(self, name: str, value: int, where: str) -> None:
        """Add the name of an entry."""
        if name in self._values:
            text = f"the name {name!r} is used twice; give one of the entries another name"
            self.problems.append(Problem(where, text))
        self._values[name] = value

    def find(self, name: str, where: str) -> int:
        """Return the number of a value; 0, with a problem, if there is none before this entry."""
        if name not in self._values:
            text = f"unknown name {name!r}{suggest(name, self._values)}"
            if name in self._names:
                text = f"refers to {name!r}, which is not before it; move it behind that entry"
            self.problems.append(Problem(where, text))
        return self._values.get(name, 0)

    def find_all(self, keys: EntryKeys, where: str) -> tuple[int, ...]:
        """Return the numbers of the values that an entry reads."""
        if isinstance(keys.inputs, str):
            return (self.find(keys.inputs, where),)
        return tuple(
            self.find(name, f"{where}[{position}]")
            for position, name in enumerate(keys.inputs or ())
        )

    def find_layer(self, name: str, wires: Sequence[Wire], where: str) -> int | None:
        """Return the number of the entry whose layer is used by the name of that or of a use."""
        index = self.find(name, where) - 1
        if name == INPUT:
            self.problems.append(Problem(where, f"{INPUT!r} is the input, not a layer"))
        if index < 0:
            return None
        if wires[index].transposed:
            text = "is transposed itself; name the layer it uses"
            self.problems.append(Problem(where, text))
        use = wires[index].use
        return index if use is None else use


def _unread(wires: Sequence[Wire], names: Sequence[str | None], path: str) -> list[Problem]:
    """Return a problem for each value but the last that no entry reads."""
    read = {value for wire in wires for value in wire.inputs}
    problems = []
    if 0 not in read:
        problems.append(Problem(f"{path}.layers", f"no entry reads {INPUT!r}, the input"))
    for index, name in enumerate(names[:-1]):
        if index + 1 not in read:
            fix = f"name {name!r} in the 'inputs' of" if name else "name it and read it in"
            text = f"no entry reads its output; {fix} a later entry, or remove it"
            problems.append(Problem(f"{path}.layers[{index}]", text))
    return problems


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
