"""Which arrays of a file are those of which layers of a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nnreg._types import Shape
from nnreg.errors import FormatError
from nnreg.interfaces.layer import LayerBuilder
from nnreg.weights.files import ForeignFile, keras_layer
from nnreg.weights.layouts import FRAMEWORKS, Layout, Source

FIX = 'name them, as in "names": {"layers/0": "encoder.0"}'


@dataclass(frozen=True)
class Leaf:
    """A layer that has arrays itself: their shapes, and how the other library stores them."""

    name: str
    shapes: Mapping[str, Shape]
    layout: Layout

    @property
    def expected(self) -> tuple[tuple[str, Shape], ...]:
        """The arrays of the other library, by name, with their shapes."""
        found = {name: shape for one in self.layout.values() for name, shape in one.shapes.items()}
        return tuple(sorted(found.items()))


@dataclass(frozen=True)
class Match:
    """The names in a file of the arrays from which one of ours is made."""

    names: tuple[str, ...]
    source: Source


def leaves(plan: LayerBuilder, framework: str, prefix: str = "") -> Iterator[Leaf]:
    """Yield the layers below a plan that have arrays, in their order."""
    for name, (layer, child) in plan.children.items():
        if child.owner is not None:
            continue
        shapes = {key: one.shape for key, one in {**child.params, **child.state}.items()}
        if shapes:
            layout = FRAMEWORKS[framework](layer, shapes)
            yield Leaf(prefix + name, shapes, layout)
        yield from leaves(child, framework, f"{prefix}{name}/")


@dataclass
class Matching:
    """What is found while the layers of a network are matched with the modules of a file.

    A layer takes the modules that have arrays of its shapes, and no other ones. Several of a kind
    are taken in order, if as many layers are of that kind, and their names differ in numbers alone.
    """

    file: ForeignFile
    open: list[Leaf]
    matches: dict[str, Match]
    problems: dict[str, str]
    """Why a layer has no arrays, by its name."""

    def named(self, names: Mapping[str, str]) -> None:
        """Match the layers, or the single arrays, for which modules or arrays are named."""
        for ours, theirs in names.items():
            inside = [one for one in self.open if _within(one.name, ours)]
            if not inside:
                self._array(ours, theirs)
                continue
            self.open = [one for one in self.open if one not in inside]
            module = theirs.rstrip("./")
            if self.file.framework == "Keras":
                module = keras_layer(module)
            modules = [one for one in self.file.modules if _within(one, module)]
            if not modules:
                raise FormatError(f"it has no arrays {theirs!r}; it has {_listed(self.file)}")
            self._in_order(inside, modules)

    def rest(self) -> None:
        """Match all other layers with the modules that no layer has yet."""
        taken = {name for match in self.matches.values() for name in match.names}
        free = [name for name, own in self.file.modules.items() if taken.isdisjoint(own.values())]
        whole = [one for one in self.open if not self.has_all(one)]
        self._in_order(whole, free)

    def has_all(self, leaf: Leaf) -> bool:
        """Return True if each array of a layer is matched."""
        return all(f"{leaf.name}/{name}" in self.matches for name in leaf.shapes)

    def _in_order(self, layers: list[Leaf], modules: list[str]) -> None:
        by_shapes: dict[tuple[tuple[str, Shape], ...], list[str]] = {}
        for module in modules:
            by_shapes.setdefault(self._shapes(module), []).append(module)
        kinds: dict[tuple[tuple[str, Shape], ...], list[Leaf]] = {}
        for leaf in layers:
            kinds.setdefault(leaf.expected, []).append(leaf)
        for expected, alike in kinds.items():
            found = sorted(by_shapes.get(expected, ()), key=_numbers)
            why = _doubtful(alike, found)
            for place, leaf in enumerate(alike):
                if why:
                    self.problems[leaf.name] = why
                else:
                    self._take(leaf, self.file.modules[found[place]])

    def _shapes(self, module: str) -> tuple[tuple[str, Shape], ...]:
        own = self.file.modules[module]
        return tuple(sorted((key, self.file.arrays[name].shape) for key, name in own.items()))

    def _take(self, leaf: Leaf, own: Mapping[str, str]) -> None:
        for name, source in leaf.layout.items():
            names = tuple(own[key] for key in source.shapes)
            self.matches[f"{leaf.name}/{name}"] = Match(names, source)

    def _array(self, ours: str, theirs: str) -> None:
        """Match a single array, transposed as its layer states if only that has its shape."""
        layer, _, name = ours.rpartition("/")
        leaf = next((one for one in self.open if one.name == layer), None)
        if leaf is None or name not in leaf.shapes:
            raise FormatError(f"the model has no layer and no array {ours!r} to take {theirs!r}")
        if theirs not in self.file.arrays:
            raise FormatError(f"it has no array {theirs!r}; it has {_listed(self.file)}")
        source, shape = leaf.layout[name], self.file.arrays[theirs].shape
        if tuple(source.shapes.values()) != (shape,):
            if shape != leaf.shapes[name]:
                stored = " or ".join(map(str, {leaf.shapes[name], *source.shapes.values()}))
                raise FormatError(f"{theirs!r} has the shape {shape}; {ours} takes {stored}")
            source = Source({theirs: shape}, lambda values: values)
        self.matches[ours] = Match((theirs,), source)


def _doubtful(alike: list[Leaf], found: list[str]) -> str:
    """Return why layers of a kind cannot take these modules; empty if they can."""
    if not found:
        expected = ", ".join(f"{name} {shape}" for name, shape in alike[0].expected)
        return f"no arrays fit, which are {expected}"
    named = ", ".join(found[:8])
    if len(found) != len(alike):
        layers = f"{len(alike)} layer{'s' if len(alike) > 1 else ''} of the model"
        return f"{named} have its shapes, of which there are {layers}; {FIX}"
    if len({re.sub(r"\d+", "#", one) for one in found}) > 1:
        return f"{named} have its shapes, in an order that their names do not say; {FIX}"
    return ""


def _numbers(name: str) -> list[int]:
    return [int(text) for text in re.findall(r"\d+", name)]


def _within(name: str, outer: str) -> bool:
    return outer == "" or name == outer or name.startswith((f"{outer}/", f"{outer}."))


def _listed(file: ForeignFile) -> str:
    names = list(file.arrays)
    return ", ".join(names[:8]) + (f", and {len(names) - 8} more" if len(names) > 8 else "")
