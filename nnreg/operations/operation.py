"""An operation on the values of one row, and what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from nnreg._types import Array, Shape


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation, or an input if its name is "input".

    `shape` and `dtype` are those of its result for one row; `attributes` has axes, which are those
    of one row too, and other settings. Constants are arrays that broadcast to the result.
    `location` is the component that computes it, as in "$.model.layers[0] (dense)".
    """

    name: str
    inputs: tuple[Operand, ...]
    shape: Shape
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""

    @property
    def size(self) -> int:
        """The number of values of one row."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def read(self) -> Iterator[Operation]:
        """The operations whose results it needs, in its body too."""
        yield from (one for one in self.inputs if isinstance(one, Operation))
        body = self.attributes.get("body")
        if body is not None:
            yield from body.read


Operand: TypeAlias = Operation | Array


@dataclass(frozen=True, eq=False)
class Body:
    """What a loop does in each step: from `arguments` to `results`."""

    arguments: tuple[Operation, ...]
    results: tuple[Operand, ...]

    @property
    def operations(self) -> list[Operation]:
        """The operations of a step that depend on its arguments, in order."""
        inside, found = set(self.arguments), list[Operation]()
        for one in in_order(self.results):
            if any(read in inside for read in one.read):
                inside.add(one)
                found.append(one)
        return found

    @property
    def read(self) -> Iterator[Operation]:
        """The operations outside whose results it needs."""
        own = {*self.operations, *self.arguments}
        for one in self.operations:
            yield from (read for read in one.read if read not in own)
        yield from (one for one in self.results if isinstance(one, Operation) and one not in own)


def in_order(results: Iterable[Operand]) -> list[Operation]:
    """Return the operations that results need, each after those that it reads."""
    found: dict[Operation, None] = {}
    waiting: list[tuple[Operation, bool]] = [
        (one, False) for one in reversed(list(results)) if isinstance(one, Operation)
    ]
    while waiting:
        one, complete = waiting.pop()
        if complete:
            found[one] = None
        elif one not in found:
            waiting.append((one, True))
            waiting += [(read, False) for read in reversed(list(one.read)) if read not in found]
    return list(found)
