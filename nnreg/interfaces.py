"""What a plugin author subclasses, and what the methods are handed.

A component is a frozen dataclass: its fields are its options in a spec, their annotations are
the schema, its docstring is the reference page. It holds no arrays, so one instance may serve
any number of networks and threads. Array shapes are written `(batch, features)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from nnreg.component import Array as Array
from nnreg.component import Component as Component
from nnreg.component import Configurable as Configurable
from nnreg.component import Shape as Shape
from nnreg.errors import NnregError, Problem, ShapeError, SpecError
from nnreg.formula import derivative
from nnreg.kernels import Kernels
from nnreg.stored import AnyColumn, Stored

Backward: TypeAlias = Callable[[Array], Array]
BiasedBackward: TypeAlias = Callable[[Array, Array | None], Array]
LayerBackward: TypeAlias = Callable[[Array], Array | None]

NonNegative: TypeAlias = Annotated[float, Ge(0)]
Positive: TypeAlias = Annotated[float, Gt(0)]
Count: TypeAlias = Annotated[int, Gt(0)]
Units: TypeAlias = Count | Literal["classes"]
"""A number of outputs, or `"classes"`: as many as the target has classes."""


class Activation(Component):
    """A function of one array, elementwise or over its last axis.

    Give `formula` alone, where it is elementwise, and the derivative is found from it: exactly by
    complex steps where the formula takes complex numbers, otherwise by central differences. Give
    `forward` instead to say the derivative yourself, which is faster.
    """

    kind = "activation"
    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds of every output. A loss of probabilities asks for outputs within (0, 1)."""

    def formula(self, x: Array) -> Array:
        """Return `y`, each value of which depends on the same value of `x` only."""
        raise NotImplementedError

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Return `y` and the function that turns ∂loss/∂y into ∂loss/∂x; leave `x` as it is."""

        def backward(dy: Array) -> Array:
            slope: Array = derivative(self)(x).astype(dy.dtype)
            return dy * slope

        return self.formula(x), backward

    def forward_buffered(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Do the same where `x` is scratch: it may be overwritten and even be the `y` returned.

        Override it to save arrays; the results must be the same.
        """
        return self.forward(x)

    def forward_biased(
        self, x: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasedBackward]:
        """Do the same for x + bias, where `x` is scratch `(rows, features)`.

        The function returned takes ∂loss/∂y and an array for ∂loss/∂bias, and returns ∂loss/∂x.
        Dense layers call this one. Override it where a kernel does the steps at once.
        """
        if bias is not None:
            context.kernels.add_bias(x, bias, context.workspace)
        y, undo = self.forward_buffered(x, context)

        def backward(dy: Array, dbias: Array | None) -> Array:
            dx = undo(dy)
            if dbias is not None:
                context.kernels.sum_rows(dx, dbias, context.workspace)
            return dx

        return y, backward


class Initializer(Component):
    """The first values of a parameter."""

    kind = "initializer"

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Return a float64 array of this shape, drawn from `rng` only.

        Weights are `(..., inputs, outputs)`: see `fans`.
        """
        raise NotImplementedError


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs feed one output and how many outputs one input feeds."""
    receptive = math.prod(shape[:-2])
    fan_in = shape[-2] if len(shape) > 1 else shape[0] if shape else 1
    fan_out = shape[-1] if shape else 1
    return receptive * fan_in, receptive * fan_out


