"""The base class of layers, and the builder that records their parameters and state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from nnreg._types import Array, Shape
from nnreg.errors import ComponentError, NnregError, Problem, ShapeError, SpecError
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer

LayerBackward: TypeAlias = Callable[[Array], Array | None]


class Layer(Component):
    """A step of the network, with or without parameters."""

    kind = "layer"
    integer_input: ClassVar[bool] = False
    """Whether the input is integers, such as the indices of words; never scaled then."""
    independent: ClassVar[bool] = False
    """Whether what an example becomes depends on nothing but itself, and no state is kept, so that
    threads may divide a batch. Nested layers answer for themselves."""

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        """Declare on `builder` what inputs of `shape` (without the batch) need.

        Returns the shape of one output. Raises `ShapeError` for an input it cannot take.
        """
        return shape

    def check_input(self, x: Array) -> None:
        """Raise `DataError` for values that the layer cannot take as the first of a network."""

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Return `y` and the function that takes ∂loss/∂y and returns ∂loss/∂x.

        The returned function also writes (never adds) every gradient in `context.gradients`, in
        full. It may return None when `context.needs_input_gradient` is false. Neither `x` nor the
        gradient it is given may be written to.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Param:
    """An array that a layer declared: its shape, its first values, whether L1/L2 apply to it."""

    shape: Shape
    initializer: Initializer
    regularized: bool = False


@dataclass
class LayerBuilder:
    """What a layer declares in `build`: its arrays and the layers nested in it.

    `path` is the layer's place in the spec; `classes` how many classes the target has; `input` the
    shape of what the layer takes, and `output` of what it gives, once it is built. A layer that
    makes many more values of an example on the way may say in `activation_count` how many, and one
    that goes through time in `sequence_length` in how many steps: threads are planned by them.
    """

    path: str
    classes: int | None = None
    input: Shape = ()
    output: Shape = ()
    activation_count: int = 0
    sequence_length: int = 1
    params: dict[str, Param] = field(default_factory=dict)
    state: dict[str, Param] = field(default_factory=dict)
    children: dict[str, tuple[Layer, LayerBuilder]] = field(default_factory=dict)

    def param(
        self, name: str, shape: Shape, initializer: Initializer, *, regularized: bool = False
    ) -> None:
        """Declare an array to be trained; `regularized` for weights, not for biases."""
        self.params[name] = Param(shape, initializer, regularized)

    def buffer(self, name: str, shape: Shape, initializer: Initializer) -> None:
        """Declare an array that the layer keeps up to date itself, such as a running mean."""
        self.state[name] = Param(shape, initializer)

    def layer(self, name: str, layer: Layer, shape: Shape) -> Shape:
        """Build a nested layer, named as in `layers/0`, and return the shape of its output."""
        where = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("/"))
        plan = LayerBuilder(self.path + where, self.classes)
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
        plan.input, plan.output = shape, output
        self.children[name] = (layer, plan)
        return output

    def size(self, units: int | str) -> int:
        """Resolve `units`, which may be `"classes"`, into a number."""
        if isinstance(units, int):
            return units
        if self.classes is None:
            problem = "'units' is \"classes\", but the target holds numbers; give a number of units"
            raise SpecError([Problem(self.path, problem)])
        return self.classes


def chain(steps: Iterable[tuple[Layer, Context]], x: Array) -> tuple[Array, LayerBackward]:
    """Run layers one after the other; the backward functions run in the opposite order.

    It ends early, with None, where the gradient of a layer's input is not needed.
    """
    backward_fn = []
    for layer, context in steps:
        x, backward_layer = layer.forward(x, context)
        backward_fn.append((backward_layer, context))

    def backward(dy: Array) -> Array | None:
        gradient: Array | None = dy
        for step, context in reversed(backward_fn):
            if gradient is None:
                return None
            gradient = step(gradient)
            if not context.needs_input_gradient:
                return None
        return gradient

    return x, backward
