"""The base class of layers, and the builder that records what they declare and hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, TypeAlias, cast

from nnreg._types import Array, Shape, Shapes
from nnreg.errors import ComponentError, NnregError, Problem, ShapeError, SpecError
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context, Read
from nnreg.interfaces.declarations import Declarations, Param
from nnreg.interfaces.features import Features, refuse_indices
from nnreg.interfaces.formula import layer_forward
from nnreg.interfaces.graph import (
    ENTRY_KEYS,
    INPUT,
    EntryKeys,
    Graph,
    Value,
    connect,
    is_chain,
    labels,
)
from nnreg.interfaces.masks import output_mask, refuse_mask
from nnreg.interfaces.returned import Caller

LayerBackward: TypeAlias = Callable[[Array], Array | None]
PairForward: TypeAlias = Callable[[Any, Context, Context], tuple[Any, LayerBackward]]

OWN_MASK: Final = ""
"""The mask of a nested layer's input, if it is that of the layer it is nested in."""


class Layer(Component):
    """A layer of a network, with or without parameters."""

    kind = "layer"
    integer_input: ClassVar[bool] = False
    """Whether the input is integers, such as token indices; they are never scaled."""
    keeps_integers: ClassVar[bool | None] = None
    """Whether the output is integers if the input is, such as that of a reshape; None if unknown,
    which a layer that takes integers accepts."""
    takes_indices: ClassVar[bool] = False
    """Whether the input may have positions of categories, see `LayerBuilder.features`, which other
    layers would take for numbers."""
    joins: ClassVar[bool] = False
    """Whether the layer reads several inputs; see `Join`."""
    takes_one_input: ClassVar[bool] = False
    """Whether a layer of several inputs also takes a single one. Its methods then get that shape
    and that array, and its backward function returns one gradient, as those of other layers."""
    independent: ClassVar[bool] = False
    """Whether the output of an example depends on that example alone, and the layer has no buffers,
    so that a batch may be divided into shards. Nested layers declare this themselves."""
    combines_shards: ClassVar[bool] = False
    """Whether a layer that is not independent takes all that it needs of other examples from
    `context.gather`, and writes its buffers only if `context.updates_buffers`, so that a batch may
    be divided all the same."""
    divides_products: ClassVar[bool] = False
    """Whether the products with its weights are those of `context.workspace.dot`, which training
    divides into blocks if they are large. Then results do not depend on the number of threads."""

    joined_kernel: ClassVar[str] = ""
    """The method of kernels that computes what `joined` returns."""

    @property
    def keeps_mask(self) -> bool | None:
        """Whether the output has the steps of the input, for sequences of different lengths.

        True: it has, and so its mask; a layer that holds layers has the mask of the last of these.
        False: the layer looks at `context.mask`, and its output has no time axis, as a mean over
        time. None: a network in which a mask reaches the layer is refused. The time axis is the
        first of an example. Values at masked steps are arbitrary, but finite; they must not change
        the output at real steps. The gradient of the output is 0 at masked steps, and that of the
        input must be. Sequences of length 0 must give finite values.
        """
        return None

    @property
    def output_range(self) -> tuple[float, float] | None:
        """Bounds of every output; None if unknown, which every loss accepts."""
        return None

    def joined(self, following: Layer) -> PairForward | None:
        """Return a function that computes this layer and the next one of a network, if faster.

        It takes x and the contexts of both, and returns what `forward` of the next one would. In
        a context that is `only_forward`, its backward function is not called.
        """
        return None

    def split_output_activation(self) -> tuple[Layer, Activation] | None:
        """Return the layer without the activation of its outputs, and that activation.

        For a layer whose outputs are `activation(…)`: a loss may then compute the activation
        together with itself. None for a layer whose outputs are not, such as a recurrent one.
        """
        return None

    def transposed(self, params: Mapping[str, Param]) -> Layer | None:
        """Return the layer that applies the transposed weight of this one; None if it has none.

        `params` are the parameters that this layer declared. The other layer declares one
        parameter, `weight`, with the shape of this layer's weight reversed.
        """
        return None

    def reads_several(self, inputs: int) -> bool:
        """Return whether the methods get a sequence, for this number of inputs."""
        return self.joins and (inputs > 1 or not self.takes_one_input)

    def build(self, shape: Any, builder: LayerBuilder) -> Shapes:
        """Declare on `builder` the arrays for inputs of `shape: Shape` (without the batch axis).

        Returns the shape of one output, or for a layer of several outputs a dictionary of their
        shapes by name. Raises `ShapeError` for an input it does not support.
        """
        built: Shape = shape
        return built

    def check_input(self, x: Array) -> None:
        """Raise `DataError` for values that the layer does not accept as the first of a network."""

    def formula(self, x: Any, params: Mapping[str, Array]) -> Array:
        """Return `y` for `x` and the parameters by name, computed with NumPy's functions.

        For a layer without state, random numbers and nested layers. To train it, nnreg needs the
        extra `autograd`; a method `forward` instead is faster.
        """
        raise NotImplementedError

    def forward(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        """Return `y` for `x: Array` and the function that takes ∂loss/∂y and returns ∂loss/∂x.

        The returned function also writes (never adds) every gradient in `context.gradients`, in
        full. It may return None if `context.needs_input_gradient` is false. Neither `x` nor the
        gradient passed to it may be modified. For a layer of several outputs, `y` and the gradient
        are dictionaries.

        Without this method, the derivative is that of `formula`.
        """
        return layer_forward(self, x, context)

    def forward_members(self, x: Any, context: Context) -> tuple[Any, Callable[[Any], Any]]:
        """Do the same for all members of an ensemble at once.

        All arrays have an axis more in front: `x` is `(members, batch, ...)`, and so are the output
        and each parameter, buffer and gradient. A layer that does not override it computes one
        member after the other.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class LayerEntry(Layer):
    """An entry of a list of layers that has keys of its own, such as a name.

    `layer` is None for an entry that uses the layer of an earlier one.
    """

    layer: Layer | None
    keys: EntryKeys

    @property
    def output_range(self) -> tuple[float, float] | None:
        """The bounds of the layer's outputs."""
        return None if self.layer is None else self.layer.output_range

    def split_output_activation(self) -> tuple[Layer, Activation] | None:
        """Return the entry without the activation of its layer, and that activation."""
        split = None if self.layer is None else self.layer.split_output_activation()
        return split and (replace(self, layer=split[0]), split[1])

    def build(self, shape: Shape, builder: LayerBuilder) -> Shapes:
        """Raise `SpecError`: the builder of a list builds the layer, not the entry."""
        keys = ", ".join(map(repr, self.keys.given()))
        problem = f"{keys} may be given only in a list of layers; one of {', '.join(ENTRY_KEYS)}"
        raise SpecError([Problem(builder.path, problem)])

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Run the layer, in a chain whose entries have names."""
        assert self.layer is not None  # an entry that uses another is run as part of a graph
        return self.layer.forward(x, context)

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Run the layer for all members of an ensemble."""
        assert self.layer is not None
        return self.layer.forward_members(x, context)


@dataclass
class LayerBuilder(Declarations):
    """The declarations of a layer in `build`, with the layers that it holds.

    For the list of a network with several inputs, `integers` are the names of those that are
    integers. For the list of a network, `masked` are the names of the inputs that are sequences of
    different lengths, and `input_features` says what the features of each input are, by its name,
    "input" for the only one. Of a network with several outputs, `output_reads` are the values that
    they are, and `classes_of` the classes of their targets.
    """

    classes_of: Mapping[str, int | None] = field(default_factory=dict)
    integers: Collection[str] = ()
    masked: Collection[str] = ()
    input_features: Mapping[str, Features] = field(default_factory=dict)
    output_reads: Mapping[str, Read] = field(default_factory=dict)
    children: dict[str, tuple[Layer, LayerBuilder]] = field(default_factory=dict)

    def layer(
        self,
        name: str,
        layer: Layer,
        shape: Shape,
        *,
        integer: bool | None = None,
        mask: str | None = OWN_MASK,
        path: str | None = None,
    ) -> Any:
        """Build a nested layer, named as in `layers/0`, and return the shape of its output.

        Returns a dictionary of shapes for a layer of several outputs. `integer` is whether its
        input is integers, None if unknown. `mask` is the mask of its input, by default that of this
        layer's first input. `path` is its path in the spec, by default that which its name says.
        """
        if path is None:
            parts = name.split("/")
            path = self.path + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in parts)
        plan = LayerBuilder(path, integer=integer, masks=(self._mask(mask),))
        return self._build(name, layer, (shape,), plan)

    def join(
        self, name: str, layer: Layer, shapes: Sequence[Shape], masks: Sequence[str | None]
    ) -> Any:
        """Build a nested layer of several inputs, whose masks are given; see `layer`."""
        plan = LayerBuilder(f"{self.path}.{name}", masks=tuple(masks))
        return self._build(name, layer, shapes, plan)

    def _mask(self, mask: str | None) -> str | None:
        """Return a mask, that of the first input if it is `OWN_MASK`."""
        return next(iter(self.masks), None) if mask == OWN_MASK else mask

    def activation(self, name: str, activation: Activation, shape: Shape) -> None:
        """Build an activation for inputs of this shape, if it has parameters.

        It is then run with `context.children[name]`, and otherwise with the layer's own context.
        """
        if isinstance(layer := cast(object, activation), Layer):
            self.layer(name, layer, shape, mask=None)

    def chain(
        self, layers: Iterable[Layer], shape: Shapes, outputs: Mapping[str, str] | None = None
    ) -> Any:
        """Build a list of nested layers, named `layers/0`, …, and return the shape of the output.

        The input of the list is that of the layer itself; only that of a network may be several. An
        entry with a name has it in place of its number; the entries of a list are connected as
        their keys say. Returns a dictionary of shapes if the last layer has several outputs, or if
        those of a network are given: by name, with the place of each in the spec.
        """
        layers = tuple(layers)
        inputs = () if isinstance(shape, tuple) else shape
        wires, self.output_reads = connect_layers(layers, self.path, inputs, outputs)
        mask, known = self._mask(OWN_MASK), self.input_features or self.features
        own = Value(INPUT, shape, self.integer, self.integers, mask, self.masked, known)
        values, names = [own], list[str]()
        graph = bool(outputs) or not is_chain(wires)
        for index, (entry, wire) in enumerate(zip(layers, wires, strict=True)):
            plan = LayerBuilder(f"{self.path}.layers[{index}]")
            plan.wire = wire if graph else None
            plan.owner = None if wire.use is None else names[wire.use]
            sources = [(values[read.value], read) for read in wire.inputs]
            plan.integer = _common([value.is_integer(read.part) for value, read in sources])
            plan.masks = tuple(value.mask_of(read.part) for value, read in sources)
            features = [value.features_of(read.part) for value, read in sources]
            plan.features = features[0]
            layer = self._layer_of(entry, plan)
            refuse_indices(layer, plan, features)
            shapes = [value.shape_of(read, f"{plan.path}.inputs") for value, read in sources]
            name = _name(entry) or str(index)
            names.append(f"layers/{name}")
            shape = self._build(names[-1], layer, shapes, plan)
            integer = plan.integer if layer.keeps_integers else layer.keeps_integers
            kept = plan.output_features
            values.append(Value(name, shape, integer, mask=plan.output_mask, features=kept))
        if outputs is None:
            return shape
        return {
            name: values[read.value].shape_of(read, outputs[name])
            for name, read in self.output_reads.items()
        }

    def _layer_of(self, entry: Layer, plan: LayerBuilder) -> Layer:
        """Return the layer of an entry, which may be that of an earlier one."""
        if not isinstance(entry, LayerEntry):
            return entry
        if entry.layer is not None:
            return entry.layer
        assert plan.owner is not None  # an entry without a layer of its own
        layer, original = self.children[plan.owner]
        if not entry.keys.transposed:
            return layer
        if (transposed := layer.transposed(original.params)) is None:
            problem = f"{type(layer).__name__} has no weight that can be transposed"
            raise SpecError([Problem(f"{plan.path}.transposed", problem)])
        return transposed

    def _build(self, name: str, layer: Layer, shapes: Sequence[Shape], plan: LayerBuilder) -> Any:
        """Build a nested layer for inputs of these shapes, and add it to the children."""
        plan.classes = self.classes_of.get(name.removeprefix("layers/"), self.classes)
        plan.inputs = tuple(shapes)
        _check_count(layer, shapes, plan.path)
        refuse_mask(layer, plan)
        built = self._shapes_of(layer, plan)
        shapes_of = Caller(layer, plan.path).shapes("build", built)
        plan.output = next(iter(shapes_of.values()))
        plan.outputs = shapes_of if isinstance(built, dict) else {}
        if plan.owner is not None:
            self._require_same_arrays(plan, plan.owner)
        plan.output_mask = output_mask(layer, plan)
        self.children[name] = (layer, plan)
        return plan.outputs or plan.output

    def _shapes_of(self, layer: Layer, plan: LayerBuilder) -> Any:
        """Return what `build` of a nested layer returns, with errors at its place in the spec."""
        try:
            several = layer.reads_several(len(plan.inputs))
            return layer.build(plan.inputs if several else plan.input, plan)
        except ShapeError as error:
            problem = str(error)
            if layer.joins and plan.wire is not None:
                found = ", ".join(labels(plan.wire, self.children, plan.inputs))
                problem = f"this layer takes {error.expected}; its inputs are {found}"
            raise SpecError([Problem(plan.path, problem)]) from error
        except NnregError:
            raise
        except Exception as error:
            raise ComponentError(
                f"{plan.path}: {type(layer).__name__} of the module {type(layer).__module__} "
                f"failed on input shape {', '.join(map(str, plan.inputs))}: {error!r}"
            ) from error

    def _require_same_arrays(self, plan: LayerBuilder, name: str) -> None:
        """Raise `SpecError` if the arrays of an earlier layer do not fit this use of it."""
        original = self.children[name][1]
        before, now = _shapes(original), _shapes(plan)
        if plan.wire is not None and plan.wire.transposed:
            before = {"weight": before["weight"][::-1]}
        if before != now:
            problem = (
                f"its input {plan.input} needs arrays of other shapes than that of "
                f"{name.removeprefix('layers/')!r}, {original.input}; give it an input of the same"
            )
            raise SpecError([Problem(f"{plan.path}.use", problem)])


