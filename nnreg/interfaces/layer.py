"""The base class of layers, and the builder that records their parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import ComponentError, NnregError, Problem, ShapeError, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.returned import Caller, describe

LayerBackward: TypeAlias = Callable[[Array], Array | None]


class Layer(Component):
    """A layer of a network, with or without parameters."""

    kind = "layer"
    integer_input: ClassVar[bool] = False
    """Whether the input is integers, such as token indices; they are never scaled."""
    keeps_integers: ClassVar[bool | None] = None
    """Whether the output is integers if the input is, such as that of a reshape; None if unknown,
    which a layer that takes integers accepts."""
    independent: ClassVar[bool] = False
    """Whether the output of an example depends on that example alone, and the layer has no buffers,
    so that a batch may be split between threads. Nested layers declare this themselves."""

    @property
    def output_range(self) -> tuple[float, float] | None:
        """Bounds of every output; None if unknown, which every loss accepts."""
        return None

    def split_output_activation(self) -> tuple[Layer, Activation] | None:
        """Return the layer without the activation of its outputs, and that activation.

        For a layer whose outputs are `activation(…)`: a loss may then compute the activation
        together with itself. None for a layer whose outputs are not, such as a recurrent one.
        """
        return None

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        """Declare on `builder` the arrays for inputs of `shape` (without the batch axis).

        Returns the shape of one output. Raises `ShapeError` for an input it does not support.
        """
        return shape

    def check_input(self, x: Array) -> None:
        """Raise `DataError` for values that the layer does not accept as the first of a network."""

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Return `y` and the function that takes ∂loss/∂y and returns ∂loss/∂x.

        The returned function also writes (never adds) every gradient in `context.gradients`, in
        full. It may return None if `context.needs_input_gradient` is false. Neither `x` nor the
        gradient passed to it may be modified.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Param:
    """An array that a layer declared: its shape and initializer, and whether L1/L2 apply to it.

    `non_negative` is for a buffer of which a checkpoint with a value below 0 is refused.
    """

    shape: Shape
    initializer: Initializer
    regularized: bool = False
    non_negative: bool = False


@dataclass
class LayerBuilder:
    """The arrays and nested layers that a layer declares in `build`.

    `path` is the path of the layer in the spec; `classes` the number of classes of the target;
    `integer` is whether its input is integers, None if unknown; `input` and `output` are the shapes
    of the layer's input and output, once it is built. A layer with many intermediate values per
    example may set `activation_count` to their number, and a recurrent layer `sequence_length` to
    its number of time steps: threads are planned by them.
    `min_training_rows` is the fewest examples of a batch that the layer can be trained on.
    `constant` is set if the output does not depend on the input, such as that of a normalization
    over a single value: a network with such a layer is refused.
    """

    path: str
    classes: int | None = None
    input: Shape = ()
    output: Shape = ()
    activation_count: int = 0
    sequence_length: int = 1
    min_training_rows: int = 1
    constant: bool = False
    integer: bool | None = None
    params: dict[str, Param] = field(default_factory=dict)
    state: dict[str, Param] = field(default_factory=dict)
    children: dict[str, tuple[Layer, LayerBuilder]] = field(default_factory=dict)

    def param(
        self, name: str, shape: Shape, initializer: Initializer, *, regularized: bool = False
    ) -> None:
        """Declare a trainable array; `regularized` is for weights, not for biases."""
        self.params[name] = Param(shape, initializer, regularized)

    def buffer(
        self, name: str, shape: Shape, initializer: Initializer, *, non_negative: bool = False
    ) -> None:
        """Declare an array that the layer updates itself, such as a running mean.

        `non_negative` is for values that are never below 0, such as a running variance.
        """
        self.state[name] = Param(shape, initializer, non_negative=non_negative)

    def layer(self, name: str, layer: Layer, shape: Shape, *, integer: bool | None = None) -> Shape:
        """Build a nested layer, named as in `layers/0`, and return the shape of its output.

        `integer` is whether its input is integers, None if unknown.
        """
        path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("/"))
        plan = LayerBuilder(self.path + path, self.classes, integer=integer)
        try:
            output = layer.build(shape, plan)
        except ShapeError as error:
            raise SpecError([Problem(plan.path, str(error))]) from error
        except NnregError:
            raise
        except Exception as error:
            raise ComponentError(
                f"{plan.path}: {type(layer).__name__} of the module {type(layer).__module__} "
                f"failed on input shape {shape}: {error!r}"
            ) from error
        if not (isinstance(output, tuple) and all(isinstance(n, int | np.integer) for n in output)):
            raise Caller(layer, plan.path).error(
                "build", f"returned {describe(output)}; expected the shape of one output, a tuple"
            )
        plan.input, plan.output = shape, tuple(map(int, output))
        self.children[name] = (layer, plan)
        return plan.output

    def chain(self, layers: Iterable[Layer], shape: Shape) -> Shape:
        """Build nested layers in sequence, named `layers/0`, …, and return the shape of the output.

        The input of the first is that of the layer itself.
        """
        integer = self.integer
        for index, layer in enumerate(layers):
            shape = self.layer(f"layers/{index}", layer, shape, integer=integer)
            integer = integer if layer.keeps_integers else layer.keeps_integers
        return shape

    def size(self, units: int | str) -> int:
        """Return `units` as a number; it may be `"classes"`."""
        if isinstance(units, int):
            return units
        if self.classes is None:
            problem = "'units' is \"classes\", but the target is numeric; give a number of units"
            raise SpecError([Problem(self.path, problem)])
        return self.classes


def takes_integers(layers: Iterable[Layer]) -> bool:
    """Return True if the input of a sequence of layers reaches one that takes integers as it is."""
    for layer in layers:
        if layer.integer_input or not layer.keeps_integers:
            return layer.integer_input
    return False


def chain(steps: Iterable[tuple[Layer, Context]], x: Array) -> tuple[Array, LayerBackward]:
    """Run layers in sequence; the returned function runs their backward functions in reverse.

    It returns None, early, if the gradient of a layer's input is not needed.
    """
    backward_fns = []
    for layer, context in steps:
        x, backward_fn = layer.forward(x, context)
        backward_fns.append((backward_fn, context))

    def backward(dy: Array) -> Array | None:
        gradient: Array | None = dy
        for backward_fn, context in reversed(backward_fns):
            if gradient is None:
                return None
            gradient = backward_fn(gradient)
            if not context.needs_input_gradient:
                return None
        return gradient

    return x, backward