class Layer(Component):
    """A step of the network, with or without parameters."""

    kind = "layer"
    integer_input: ClassVar[bool] = False
    """Whether the input is integers, such as the indices of words; never scaled then."""
    independent: ClassVar[bool] = False
    """Whether what an example becomes depends on nothing but itself, and no state is kept, so that
    threads may divide a batch. Nested layers answer for themselves."""

    def build(self, shape: Shape, plan: Plan) -> Shape:
        """Declare on `plan` what inputs of `shape` (without the batch) need.

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


class Loss(Component):
    """How wrong the outputs are, as a mean over the batch and the outputs.

    Examples are independent: the loss of a batch is the mean over those of its rows, so that each
    may be given a weight.
    """

    kind = "loss"
    takes_labels: ClassVar[bool] = False
    """Whether targets may be class numbers of shape `(batch,)` instead of one-hot rows."""
    of_classes: ClassVar[bool] = False
    """Whether a single column of targets is read as classes even when it holds numbers."""
    domain: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds that the outputs must lie within."""
    link: ClassVar[type[Activation] | None] = None
    """The last activation with which this loss is computed as one, from the logits."""

    def forward(self, y: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Return the loss of outputs `y` against targets `t`, and a function giving ∂loss/∂y."""
        raise NotImplementedError

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Do the same for `y = link(z)`, giving ∂loss/∂z; called when `link` is the last step."""
        raise NotImplementedError

    def forward_buffered(
        self, y: Array, t: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Do either, free to take arrays from `context`. The trainer calls this one."""
        return self.forward_logits(y, t) if logits else self.forward(y, t)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        """Return the loss of each example alone, `(batch,)`; called where examples have weights.

        Override it to save a call for each example.
        """
        forward = self.forward_logits if logits else self.forward
        rows = [slice(row, row + 1) for row in range(len(y))]
        return np.array([forward(y[row], t[row])[0] for row in rows])


@dataclass(frozen=True)
class Optimizer(Component):
    """How a gradient changes the parameters."""

    kind = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()
    """The vectors remembered from step to step, zero at first, each as long as the parameters."""
    elementwise: ClassVar[bool] = False
    """Whether each parameter's update depends on nothing but its own values, so that the vectors
    may be handed over in pieces that fit the processor's cache."""

    learning_rate: Annotated[float, Gt(0)] = 0.01

    def update(self, parameters: Array, gradient: Array, step: Step) -> None:
        """Change `parameters` in place; `gradient` is read only. Both are vectors."""
        raise NotImplementedError


class Schedule(Component):
    """How the learning rate changes in the course of a training."""

    kind = "schedule"
    by_epoch: ClassVar[bool] = False
    """Whether the factor stays the same throughout an epoch, and need be asked for only once."""

    def watches(self) -> str | None:
        """Return the figure of the history that it goes by, such as `val_loss`; None for none."""
        return None

    def factor(self, moment: Moment) -> float:
        """Return what the optimizer's learning rate is multiplied by, 0 or more.

        It depends on the moment and nothing else, so that a training that was stopped goes on with
        the same bits.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a training stands when a step is about to be made.

    `step` counts the steps before it, `total` those of the whole training as planned, and
    `steps_per_epoch` those of an epoch; it is below `total`. `history` has the records of the
    epochs that are done, and `rising` the names of the figures that are better when higher.
    """

    step: int
    total: int
    steps_per_epoch: int
    history: Sequence[Mapping[str, float]] = ()
    rising: frozenset[str] = frozenset()

    @property
    def epoch(self) -> float:
        """The epochs before it, with the part that is done of the one under way."""
        return self.step / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The share of the training that is done, from 0 to below 1."""
        return self.step / self.total

    def figures(self, name: str) -> list[float]:
        """Return a figure of each epoch that has it, its sign such that lower is better."""
        sign = -1 if name in self.rising else 1
        return [sign * record[name] for record in self.history if name in record]


class Metric(Component):
    """A figure of merit over a whole set of examples."""

    kind = "metric"
    of_classes: ClassVar[bool] = False
    """Whether it compares classes; otherwise it compares numbers."""
    higher_is_better: ClassVar[bool] = True

    def compute(self, y: Array, t: Array) -> float:
        """Compare predictions `y` with targets `t`.

        Of classes, both are class numbers `(examples, ...)`; otherwise numbers of equal shape.
        """
        raise NotImplementedError


class Source(Component):
    """A format of data files."""

    kind = "source"
    suffixes: ClassVar[tuple[str, ...]] = ()
    """How the names of its files end, in small letters, by which `nnreg init` knows them; "/" for
    folders."""

    def read(self, path: Path) -> Table:
        """Return the columns in the file. Raises `DataError` for a file it cannot read."""
        raise NotImplementedError

    def pieces(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        """Yield the rows in order, a piece at a time, so that no more need be in memory.

        All pieces have the same columns; those named in `text` are words though they look like
        numbers, so that "007" is not 7. Without an own way there is one piece, what `read` returns.
        """
        yield self.read(path)

    def files(self, path: Path) -> Sequence[Path]:
        """Return the files that are read for a path, in an order that is always the same."""
        return (path,)


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    A column is an array of numbers `(rows, ...)`, or of objects `(rows,)` that are text or, where
    the value is missing, None; or of text in NumPy's `StringDType`; or a `Categorical`. Numbers may
    also be left in their file, as `Stored`. `lines` has the lines of a file of text, by the row's
    number, or `names` what the rows are called, such as the file of each image; `rows` has the
    number of each row where not all are there. `share` is how much of the file has been read when
    a piece ends, from 0 to 1.
    """

    columns: Mapping[str, AnyColumn]
    origin: str = "the data"
    lines: Sequence[int] | Array | None = None
    rows: Array | None = None
    share: float = 1.0
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def place(self, row: int, column: str) -> str:
        """Say where a value is, for an error message."""
        return f"{self.origin}, {self.where(row)}, column {column!r}"

    def where(self, row: int) -> str:
        """Say where a row is in the file: `line 3` of text, its name, or else `row 1`."""
        number = row if self.rows is None else self.rows[row]
        if self.names is not None:
            return self.names[number]
        return f"row {number}" if self.lines is None else f"line {self.lines[number]}"

    def part(self, rows: slice) -> Table:
        """Return a stretch of the rows, without a copy of what is in memory."""
        return self._select(rows, np.arange(*rows.indices(len(self))))

    def take(self, rows: Array) -> Table:
        """Return the table of these rows only, in ascending order."""
        return self._select(rows, rows)

    def _select(self, rows: Array | slice, numbers: Array) -> Table:
        columns = {
            name: column.select(numbers) if isinstance(column, Stored) else column[rows]
            for name, column in self.columns.items()
        }
        numbers = numbers if self.rows is None else self.rows[numbers]
        return replace(self, columns=columns, rows=numbers)


@dataclass(frozen=True)
class Param:
    """An array that a layer declared: its shape, its first values, whether L1/L2 apply to it."""

    shape: Shape
    initializer: Initializer
    regularized: bool = False


@dataclass
class Plan:
    """What a layer declares in `build`: its arrays and the layers nested in it.

    `path` is the layer's place in the spec; `classes` how many classes the target has; `input` the
    shape of what the layer takes, and `output` of what it gives, once it is built. A layer that
    makes many more values of an example on the way may say in `hidden` how many, and one that goes
    through time in `steps` in how many steps: threads are planned by them.
    """

    path: str
    classes: int | None = None
    input: Shape = ()
    output: Shape = ()
    hidden: int = 0
    steps: int = 1
    params: dict[str, Param] = field(default_factory=dict)
    state: dict[str, Param] = field(default_factory=dict)
    children: dict[str, tuple[Layer, Plan]] = field(default_factory=dict)

    def param(
        self, name: str, shape: Shape, initializer: Initializer, *, regularized: bool = False
    ) -> None:
        """Declare an array to be trained; `regularized` for weights, not for biases."""
        self.params[name] = Param(shape, initializer, regularized)

    def untrained(self, name: str, shape: Shape, initializer: Initializer) -> None:
        """Declare an array that the layer keeps up to date itself, such as a running mean."""
        self.state[name] = Param(shape, initializer)

    def layer(self, name: str, layer: Layer, shape: Shape) -> Shape:
        """Build a nested layer, named as in `layers/0`, and return the shape of its output."""
        where = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split("/"))
        plan = Plan(self.path + where, self.classes)
        try:
            output = layer.build(shape, plan)
        except ShapeError as error:
            raise SpecError([Problem(plan.path, str(error))]) from error
        except NnregError:
            raise
        except Exception as error:
            problem = f"{type(layer).__name__} failed on input shape {shape}: {error!r}"
            raise SpecError([Problem(plan.path, problem)]) from error
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


class Workspace:
    """The arrays of one pass through a network, and its random stream.

    With `reuse`, each pass gets the arrays of the pass before, in the order it asks for them, so
    that a steady training loop allocates nothing.
    """

    def __init__(
        self, dtype: npt.DTypeLike, *, reuse: bool, kernels: Kernels | None = None
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.kernels = kernels or Kernels()
        self.rng: np.random.Generator | None = None
        self._buffers: dict[Any, Array] | None = {} if reuse else None
        self._asked = 0
        self._ones: dict[int, Array] = {}

    def rewind(self) -> None:
        """Begin a pass: hand out the same arrays again."""
        self._asked = 0

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array whose values are arbitrary."""
        if self._buffers is None:
            return self.allocate(shape, dtype)
        self._asked += 1
        key = (self._asked, shape, dtype)
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = self.allocate(shape, dtype)
        return buffer

    def ones(self, count: int) -> Array:
        """Return a vector of ones, which nobody may write to."""
        vector = self._ones.get(count)
        if vector is None:
            vector = self.allocate((count,), None)
            vector[...] = 1
            if self._buffers is not None:
                self._ones[count] = vector
        return vector

    def allocate(self, shape: Shape, dtype: npt.DTypeLike | None) -> Array:
        """Make a new array. Another array library overrides this."""
        return np.empty(shape, self.dtype if dtype is None else dtype)


@dataclass(slots=True)
class Context:
    """What a layer works with during one pass: views of its own arrays, and nothing else's."""

    params: Mapping[str, Array]
    gradients: Mapping[str, Array]
    state: Mapping[str, Array]
    children: Mapping[str, Context]
    workspace: Workspace
    training: bool = False
    needs_input_gradient: bool = True

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array of arbitrary values, good until the next pass."""
        return self.workspace.empty(shape, dtype)

    @property
    def kernels(self) -> Kernels:
        """The inner loops, NumPy's or compiled ones."""
        return self.workspace.kernels

    @property
    def rng(self) -> np.random.Generator:
        """The random stream of this epoch of training."""
        if self.workspace.rng is None:
            raise RuntimeError("this pass has no random stream: only training draws numbers")
        return self.workspace.rng


def chain(steps: Iterable[tuple[Layer, Context]], x: Array) -> tuple[Array, LayerBackward]:
    """Run layers one after the other; the backward functions run in the opposite order.

    It ends early, with None, where the gradient of a layer's input is not needed.
    """
    undo = []
    for layer, context in steps:
        x, backward_layer = layer.forward(x, context)
        undo.append((backward_layer, context))

    def backward(dy: Array) -> Array | None:
        gradient: Array | None = dy
        for step, context in reversed(undo):
            if gradient is None:
                return None
            gradient = step(gradient)
            if not context.needs_input_gradient:
                return None
        return gradient

    return x, backward


@dataclass(slots=True)
class Step:
    """What an optimizer knows of the step it makes: the count from 1, and its slots."""

    count: int
    slots: Mapping[str, Array]
    workspace: Workspace

    @property
    def kernels(self) -> Kernels:
        """The inner loops, NumPy's or compiled ones."""
        return self.workspace.kernels

    def empty(self, like: Array) -> Array:
        """Return scratch of the size of `like`."""
        return self.workspace.empty(like.shape)


class RunView(Protocol):
    """What an event hook sees of a run. Only look: the arrays are those that are being trained."""

    @property
    def name(self) -> str:
        """The folder's name, such as `penguins-001`, or else the spec's, such as `penguins`.

        A fold of a cross-validation is `penguins-001/fold-2`.
        """

    @property
    def folder(self) -> Path | None:
        """Where the run's files are; None for a run in Python that writes none.

        A plugin keeps its own files in a folder of its own in it.
        """

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as JSON, with the changes of `--set`."""

    @property
    def settings(self) -> Mapping[str, str | float | bool | None]:
        """The values in the spec by their paths, such as `optimizer.learning_rate`."""

    @property
    def model(self) -> Any:
        """The `nnreg.Model`: `parameters`, `state`, `history`, `spec`, `classes`, `summary()`."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What `summary.json` has; empty until the run ended."""