def connect_layers(
    layers: Sequence[Layer],
    path: str,
    inputs: Iterable[str],
    outputs: Mapping[str, str] | None,
) -> Graph:
    """Return the connections of a list of layers at a path of the spec; see `connect`."""
    keys = [one.keys if isinstance(one, LayerEntry) else None for one in layers]
    return connect(keys, path, inputs, outputs)


def _name(entry: Layer) -> str | None:
    return entry.keys.name if isinstance(entry, LayerEntry) else None


def _common(integers: Sequence[bool | None]) -> bool | None:
    """Return whether inputs are integers: if all agree, else None."""
    return integers[0] if len(set(integers)) == 1 else None


def _check_count(layer: Layer, shapes: Sequence[Shape], path: str) -> None:
    """Raise `SpecError` for another number of inputs than a layer reads."""
    if len(shapes) == 1 and layer.reads_several(1):
        problem = "needs two inputs or more; name them in 'inputs'"
    elif not layer.joins and len(shapes) > 1:
        problem = f"reads one input, found {len(shapes)}; join them first, by concat or add"
    else:
        return
    raise SpecError([Problem(f"{path}.inputs", problem)])


def _shapes(plan: LayerBuilder) -> dict[str, Shape]:
    """Return the shapes of all arrays that a plan and its nested plans declare, by name."""
    own = {name: param.shape for name, param in (plan.params | plan.state).items()}
    nested = {
        f"{key}/{name}": shape
        for key, (_, child) in plan.children.items()
        for name, shape in _shapes(child).items()
    }
    return own | nested
