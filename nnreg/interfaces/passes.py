"""Passes through a list of layers, a chain or a graph: forward, and backward in reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context, Read

Backward: TypeAlias = Callable[[Array], Any]


class HasForward(Protocol):
    """A layer."""

    def forward(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        """Return the output, and the backward function."""


class OfMembers:
    """A layer whose `forward` is that of all members of an ensemble."""

    def __init__(self, layer: Any) -> None:
        self.forward = layer.forward_members


def use_members_below(context: Context) -> None:
    """Let the entries of graphs in a layer compute all members of an ensemble."""
    for child in context.children.values():
        if child.node is not None:
            child.node.layer = OfMembers(child.node.layer)
        use_members_below(child)


def chain(steps: Iterable[tuple[HasForward, Context]], x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Run the layers of a list; the returned function runs their backward functions in reverse.

    It returns None, early, if the gradient of a layer's input is not needed.
    """
    backward_fns = []
    for layer, context in (pairs := tuple(steps)):
        if context.node is not None:  # and so for all entries of the list
            return run_graph([own for _, own in pairs], x)
        x, backward_fn = layer.forward(x, context)
        backward_fns.append((backward_fn, context))

    def backward(dy: Any) -> Any:
        gradient = dy
        for backward_fn, context in reversed(backward_fns):
            if gradient is None:
                return None
            gradient = backward_fn(gradient)
            if not context.needs_input_gradient:
                return None
        return gradient

    return x, backward


def arrays_of(value: Any) -> Iterable[Array]:
    """Return the arrays of a value, one or several."""
    return value.values() if isinstance(value, dict) else (value,)


def read_input(context: Context, values: Sequence[Any]) -> Any:
    """Return what a layer reads of the values before it: in a chain, the last."""
    return values[-1] if context.node is None else context.node.read(values)


def run_graph(
    contexts: Sequence[Context], x: Any, outputs: Mapping[str, Read] | None = None
) -> tuple[Any, Backward]:
    """Run the entries of a graph in order; the returned function runs backward in reverse.

    It returns None if the gradient of the input is not needed. With `outputs`, the result is a
    dictionary of these, and so is the gradient.
    """
    values, steps = [x], list[Any]()
    for context in contexts:
        node = context.node
        assert node is not None  # set for all entries of a graph
        only = node.only
        read = node.read(values) if only is None else values[only]
        y, backward_fn = node.layer.forward(read, context)
        values.append(y)
        steps.append((backward_fn, context, node))

    def backward(dy: Any) -> Any:
        gradients = _of_outputs(dy, outputs, len(values), contexts[0])
        for index in range(len(steps), 0, -1):
            backward_fn, context, node = steps[index - 1]
            gradient = gradients[index]
            if gradient is None:
                continue  # neither this entry nor those before it are trained
            if isinstance(gradient, dict):
                gradient = _complete(gradient, values[index], context)
            found = backward_fn(gradient)
            for total, part in node.shared:
                np.add(total, part, out=total)
            if not context.needs_input_gradient:
                continue
            if (only := node.only) is not None:
                before = gradients[only]
                gradients[only] = found if before is None else _sum(before, found, context)
                continue
            for read, dx in zip(node.inputs, found if node.joins else (found,), strict=True):
                _add(gradients, read, dx, context)
        return gradients[0]

    if outputs is None:
        return values[-1], backward
    return {name: part_of(values, read) for name, read in outputs.items()}, backward


def part_of(values: Sequence[Any], read: Read) -> Array:
    """Return a value or a part of it."""
    value, part = read
    found: Array = values[value] if part is None else values[value][part]
    return found


def _of_outputs(
    dy: Any, outputs: Mapping[str, Read] | None, count: int, context: Context
) -> list[Any]:
    """Return the gradients of the values of a graph, of which those of the outputs are known."""
    gradients: list[Any] = [None] * count
    if outputs is None:
        gradients[-1] = dy
    else:
        for name, read in outputs.items():
            _add(gradients, read, dy[name], context)
    return gradients


def _add(gradients: list[Any], read: Read, dx: Array | None, context: Context) -> None:
    """Add a gradient to that of a value or of a part of it; either may be None."""
    value, part = read
    if part is None:
        before = gradients[value]
        gradients[value] = dx if before is None else _sum(before, dx, context)
    elif dx is not None:
        parts = gradients[value] = gradients[value] or {}
        parts[part] = _sum(parts.get(part), dx, context)


def _complete(
    gradients: Mapping[str, Array], y: Mapping[str, Array], context: Context
) -> dict[str, Array]:
    """Return the gradient of every output of a layer, of which some are not read."""
    complete = dict(gradients)
    for name in y.keys() - complete.keys():
        complete[name] = context.empty(y[name].shape)
        complete[name].fill(0)
    return complete


def _sum(first: Array | None, second: Array | None, context: Context) -> Array | None:
    """Return the sum of two gradients, of which either may be None."""
    if first is None or second is None:
        return second if first is None else first
    return np.add(first, second, out=context.empty(first.shape))
