"""Networks over flat vectors.

All parameters are one vector, all gradients another, and all buffers a third; layers get named
views of them. An optimizer is then arithmetic on vectors, and a checkpoint a few vectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape, Shapes
from nnreg._utils.threads import ThreadPool, available_threads, blas_threads
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context, Read, Workspace
from nnreg.interfaces.graph import INPUT
from nnreg.interfaces.join import one_output, split_values
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.passes import chain, run_graph
from nnreg.interfaces.returned import Caller
from nnreg.network.block_products import MIN_FLOPS, BlockProducts
from nnreg.network.contexts import Arrays, contexts
from nnreg.network.joined_layers import joined_layers, steps_of, stored_activations
from nnreg.network.parameters import (
    _params,
    _walk,
    belongs_to,
    declared,
    merged_slices,
    nested,
    trained,
    views,
    weight_products,
    zeros_for,
)
from nnreg.network.prediction import MIN_CHUNK_ACTIVATIONS, Passes, chunk_rows
from nnreg.network.time_steps import calls_in_time_steps
from nnreg.ranks.group import ALONE, Ranks
from nnreg.tables.lazy import iter_chunks
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.padded import Padded

INITIAL_STREAM = 0
"""The random stream of initial values: parameter i draws from SeedSequence([seed, stream, i])."""

Wrap: TypeAlias = Callable[[Array], Array]


class NamedOutput(NamedTuple):
    """One of several outputs: its shape, and the activation that its loss is computed without."""

    shape: Shape
    activation: Activation | None


class Network:
    """A plan whose children are the layers, with the values of their parameters and buffers.

    `output_activation`, if any, is the last activation, which is not part of the layers because the
    loss is computed from its input. Of several outputs, `named_outputs` has the activation of each;
    their values side by side are its `output_shape` and the scores that `forward` returns. The
    layers named in `frozen`, and those nested in them, are in inference mode during training, and
    get no gradient. If it is `reproducible`, predictions do not depend on the number of threads, of
    which at most `threads` are used.
    """

    members = 1
    """The number of networks of this plan, more in an ensemble."""

    def __init__(
        self,
        plan: LayerBuilder,
        input_shape: Shapes,
        output_shape: Shape,
        *,
        output_activation: Activation | None = None,
        named_outputs: Mapping[str, NamedOutput] | None = None,
        dtype: npt.DTypeLike = np.float32,
        kernels: Kernels | None = None,
        frozen: Collection[str] = (),
        reproducible: bool = False,
        threads: int | None = None,
    ) -> None:
        self.plan = plan
        self.layers: Mapping[str, Layer] = {name: pair[0] for name, pair in plan.children.items()}
        """The top layers by name: `layers/0`, `layers/1`, …"""
        self.joined = joined_layers(plan)
        """The functions that compute a layer and the next one, by its name."""
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.output_activation = output_activation
        self.named_outputs = named_outputs or {}
        self.masked = frozenset(plan.masked)
        """The names of the inputs that are `Padded`; that of the only one is "input"."""
        self.dtype = np.dtype(dtype)
        self.kernels = kernels or Kernels()
        self.reproducible, self.threads = reproducible, threads
        self.params, self.state_params = declared(plan)
        self._frozen_layers = frozenset(frozen)
        self.frozen = frozenset(n for n in self.params if belongs_to(n, self._frozen_layers))
        """The names of the parameters that are not trained."""
        self._learning = {
            name
            for name, (_, child) in plan.children.items()
            if any(param not in self.frozen for param, _ in _walk(child, _params, f"{name}/"))
        }
        arrays = self.params, self.state_params
        self._set_values(*(zeros_for(params, self.dtype) for params in arrays))

    @property
    def integer_input(self) -> bool:
        """Whether the input is integers, which a layer takes."""
        return self.plan.integer is True

    @property
    def output_masks(self) -> dict[str, str | None]:
        """The input whose lengths hold for each output, by its name; None if it has no mask."""
        masks = [child.output_mask for _, child in self.plan.children.values()]
        named = {name: masks[read.value - 1] for name, read in self.plan.output_reads.items()}
        return named or {"": masks[-1]}

    def input_dtype(self, name: str | None = None) -> npt.DTypeLike:
        """Return the type of the input, or of one of several."""
        integer = self.integer_input if name is None else name in self.plan.integers
        return np.int64 if integer else self.dtype

    @property
    def scores_shape(self) -> Shape:
        """The shape of what `forward` returns for an example."""
        return self.output_shape

    def member(self, index: int) -> Network:
        """Return a member of an ensemble, over the same values: of a single network, itself."""
        return self

    def stack(self, vector: Array) -> Mapping[str, Array]:
        """Return the arrays of a vector of parameters; of an ensemble, those of all members."""
        return views(vector, self.params)

    def names_of(self, name: str) -> list[str]:
        """Return the names in all members of what has this name in one."""
        return [name]

    def parts(self, context: Context) -> list[tuple[str, Network, Context]]:
        """Return each member with the prefix of its names and its context: here the network."""
        return [("", self, context)]

    def check_input(self, x: Array | Padded | NamedArrays) -> None:
        """Raise `DataError` for values that the first layer does not accept.

        Integers are checked by each layer that they reach.
        """
        root = self._inference_context()
        x = self.unmask(x, root)
        unchanged = {Read(0): cast(Array, x)}
        if isinstance(x, NamedArrays):
            unchanged = {Read(0, name): array for name, array in x.arrays.items()}
        steps = zip(self.layers.values(), root.children.values(), strict=True)
        for index, (layer, context) in enumerate(steps):
            read = Read(index) if context.node is None else context.node.inputs[0]
            if layer.joins or read not in unchanged:
                continue
            layer.check_input(unchanged[read])
            if layer.keeps_integers and not layer.integer_input:
                unchanged[Read(index + 1)] = layer.forward(unchanged[read], context)[0]

    @property
    def trainable_slices(self) -> list[slice]:
        """The slices of the vector that are not frozen, in order, with adjacent ones merged."""
        return merged_slices(self.params, self.frozen)

    def with_values(self, vector: Array, state_vector: Array) -> Network:
        """Return the same network with other values, which are not copied."""
        other = object.__new__(type(self))
        vars(other).update(self.__getstate__())
        other._set_values(vector, state_vector)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy the vectors, and not their views."""
        views_of_them = ("parameters", "state", "_inference", "_passes")
        return {name: value for name, value in vars(self).items() if name not in views_of_them}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_values(self.vector, self.state_vector)

    def _set_values(self, vector: Array, state_vector: Array) -> None:
        """Use these vectors, which are not copied."""
        self.vector, self.state_vector = vector, state_vector
        self.parameters = views(vector, self.params)
        self.state = views(state_vector, self.state_params)
        self._inference, self._passes = self.context(self.workspace(reuse=False)), Passes()

    def workspace(self, *, reuse: bool) -> Workspace:
        """Return a workspace for passes through this network."""
        workspace = Workspace(self.dtype, reuse=reuse, kernels=self.kernels)
        if workspace.dot is np.dot:
            workspace.dot = np.ndarray.dot  # faster, for arrays of NumPy alone
        return workspace

    def largest_product(self, batch_size: int) -> float:
        """Return the floating-point operations of the largest product with weights, forward."""
        return max((flops for flops, _ in self.products(batch_size)), default=0.0)

    def products(self, batch_size: int) -> Iterator[tuple[float, bool]]:
        """Yield the operations of each product, and whether `Workspace.dot` computes it."""
        for multiplications, divisible in weight_products(self.plan):
            yield 2.0 * batch_size * multiplications, divisible

    @property
    def independent(self) -> bool:
        """Whether the output of each example depends on that example alone."""
        return all(layer.independent for layer, _ in nested(self.plan))

    def untrainable_on(self, rows: int) -> tuple[str, int] | None:
        """Return the spec path of a layer that needs more rows than this in a training batch.

        Also returns how many it needs. None if there is no such layer.
        """
        plans = trained(self.plan, self._frozen_layers)
        needed = ((plan.path, plan.min_training_rows) for plan in plans)
        return next((pair for pair in needed if pair[1] > rows), None)

    @property
    def activations_per_example(self) -> int:
        """The number of activations of one example in all layers."""
        return sum(plan.activations for _, plan in nested(self.plan))

    def initialize(self, seed: int) -> None:
        """Initialize every array, each from its own random stream."""
        for arrays, params in ((self.parameters, self.params), (self.state, self.state_params)):
            for index, (name, param) in enumerate(params.items()):
                stream = np.random.SeedSequence([seed, INITIAL_STREAM, index])
                rng = np.random.default_rng(stream)
                caller = Caller(param.initializer, f"the initial values of {name!r}")
                drawn = caller.call("draw", param.shape, rng)
                if np.shape(drawn) != param.shape or np.asarray(drawn).dtype.kind not in "biuf":
                    drawn = caller.array("draw", drawn, param.shape, np.float64)
                arrays[name][...] = drawn

    def context(
        self,
        workspace: Workspace,
        gradient: Array | None = None,
        *,
        training: bool = False,
        wrap: Wrap | None = None,
        input_gradient: bool = False,
    ) -> Context:
        """Return the context of passes through the layers.

        `gradient` is the vector that backward fills; without it, only forward may run. Its values
        of frozen parameters are not changed. `wrap` converts each view to the array type of another
        library. With `input_gradient`, the gradient of the network's input is computed too.
        """
        gradients: dict[str, Array] = {} if gradient is None else views(gradient, self.params)
        if gradient is not None:
            gradients |= {name: np.zeros_like(gradients[name]) for name in self.frozen}
        arrays: list[Mapping[str, Array]] = [
            {name: wrap(view) for name, view in group.items()} if wrap else group
            for group in (self.parameters, gradients, self.state)
        ]
        return self.root((arrays[0], arrays[1], arrays[2]), workspace, training, input_gradient)

    def root(
        self, arrays: Arrays, workspace: Workspace, training: bool, input_gradient: bool
    ) -> Context:
        """Return the context of passes with these arrays."""
        frozen = self._frozen_layers if training else None
        root = contexts(self.plan, "", arrays, workspace, frozen)
        needed = [input_gradient]
        for index, (name, child) in enumerate(root.children.items()):
            read = (Read(index),) if child.node is None else child.node.inputs
            child.needs_input_gradient = any(needed[one.value] for one in read)
            owner = self.plan.children[name][1].owner or name
            needed.append(child.needs_input_gradient or owner in self._learning)
        return root

    def forward(self, x: Any, context: Context) -> tuple[Array, LayerBackward]:
        """Run all layers without the output activation; `x` is `(batch, *input_shape)`.

        Several inputs are given by name, those with a mask as `Padded`.
        """
        if self.masked:
            x = self.unmask(x, context)
        if self.named_outputs:
            contexts = list(context.children.values())
            y, backward = one_output(run_graph(contexts, x, self.plan.output_reads))
            return y, backward
        return chain(steps_of(self, context.children), x)

    def unmask(self, x: Any, context: Context) -> Any:
        """Return the inputs of a pass as arrays, and set its masks."""
        if not self.masked:
            return x
        if isinstance(x, Padded):
            context.workspace.masks = {INPUT: x.mask}
            return x.values
        context.workspace.masks = {name: x[name].mask for name in self.masked}
        return x.each(lambda one: one.values if isinstance(one, Padded) else one)

    def _inference_context(self) -> Context:
        """Return a context that several threads may use: with masks, one for each call."""
        if not self.masked and self._inference.workspace.kernels is self.kernels:
            return self._inference
        context = self._inference = self.context(self.workspace(reuse=False))
        return context

    def split(self, z: Array) -> NamedArrays:
        """Return the scores of several outputs by name."""
        parts = split_values(z, [one.shape for one in self.named_outputs.values()])
        return NamedArrays(dict(zip(self.named_outputs, parts, strict=True)))

    def outputs(self, z: Array, *, overwrite: bool = False) -> Any:
        """Apply the output activation to the result of `forward`; several outputs are by name.

        With `overwrite`, the result may be in the memory of `z`.
        """
        if self.named_outputs:
            return NamedArrays({
                name: y if (last := self.named_outputs[name].activation) is None
                else last.forward(np.ascontiguousarray(y))[0]
                for name, y in self.split(z).arrays.items()
            })  # fmt: skip
        last = self.output_activation
        if last is None:
            return z
        if overwrite:
            return last.forward_inplace(z, self._inference_context())[0]
        return last.forward(z)[0]

    def logits(self, x: Inputs, *, reproducible: bool | None = None, ranks: Ranks = ALONE) -> Array:
        """Return the outputs for `x` before the output activation. Thread-safe.

        Threads and ranks share chunks of rows. If they are to be `reproducible`, by default if the
        network is, threads share blocks of the products of a single chunk, and the BLAS must be
        limited to one. Otherwise the threads of the BLAS share these.
        """
        reproducible = self.reproducible if reproducible is None else reproducible
        rows = chunk_rows(stored_activations(self), len(x))
        if isinstance(x, np.ndarray) and len(x) <= rows:
            return self._in_one_pass(x, reproducible)
        with closing(iter_chunks(x, rows)) as chunks:
            first = next(chunks)
            if len(first) == len(x):
                return self._in_one_pass(first, reproducible)
            y = np.empty((len(x), *self.scores_shape), self.dtype)
            threads = ranks.threads(self._threads) if self._shares(rows) else 1
            with blas_threads(1 if threads > 1 else None):
                if ranks.size > 1:
                    self._passes.write_together(self, y, x, len(first), threads, ranks)
                else:
                    self._passes.write(self, y, itertools.chain([first], chunks), threads)
            return y

    def _in_one_pass(self, x: Any, reproducible: bool) -> Array:
        """Return the outputs for rows that are a single chunk."""
        if not reproducible or self.largest_product(len(x)) < MIN_FLOPS:
            return self.forward(x, self._inference_context())[0]
        pool, workspace = ThreadPool(self._threads), self.workspace(reuse=False)
        workspace.dot, workspace.divides_products = BlockProducts(pool, pool.count).dot, True
        with pool.open():
            return self.forward(x, self.context(workspace))[0]

    @property
    def _threads(self) -> int:
        return self.threads or available_threads()

    def _shares(self, rows: int) -> bool:
        """Return whether threads speed up passes of this number of rows."""
        if calls_in_time_steps(self.plan, self.kernels, self.dtype):
            return False
        return rows * self.activations_per_example >= MIN_CHUNK_ACTIVATIONS

    def reused_context(self) -> Context:
        """Return a context of passes in inference mode, with arrays that are used again."""
        return self.context(self.workspace(reuse=True))

    def blas_threads(self) -> AbstractContextManager[Any]:
        """Limit the threads of BLAS to one if results must not depend on their number."""
        return blas_threads(1 if self.reproducible else None)

    @np.errstate(over="ignore", invalid="ignore")  # weights may be huge after few steps
    def predict(self, x: Inputs) -> Any:
        """Return the outputs `(batch, *output_shape)`, or several by name."""
        with self.blas_threads():
            z = self.logits(x)
            return self.outputs(z, overwrite=z is not x and z.base is None)
