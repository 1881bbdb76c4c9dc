"""Kernels compiled by Numba, which is imported when the first of them runs."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.builtin.kernels.numba_images import ImageKernels
from nnreg.interfaces.dense_chain import (
    ChainArrays,
    ChainOutputs,
    ChainSteps,
    ChainTraining,
    DenseChain,
)
from nnreg.interfaces.kernels import ScratchSpace
from nnreg.kernels.numba import loops
from nnreg.kernels.numpy.activations import Backward, Forward
from nnreg.kernels.numpy.recurrent import halved

MAX_COMPILED_LOGITS, COMPILED_CLASSES = 4096, range(32, 1025)
"""Up to this many logits, or for this many classes, a compiled loop over the rows is faster than
NumPy's vectorized exp."""

MAX_MEAN_ROWS = 1024
"""Up to this many rows, a mean in float32 needs no sums in float64."""

COMPILED_STEPS = frozenset({"lstm_steps"})
"""Methods that compute all time steps of a recurrent layer in one call, in float32."""


@dataclass(frozen=True)
class NumbaKernels(ImageKernels):
    """Loops compiled by Numba, each on one core, so that matrix products can use the others.

    NumPy's kernels are used where its vectorized exp and tanh are faster. They need
    `pip install 'nnreg[fast]'`, and are compiled once for each machine, which takes seconds.
    """

    few_calls = True
    min_activated_values = 0

    @classmethod
    def missing(cls) -> str:
        return "" if importlib.util.find_spec("numba") else "Numba; pip install 'nnreg[fast]'"

    @classmethod
    def computes_steps_at_once(cls, method: str, dtype: npt.DTypeLike) -> bool:
        compiled = method in COMPILED_STEPS and dtype == np.float32
        return compiled or super().computes_steps_at_once(method, dtype)

    def chain_steps(
        self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays
    ) -> ChainSteps | None:
        from nnreg.builtin.kernels.numba_chain import compiled_steps  # imports these components

        found = compiled_steps(chain, training, arrays)
        return super().chain_steps(chain, training, arrays) if found is None else found

    def has_threaded_steps(
        self, chain: DenseChain, training: ChainTraining, x: Array, targets: Array
    ) -> bool:
        from nnreg.builtin.kernels.numba_threaded_chain import has_threaded_loops

        found = self.cblas() is not None and has_threaded_loops(chain, training, x, targets)
        return found or super().has_threaded_steps(chain, training, x, targets)

    def threaded_chain_steps(
        self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays, pool: ThreadPool
    ) -> ChainSteps | None:
        from nnreg.builtin.kernels.numba_threaded_chain import ThreadedSteps, has_threaded_loops

        cblas = self.cblas()
        if cblas and has_threaded_loops(chain, training, arrays.x, arrays.targets):
            return ThreadedSteps(chain, training, arrays, pool, cblas)
        return super().threaded_chain_steps(chain, training, arrays, pool)

    def chain_outputs(self, chain: DenseChain, parameters: Array) -> ChainOutputs | None:
        from nnreg.builtin.kernels.numba_chain import compiled_outputs

        return compiled_outputs(chain, parameters) or super().chain_outputs(chain, parameters)

    def add_bias(self, x: Array, bias: Array, scratch: ScratchSpace) -> None:
        if x.ndim != 2:
            super().add_bias(x, bias, scratch)
        else:
            loops("dense").add_bias(x, bias)

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        if bias is None or x.ndim != 2:
            super().relu(x, bias, scratch)
        else:
            loops("dense").bias_relu(x, bias)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        if dbias is None or dy.ndim != 2:
            super().relu_backward(dy, y, dx, dbias, scratch)
        else:
            loops("dense").relu_backward(dy, y, dx, dbias)

    def _activation(self, name: str, dtype: npt.DTypeLike) -> tuple[Forward, Backward]:
        compiled = loops("activations").LOOPS if dtype == np.float32 else {}
        return compiled[name] if name in compiled else super()._activation(name, dtype)

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        if x.dtype != np.float32:
            super().softmax(x, scratch)
        else:
            loops("softmax").softmax(x)

    def softmax_backward(self, dy: Array, y: Array, dx: Array, scratch: ScratchSpace) -> None:
        loops("softmax").softmax_backward(dy, y, dx)

    def softmax_cross_entropy(
        self, z: Array, labels: Array, dz: Array, scratch: ScratchSpace, *, smoothing: float = 0.0
    ) -> float:
        if not _loss_is_compiled(z):
            return super().softmax_cross_entropy(z, labels, dz, scratch, smoothing=smoothing)
        return float(loops("softmax").softmax_cross_entropy(z, labels, dz, smoothing))

    def weighted_softmax_cross_entropy(
        self,
        z: Array,
        labels: Array,
        weights: Array,
        dz: Array,
        scratch: ScratchSpace,
        *,
        smoothing: float = 0.0,
    ) -> float:
        if not _loss_is_compiled(z):
            plain = super().weighted_softmax_cross_entropy
            return plain(z, labels, weights, dz, scratch, smoothing=smoothing)
        loop = loops("softmax").weighted_softmax_cross_entropy
        return float(loop(z, labels, weights, dz, smoothing))

    def layer_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array | None,
        y: Array,
        mean: Array | None,
        scale: Array,
        epsilon: float,
        scratch: ScratchSpace,
    ) -> None:
        beta = _or_zeros(beta, gamma, scratch)
        center, least = _or_zeros(mean, scale, scratch), x.dtype.type(epsilon)
        loops("normalization").layer_norm(x, gamma, beta, y, center, scale, least, mean is not None)

    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array | None,
        scale: Array,
        dx: Array,
        dgamma: Array,
        dbeta: Array | None,
        scratch: ScratchSpace,
    ) -> None:
        dbeta = _or_zeros(dbeta, gamma, scratch)
        center = _or_zeros(mean, scale, scratch)
        loops("normalization").layer_norm_backward(
            dy, x, gamma, center, scale, dx, dgamma, dbeta, mean is not None
        )

    def column_moments(self, x: Array, mean: Array, squares: Array, scratch: ScratchSpace) -> None:
        loops("columns").column_moments(x, mean, squares)

    def normalize_columns(
        self, x: Array, mean: Array, slope: Array, shift: Array, y: Array, scratch: ScratchSpace
    ) -> None:
        loops("columns").normalize_columns(x, mean, slope, shift, y)

    def column_products(
        self, dy: Array, x: Array, mean: Array, total: Array, products: Array, scratch: ScratchSpace
    ) -> None:
        loops("columns").column_products(dy, x, mean, total, products)

    def normalize_columns_backward(
        self,
        dy: Array,
        x: Array,
        mean: Array,
        slope: Array,
        change: Array,
        shift: Array,
        dx: Array,
        scratch: ScratchSpace,
    ) -> None:
        loops("columns").normalize_columns_backward(dy, x, mean, slope, change, shift, dx)

    def adam(
        self,
        parameters: Array,
        gradient: Array,
        m: Array,
        v: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        factors = (beta1, 1 - beta1, beta2, math.sqrt(1 - beta2), epsilon, rate)
        loops("optimizers").adam(parameters, gradient, m, v, *map(float, factors))

    def rms_prop(
        self,
        parameters: Array,
        gradient: Array,
        square: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        rho: float,
        epsilon: float,
    ) -> None:
        factors = (rho, math.sqrt(1 - rho), epsilon, rate)
        loops("optimizers").rms_prop(parameters, gradient, square, *map(float, factors))

    def momentum(
        self,
        parameters: Array,
        gradient: Array,
        velocity: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        momentum: float,
        nesterov: bool,
    ) -> None:
        optimizers = loops("optimizers")
        loop = optimizers.nesterov if nesterov else optimizers.momentum
        loop(parameters, gradient, velocity, float(momentum), float(rate))

    def lstm_steps(
        self,
        weights: Array,
        below: Array,
        states: Array,
        tanh_c: Array,
        cells: Array,
        projection: Array | None,
        scratch: ScratchSpace,
    ) -> None:
        recurrent = loops("recurrent")
        plain = projection is not None or below.dtype != np.float32
        if plain or below.shape[-1] < recurrent.MIN_BATCH:
            super().lstm_steps(weights, below, states, tanh_c, cells, projection, scratch)
        else:
            recurrent.lstm_steps(halved(weights, scratch), below, states, tanh_c)

    def lstm_steps_backward(
        self,
        weights: Array,
        above: Array | None,
        dh: Array,
        dc: Array,
        states: Array,
        tanh_c: Array,
        dgates: Array,
        projection: Array | None,
        dprojection: Array | None,
        scratch: ScratchSpace,
    ) -> int:
        recurrent = loops("recurrent")
        plain = projection is not None or dh.dtype != np.float32
        if plain or dh.shape[1] < recurrent.MIN_BATCH:
            return super().lstm_steps_backward(
                weights, above, dh, dc, states, tanh_c, dgates, projection, dprojection, scratch
            )
        return int(recurrent.backward(weights, above, dh, dc, states, tanh_c, dgates, scratch))

    def steps_gradient(
        self, below: Array, dsums: Array, gradient: Array, scratch: ScratchSpace
    ) -> None:
        if below.dtype != np.float32:
            super().steps_gradient(below, dsums, gradient, scratch)
        else:
            loops("recurrent_gradient").steps_gradient(below, dsums, gradient, scratch)

    def sum_by_index(self, rows: Array, index: Array, out: Array) -> None:
        loops("indexing").sum_by_index(rows, index, out)

    def mean_by_index(self, table: Array, index: Array, y: Array, scratch: ScratchSpace) -> None:
        few = index.size > 0 and index.shape[1] <= MAX_MEAN_ROWS
        if few and index.min() >= 0 and index.max() < len(table):
            loops("indexing").mean_by_index(table, index, y)
        else:
            super().mean_by_index(table, index, y, scratch)  # which refuses wrong indices

    def mean_by_index_backward(
        self, dy: Array, index: Array, dtable: Array, scratch: ScratchSpace
    ) -> None:
        if index.size:
            loops("indexing").mean_by_index_backward(dy, index, dtable)
        else:
            super().mean_by_index_backward(dy, index, dtable, scratch)


def _loss_is_compiled(z: Array) -> bool:
    """Return whether the cross-entropy of these logits is computed by a compiled loop."""
    few = z.size <= MAX_COMPILED_LOGITS or z.shape[1] in COMPILED_CLASSES
    return few and z.dtype == np.float32


def _or_zeros(values: Array | None, like: Array, scratch: ScratchSpace) -> Array:
    """Return an array, or zeros of the shape of another one."""
    if values is None:
        values = scratch.empty(like.shape)
        values.fill(0)
    return values
