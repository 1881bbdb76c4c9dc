"""What a layer declares when it is built, apart from the layers that it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnreg._types import Shape
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.features import Features
from nnreg.interfaces.graph import Wire
from nnreg.interfaces.initializer import Initializer


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
class Declarations:
    """The arrays that a layer declares, and what is known of its inputs and outputs.

    `path` is the path of the layer in the spec; `classes` the number of classes of the target;
    `integer` is whether its input is integers, None if unknown; `inputs` and `output` are the
    shapes of its inputs and of its output, once it is built. For a layer of several outputs,
    `outputs` are their shapes by name, and `output` is that of the first.
    `masks` has for each input the name of the network's input whose lengths hold for its steps,
    None if it has no mask, and `output_mask` that for the output, once it is built.
    `features` says what those of the first input are, None if unknown; a layer that keeps some of
    them sets `output_features`.
    A layer with many intermediate values per example may set `activation_count` to their number,
    and a recurrent layer `sequence_length` to its number of time steps, and `steps_kernel` to the
    method of `Kernels` that computes them all, if there is one: threads are planned by them, and by
    `products`, the multiplications for one example in each matrix product with
    weights. By default, each value of an array of two axes or more is used once per position in
    the output; a layer that uses them otherwise sets `products`.
    `min_training_rows` is the fewest examples of a batch that the layer can be trained on.
    `constant` is set if the output does not depend on the input, such as that of a normalization
    over a single value: a network with such a layer is refused.
    `wire` has the connections of a layer in a graph; it is None in a chain. `owner` is the name of
    the earlier layer whose arrays it uses, if it has none of its own.
    """

    path: str
    classes: int | None = None
    inputs: tuple[Shape, ...] = ()
    output: Shape = ()
    outputs: Mapping[str, Shape] = field(default_factory=dict)
    activation_count: int = 0
    sequence_length: int = 1
    steps_kernel: str = ""
    products: Sequence[int] | None = None
    min_training_rows: int = 1
    constant: bool = False
    integer: bool | None = None
    masks: tuple[str | None, ...] = ()
    output_mask: str | None = None
    features: Features | None = None
    output_features: Features | None = None
    wire: Wire | None = None
    owner: str | None = None
    params: dict[str, Param] = field(default_factory=dict)
    state: dict[str, Param] = field(default_factory=dict)

    @property
    def input(self) -> Shape:
        """The shape of the first input."""
        return self.inputs[0]

    @property
    def activations(self) -> int:
        """The number of intermediate values and outputs of one example."""
        outputs = self.outputs.values() if self.outputs else (self.output,)
        return self.activation_count + sum(map(math.prod, outputs))

    @property
    def weight_products(self) -> Sequence[int]:
        """The multiplications for one example in each matrix product with weights."""
        if self.products is not None:
            return self.products
        positions = math.prod(self.output[:-1])
        shapes = [param.shape for param in self.params.values()]
        return [math.prod(shape) * positions for shape in shapes if len(shape) > 1]

    def param(
        self, name: str, shape: Shape, initializer: Initializer, *, regularized: bool = False
    ) -> None:
        """Declare a trainable array; `regularized` is for weights, not for biases."""
        try:
            initializer.check_shape(shape)
        except ValueError as error:
            text = (
                f"{name} of shape {shape} cannot have the initial values of {initializer}: {error}"
            )
            raise SpecError([Problem(self.path, f"{text}; choose another initializer")]) from error
        self.params[name] = Param(shape, initializer, regularized)

    def buffer(
        self, name: str, shape: Shape, initializer: Initializer, *, non_negative: bool = False
    ) -> None:
        """Declare an array that the layer updates itself, such as a running mean.

        `non_negative` is for values that are never below 0, such as a running variance.
        """
        self.state[name] = Param(shape, initializer, non_negative=non_negative)

    def size(self, units: int | str) -> int:
        """Return `units` as a number; it may be `"classes"`."""
        if isinstance(units, int):
            return units
        if self.classes is None:
            problem = "'units' is \"classes\", but the target is numeric; give a number of units"
            raise SpecError([Problem(self.path, problem)])
        return self.classes
