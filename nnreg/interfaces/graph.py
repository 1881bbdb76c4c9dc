"""Lists of layers that are graphs: entries with names, and inputs other than the entry before.

The entries of a list are numbered; value 0 is the input of the list, and value i + 1 the output of
entry i. Entries read earlier values only, so that a graph has no cycles and is computed in order.
A value is an array, or a mapping of several: the inputs of a network by name, or the outputs of a
layer. An entry reads a part of such a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from nnreg._types import Shape, Shapes
from nnreg._utils.suggestions import suggest
from nnreg.errors import Problem, SpecError, shape_text
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.context import Read
from nnreg.interfaces.features import Features

INPUT: Final = "input"
"""The name of the input of a list."""


@dataclass(frozen=True)
class EntryKeys(Configurable):
    """The keys of an entry in a list of layers that belong to the entry, not to its layer.

    Options:
        name: name of the entry, by which later entries refer to it
        inputs: names of what is read instead of the entry before: an earlier entry, one of several
            outputs of it, such as "code.z", an input of the data, or "input", that of the list
        use: name of an earlier entry whose layer is applied again, with the same weights
        transposed: whether the weight of the layer that is used again is transposed
    """

    name: str | None = None
    inputs: str | tuple[str, ...] | None = None
    use: str | None = None
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.name is not None and (why := unsuitable(self.name)):
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


def unsuitable(name: str) -> str:
    """Return why a text cannot be the name of an entry or an input; empty if it can."""
    if not name:
        return "is empty"
    if name.isdecimal():
        return "is a number, which unnamed entries have"
    if set(name) & set("./"):
        return "contains '/' or '.', which separate names"
    return "is reserved" if name in (INPUT, "type") else ""


@dataclass(frozen=True)
class Wire:
    """The connections of an entry: what it reads, in order.

    `use` is the number of the earlier entry whose layer it applies again.
    """

    inputs: tuple[Read, ...]
    use: int | None = None
    transposed: bool = False


class Graph(NamedTuple):
    """The connections of each entry of a list, and what each of several outputs of the list is."""

    wires: list[Wire]
    outputs: dict[str, Read]


def connect(
    entries: Sequence[EntryKeys | None],
    path: str,
    inputs: Iterable[str],
    outputs: Mapping[str, str] | None,
) -> Graph:
    """Return the connections of the entries of a list at this path of the spec.

    `inputs` are the names of the inputs of the list, if it has several; `outputs` those of its
    outputs, if they are not that of the last entry alone, with the place of each in the spec.
    Raises `SpecError` with every name that is unknown, defined later or defined twice, and every
    value that is not read.
    """
    names = [None if keys is None else keys.name for keys in entries]
    scope, wires = _Scope(names, inputs := tuple(inputs), nested=".layers[" in path), list[Wire]()
    for index, keys in enumerate(entries):
        here = f"{path}.layers[{index}]"
        found = () if keys is None else scope.find_all(keys, f"{here}.inputs")
        read = found or (Read(index) if index else scope.only_input(here),)
        if keys is None:
            wires.append(Wire(read))
            continue
        use = None if keys.use is None else scope.find_layer(keys.use, wires, f"{here}.use")
        wires.append(Wire(read, use, keys.transposed))
        if keys.name is not None:
            scope.add(keys.name, index + 1, f"{here}.name")
    reads = {name: scope.find_output(name, where) for name, where in (outputs or {}).items()}
    problems = scope.problems or _unread(wires, names, path, inputs, set(reads.values()))
    if problems:
        raise SpecError(problems)
    return Graph(wires, reads)


class _Scope:
    """The names of a list as far as it was read, with the values that they stand for."""

    def __init__(self, names: Sequence[str | None], inputs: Sequence[str], *, nested: bool) -> None:
        self.problems: list[Problem] = []
        self._nested = nested
        self._names, self._inputs = names, inputs
        self._values = {name: Read(0, name) for name in inputs} or {INPUT: Read(0)}

    def only_input(self, where: str) -> Read:
        """Return the input of the list, with a problem if there are several."""
        if len(self._inputs) > 1:
            text = f"the data has several inputs; name in 'inputs' one of {', '.join(self._inputs)}"
            self.problems.append(Problem(where, text))
        return next(iter(self._values.values()))

    def add(self, name: str, value: int, where: str) -> None:
        """Add the name of an entry."""
        if name in self._inputs:
            text = f"the name {name!r} is that of an input; give the entry another name"
            self.problems.append(Problem(where, text))
        elif name in self._values:
            text = f"the name {name!r} is used twice; give one of the entries another name"
            self.problems.append(Problem(where, text))
        self._values[name] = Read(value)

    def find(self, name: str, where: str, *, input_too: bool = True) -> Read:
        """Return a value or a part of one; the first, with a problem, for an unknown name.

        If it may not be an input, none is suggested.
        """
        base, _, part = name.partition(".")
        known = self._values.get(base)
        if known is not None and known.part is None:
            return Read(known.value, part or None)
        if known is not None and not part:
            return known
        others = [one for one, read in self._values.items() if input_too or read.value]
        hint = suggest(name, others) or "; no entry before it has a name"
        text = f"unknown name {name!r}{hint}"
        if self._nested and "did you mean" not in text:
            text += "; a list inside of a layer reads its own entries and its input only"
        if base in self._names:
            text = f"refers to {base!r}, which is not before it; move it behind that entry"
        self.problems.append(Problem(where, text))
        return Read(0)

    def find_all(self, keys: EntryKeys, where: str) -> tuple[Read, ...]:
        """Return what an entry reads."""
        if isinstance(keys.inputs, str):
            return (self.find(keys.inputs, where),)
        return tuple(
            self.find(name, f"{where}[{position}]")
            for position, name in enumerate(keys.inputs or ())
        )

    def find_output(self, name: str, where: str) -> Read:
        """Return the value that is an output of the list."""
        found = self.find(name, where, input_too=False)
        if found.value == 0 and name in self._values:
            self.problems.append(Problem(where, f"{name!r} is an input, not a layer's output"))
        return found

    def find_layer(self, name: str, wires: Sequence[Wire], where: str) -> int | None:
        """Return the number of the entry whose layer is used by the name of that or of a use."""
        found = self.find(name, where, input_too=False)
        index = found.value - 1
        if name in (INPUT, *self._inputs) and name in self._values:
            what = "the input" if name == INPUT else "an input"
            self.problems.append(Problem(where, f"{name!r} is {what}, not a layer"))
        elif found.part is not None:
            text = f"{name!r} is an output of a layer; name the layer, {name.partition('.')[0]!r}"
            self.problems.append(Problem(where, text))
        if index < 0:
            return None
        if wires[index].transposed:
            text = "is transposed itself; name the layer it uses"
            self.problems.append(Problem(where, text))
        use = wires[index].use
        return index if use is None else use


def _unread(
    wires: Sequence[Wire],
    names: Sequence[str | None],
    path: str,
    inputs: Sequence[str],
    outputs: Collection[Read],
) -> list[Problem]:
    """Return a problem for each value that no entry reads and that is not an output."""
    parts = {one for wire in wires for one in wire.inputs}.union(outputs or [Read(len(wires))])
    read = {one.value for one in parts}
    problems = [
        Problem(f"{path}.layers", f"no entry reads the input {name!r}; read it, or remove it")
        for name in inputs
        if Read(0, name) not in parts
    ]
    if 0 not in read and not inputs:
        problems.append(Problem(f"{path}.layers", f"no entry reads {INPUT!r}, the input"))
    for index, name in enumerate(names):
        if index + 1 not in read:
            fix = f"name {name!r} in the 'inputs' of" if name else "name it and read it in"
            text = f"no entry reads its output; {fix} a later entry, or remove it"
            if outputs:
                text = (
                    f"no entry reads its output; {fix} a later entry, give it a loss, list it in "
                    "model.outputs, or remove it"
                )
            problems.append(Problem(f"{path}.layers[{index}]", text))
    return problems


@dataclass(frozen=True)
class Value:
    """A value of a list: the name of its entry, its shape or shapes, and whether it is integers.

    `mask` is the name of the network's input whose lengths hold for its steps, if any. Of the
    inputs of a network, `integers` are the names of those that are, `masked` of those with a mask.
    `features` says what its features are, or those of the inputs of a network by name.
    """

    name: str
    shape: Shapes
    integer: bool | None
    integers: Collection[str] = ()
    mask: str | None = None
    masked: Collection[str] = ()
    features: Features | Mapping[str, Features] | None = None

    def mask_of(self, part: str | None) -> str | None:
        """Return the mask of the value or of a part of it."""
        if self.name == INPUT and part:
            return part if part in self.masked else None
        return self.mask

    def features_of(self, part: str | None) -> Features | None:
        """Return what the features of the value or of a part of it are; None if unknown."""
        if isinstance(self.features, Mapping):
            return self.features.get(part or INPUT)
        return self.features

    def is_integer(self, part: str | None) -> bool | None:
        """Return whether the value or a part of it is integers; None if unknown."""
        return part in self.integers if self.name == INPUT and part else self.integer

    def shape_of(self, read: Read, path: str) -> Shape:
        """Return the shape of the value, or of a part of it."""
        part, shape = read.part, self.shape
        if isinstance(shape, tuple):
            if part is None:
                return shape
            problem = f"{self.name!r} has one output; write {self.name!r}"
        elif part is not None and part in shape:
            return shape[part]
        elif part is not None:
            problem = f"{self.name!r} has no output {part!r}{suggest(part, shape)}"
        else:
            names = ", ".join(f"{self.name}.{one}" for one in shape)
            problem = f"{self.name!r} has several outputs; read one of {names}"
            if self.name.isdecimal():
                problem = (
                    f"the layer before has several outputs, {', '.join(shape)}; name it, and read "
                    "one of them, as in NAME.OUTPUT"
                )
        raise SpecError([Problem(path, problem)])


def labels(wire: Wire, children: Iterable[str], shapes: Iterable[Shape] | None = None) -> list[str]:
    """Return the names of what an entry reads, with their shapes if these are given.

    `children` are the names of all entries so far, such as `layers/0`.
    """
    names = [INPUT, *(child.removeprefix("layers/") for child in children)]
    found = [
        names[value] if part is None else f"{names[value]}.{part}" if value else part
        for value, part in wire.inputs
    ]
    if shapes is None:
        return found
    return [f"{name} {shape_text(shape)}" for name, shape in zip(found, shapes, strict=True)]


def is_chain(wires: Sequence[Wire]) -> bool:
    """Return True if each entry reads the one before and none is used again."""
    return all(wire == Wire((Read(index),)) for index, wire in enumerate(wires))
