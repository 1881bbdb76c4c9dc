"""Equations of `einsum_dense`, as matrix products."""

from __future__ import annotations

import functools
import itertools
import math
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context

FORM: Final = re.compile(
    r"(?P<left>\.\.\.)?(?P<x>[A-Za-z]*)(?P<right>\.\.\.)?,(?P<weight>[A-Za-z]+)"
    r"->(?P<y_left>\.\.\.)?(?P<y>[A-Za-z]*)(?P<y_right>\.\.\.)?"
)


@dataclass(frozen=True)
class Equation:
    """The letters of the axes of input, weight and output, with letters in place of "...".

    The first axis of input and output is the batch. `named` are the letters of the output that the
    equation has, without the batch.
    """

    x: str
    weight: str
    y: str
    named: str

    @functools.cached_property
    def parts(self) -> tuple[str, str, str, str]:
        """The letters of `(shared, rows, inner, columns)`: where each axis is.

        Shared axes are in all three, rows not in the weight, columns not in the input, and over
        inner ones products are summed. Axes of the input alone are summed before.
        """
        x, weight, y = self.x, self.weight, self.y
        shared = "".join(one for one in y if one in x and one in weight)
        rows = "".join(one for one in y if one in x and one not in weight)
        inner = "".join(one for one in x if one in weight and one not in y)
        columns = "".join(one for one in y if one not in x)
        return shared, rows, inner, columns

    def products(self, sizes: Mapping[str, int]) -> tuple[int, int]:
        """Return how many matrix products there are, and the multiplications in each.

        Those for one example: the batch has no size.
        """
        shared, *others = self.parts
        used = "".join(others).replace(self.x[0], "")
        return math.prod(sizes[one] for one in shared), math.prod(sizes[one] for one in used)

    def multiply(
        self, x: Array, weight: Array, context: Context
    ) -> tuple[Array, Callable[[Array], Array | None]]:
        """Return the output, and the function that writes the gradient of the weight.

        That takes the gradient of the output and returns that of the input.
        """
        shared, rows, inner, columns = self.parts
        sizes = dict(zip(self.x + self.weight, x.shape + weight.shape, strict=True))
        kept = "".join(one for one in self.x if one in self.weight + self.y)
        alone = tuple(axis for axis, one in enumerate(self.x) if one not in kept)
        a = np.sum(x, axis=alone) if alone else x
        left = _arrange(a, kept, (shared, rows, inner), sizes, context)
        right = _arrange(weight, self.weight, (shared, inner, columns), sizes, context)
        z = _matmul(left, right, context)
        each = shared + rows + columns
        y = _restore(z, each, self.y, sizes, context)

        def backward(dy: Array) -> Array | None:
            dz = _arrange(dy, self.y, (shared, rows, columns), sizes, context)
            dweight = _matmul(np.swapaxes(left, 1, 2), dz, context)
            found = _restore(dweight, shared + inner + columns, self.weight, sizes, context)
            context.gradients["weight"][...] = found
            if not context.needs_input_gradient:
                return None
            da = _matmul(dz, np.swapaxes(right, 1, 2), context)
            dx = _restore(da, shared + rows + inner, kept, sizes, context)
            if not alone:
                return dx
            whole = context.empty(x.shape)
            whole[...] = np.expand_dims(dx, alone)
            return whole

        return y, backward


def _matmul(left: Array, right: Array, context: Context) -> Array:
    """Return the products of `(shared, rows, inner)` and `(shared, inner, columns)`."""
    z = context.empty((*left.shape[:2], right.shape[2]))
    if len(left) == 1:
        context.workspace.dot(left[0], right[0], out=z[0])
        return z
    return np.matmul(left, right, out=z)


def _arrange(
    array: Array,
    letters: str,
    groups: tuple[str, str, str],
    sizes: Mapping[str, int],
    context: Context,
) -> Array:
    """Return an array with its axes in the order of three groups, each as one axis."""
    ordered = _restore(array, letters, "".join(groups), sizes, context)
    shape = tuple(math.prod(sizes[one] for one in group) for group in groups)
    return ordered.reshape(shape)


def _restore(
    array: Array, letters: str, order: str, sizes: Mapping[str, int], context: Context
) -> Array:
    """Return an array whose axes have these letters with its axes in another order."""
    array = array.reshape(tuple(sizes[one] for one in letters))
    if order == letters:
        return array
    moved = np.transpose(array, [letters.index(one) for one in order])
    copied = context.empty(moved.shape)
    copied[...] = moved
    return copied


@functools.lru_cache(maxsize=256)
def equation_for(text: str, axes: int) -> Equation:
    """Return an equation for inputs with this number of axes, the batch included.

    Raises ValueError, which says what is impossible.
    """
    match = FORM.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(
            'must be letters for the axes of "input,weight->output", such as "abc,cd->abd"; "..." '
            "may stand for further axes of input and output"
        )
    left, right = bool(match["left"]), bool(match["right"])
    if (left, right) != (bool(match["y_left"]), bool(match["y_right"])) or (left and right):
        raise ValueError('must have "..." once in input and output, both first or both last')
    x, weight, y = match["x"], match["weight"], match["y"]
    elided = axes - len(x)
    if elided and not (left or right):
        raise ValueError(
            f"has {len(x)} axes of the input, but that has {axes}, the batch included; change "
            'the letters, or write "..." for further axes'
        )
    if elided < left:
        least = len(x) + left
        raise ValueError(
            f"needs an input of {least} axes or more, batch included, but that has {axes}"
        )
    unused = (one for one in string.ascii_letters if one not in x + weight + y)
    further = "".join(itertools.islice(unused, elided))
    found = Equation(
        further + x if left else x + further,
        weight,
        further + y if left else y + further,
        y if left else y[1:],
    )
    _check(found)
    return found


def _check(equation: Equation) -> None:
    x, weight, y = equation.x, equation.weight, equation.y
    for name, term in (("input", x), ("weight", weight), ("output", y)):
        if len(set(term)) < len(term):
            raise ValueError(f"has a letter twice in the {name}; give each axis its own")
    if not x or y[:1] != x[0] or x[0] in weight:
        raise ValueError(
            "must have the batch as the first axis of input and output, and not in the weight"
        )
    if len(y) < 2:
        raise ValueError("must have an axis of the output besides the batch")
    if other := [one for one in y if one not in x + weight]:
        raise ValueError(f"has {other[0]!r} in the output alone; the input or the weight needs it")
    if other := [one for one in weight if one not in x + y]:
        raise ValueError(f"has {other[0]!r} in the weight alone, so that its size is unknown")
