"""Training steps of a chain of dense layers in plain NumPy: what those of kernels must compute."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.denormals import zero_tiny
from nnreg._utils.statistics import norm
from nnreg._utils.threads import ThreadPool, blas_threads
from nnreg.builtin.activations import Identity, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nnreg.builtin.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from nnreg.builtin.optimizers import Adam, AdamW, RmsProp, Sgd
from nnreg.interfaces.activation import Activation, Backward
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.dense_chain import (
    ChainArrays,
    ChainLayer,
    ChainSteps,
    ChainTraining,
    DenseChain,
)
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.optimizer import Optimizer, UpdateState
from nnreg.testing.assertions import close

ROWS, BATCH = 11, 4

Case: TypeAlias = tuple[Activation, Loss, Optimizer, Mapping[str, Any]]
"""Activation, loss, optimizer and settings of a chain."""


@dataclass(frozen=True)
class ChainKernels(Kernels):
    """NumPy's kernels with the steps of a chain, which are as slow as layers."""

    def chain_steps(
        self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays
    ) -> ChainSteps | None:
        """Return steps for any chain."""
        return _Steps(chain, training, arrays)


def views_of(vector: Array, layer: ChainLayer) -> tuple[Array, Array | None]:
    """Return the weight and the bias of a layer in a vector of all parameters."""
    end = layer.weight + layer.features * layer.units
    weight = vector[layer.weight : end].reshape(layer.features, layer.units)
    return weight, None if layer.bias is None else vector[layer.bias : layer.bias + layer.units]


class _Steps:
    def __init__(self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays) -> None:
        self._layers, self._training, self._arrays = chain.layers, training, arrays

    def __call__(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        batch, numbers = self._training.batch_size, iter(draws)
        for step, start in enumerate(range(0, len(order), batch)):
            rows = order[start : start + batch]
            z, backwards = self._forward(rows, numbers)
            if scores.size:
                scores[start : start + batch] = z
            losses[step], dz = self._loss(z, rows)
            if not np.isfinite(losses[step]):
                return step
            self._backward(dz, backwards)
            self._update(rates[step], count + step)
        return len(losses)

    def _forward(
        self, rows: Array, numbers: Iterator[float]
    ) -> tuple[Array, list[tuple[Array, Backward, Array]]]:
        y, backwards = self._arrays.x[rows], []
        for layer in self._layers:
            weight, bias = views_of(self._arrays.parameters, layer)
            x, z = y, y @ weight
            y, backward = layer.activation.forward(z if bias is None else z + bias)
            factors = np.ones_like(y)
            if layer.dropout:
                drawn = np.array([next(numbers) for _ in range(y.size)]).reshape(y.shape)
                factors = (drawn >= layer.dropout) / y.dtype.type(1 - layer.dropout)
            y = (y * factors).astype(z.dtype)
            backwards.append((x, backward, factors))
        return y, backwards

    def _loss(self, z: Array, rows: Array) -> tuple[float, Array]:
        loss, targets, weights = (
            self._training.loss,
            self._arrays.targets[rows],
            self._arrays.weights,
        )
        forward = loss.forward_logits if self._training.logits else loss.forward
        value, gradient = forward(z, targets)
        if weights is None:
            return float(value), gradient()
        each = loss.per_example(z, targets, logits=self._training.logits)
        return float(np.mean(weights[rows] * each)), gradient() * weights[rows, None]

    def _backward(self, dy: Array, backwards: list[tuple[Array, Backward, Array]]) -> None:
        for layer, (x, backward, factors) in zip(
            reversed(self._layers), reversed(backwards), strict=True
        ):
            dz = backward(dy * factors)
            weight, bias = views_of(self._arrays.gradient, layer)
            weight[...] = x.T @ dz
            if bias is not None:
                bias[...] = dz.sum(axis=0)
            dy = dz @ views_of(self._arrays.parameters, layer)[0].T

    def _update(self, rate: float, count: int) -> None:
        training, arrays = self._training, self._arrays
        p, g = arrays.parameters, arrays.gradient
        for layer in self._layers:
            weight, slope = views_of(p, layer)[0], views_of(g, layer)[0]
            slope += 2 * training.l2 * weight + training.l1 * np.sign(weight)
        if training.clip_norm is not None:
            g *= min(1.0, training.clip_norm / max(norm(g), 1e-30))
        if training.clip_value is not None:
            np.clip(g, -training.clip_value, training.clip_value, out=g)
        for layer in self._layers:
            weight = views_of(p, layer)[0]
            weight *= 1 - rate * training.weight_decay
        state = UpdateState(count, arrays.state, Workspace(p.dtype, reuse=False))
        training.optimizer.with_learning_rate(float(rate)).update(p, g, state)
        if count % training.cleared_every == 0:
            for vector in arrays.state.values():
                zero_tiny(vector, np.empty_like(vector))


def _chain(activation: Activation, units: int) -> DenseChain:
    layers = (
        ChainLayer(3, 5, 0, 15, activation, 0.3),
        ChainLayer(5, 7, 20, None, activation),
        ChainLayer(7, units, 55, 55 + 7 * units, Identity()),
    )
    return DenseChain(layers, None, 55 + 8 * units)


CASES: Mapping[str, Case] = {
    "tanh, cross-entropy, Adam": (Tanh(), CrossEntropy(0.1), Adam(0.1), {}),
    "sigmoid, binary cross-entropy, RMSProp": (Sigmoid(), BinaryCrossEntropy(), RmsProp(0.1), {}),
    "relu, squared error, momentum": (
        Relu(), MeanSquaredError(), Sgd(0.1, 0.9), {"l1": 0.1, "l2": 0.1, "clip_norm": 0.5}
    ),
    "leaky relu, cross-entropy, AdamW": (
        LeakyRelu(0.2), CrossEntropy(), AdamW(0.1), {"weight_decay": 0.5, "clip_value": 0.01}
    ),
}  # fmt: skip


def compare_chains(kernels: Kernels, dtype: npt.DTypeLike, tolerance: float) -> None:
    """Require the losses, scores and vectors of steps in plain NumPy, whatever their number."""
    for (name, case), threads in itertools.product(CASES.items(), (None, 1, 3)):
        shared = "" if threads is None else f", shared by {threads} threads,"
        what = f"of steps of a chain ({name}){shared} in {np.dtype(dtype)}"
        expected = _made(ChainKernels(), case, dtype, 3)
        found = _made(kernels, case, dtype, 3, threads)
        if expected is None or found is None:
            continue
        for key, values in expected.items():
            close(kernels, f"the {key} {what}", found[key], values, tolerance)
        single = _made(kernels, case, dtype, 1, threads) or {}
        for key, values in found.items():
            if single[key].tobytes() != values.tobytes():
                raise AssertionError(
                    f"{kernels}: the {key} {what} made one by one have other bits than together"
                )


def compare_outputs(kernels: Kernels, dtype: npt.DTypeLike, tolerance: float) -> None:
    """Require the outputs of a chain in plain NumPy, and none where a value is not finite."""
    rng = np.random.default_rng(0)
    for activation, last in ((Relu(), Softmax()), (Tanh(), None), (LeakyRelu(0.2), Sigmoid())):
        chain = replace(_chain(activation, 4), output_activation=last)
        x, parameters = rng.normal(size=(3, 3)).astype(dtype), rng.normal(size=chain.size)
        parameters = parameters.astype(dtype)
        outputs = kernels.chain_outputs(chain, parameters)
        if outputs is None:
            continue
        expected = x
        for layer in chain.layers:
            weight, bias = views_of(parameters, layer)
            z = expected @ weight
            expected = layer.activation.forward(z if bias is None else z + bias)[0]
        expected = expected if last is None else last.forward(expected)[0]
        what = f"the outputs of a chain with {activation} and {last} in {np.dtype(dtype)}"
        for rows in (1, 3):
            found = outputs(x[:rows])
            if found is None:
                raise AssertionError(f"{kernels}: {what} are None, though all is finite")
            close(kernels, what, found, expected[:rows], tolerance)
        x[2, 1] = np.nan
        if outputs(x) is not None:
            raise AssertionError(f"{kernels}: {what} are not None, though an input is NaN")


def _made(
    kernels: Kernels,
    case: Case,
    dtype: npt.DTypeLike,
    together: int,
    threads: int | None = None,
) -> dict[str, Array] | None:
    """Return what an epoch computes in calls of some steps; None without a function for them.

    With a number of threads, these share the steps.
    """
    activation, loss, optimizer, settings = case
    rng, labels = np.random.default_rng(0), isinstance(loss, CrossEntropy)
    chain = _chain(activation, 4)
    x, parameters = rng.normal(size=(ROWS, 3)), rng.normal(size=chain.size)
    targets = np.arange(ROWS) % 4 if labels else (rng.random((ROWS, 4)) > 0.5).astype(dtype)
    weights = (np.arange(ROWS) % 3).astype(dtype)
    x, parameters, gradient = (one.astype(dtype) for one in (x, parameters, 0 * parameters))
    state = {name: np.zeros_like(parameters) for name in optimizer.state_names}
    logits = not isinstance(loss, MeanSquaredError)
    training = replace(ChainTraining(loss, logits, optimizer, BATCH, cleared_every=2), **settings)
    arrays = ChainArrays(x, targets, weights, parameters, gradient, state)
    pool = ThreadPool(threads or 1)
    if threads is None:
        steps = kernels.chain_steps(chain, training, arrays)
    else:
        steps = kernels.threaded_chain_steps(chain, training, arrays, pool)
    if (steps is not None) != kernels.has_threaded_steps(chain, training, x, targets) and threads:
        raise AssertionError(f"{kernels}: has_threaded_steps and threaded_chain_steps disagree")
    if steps is None:
        return None
    order, draws = rng.permutation(ROWS), rng.random(5 * ROWS, dtype=np.float32)
    rates, losses = np.array([0.1, 0.05, 0.2]), np.zeros(3)
    scores = np.zeros((ROWS, 4), dtype)
    with blas_threads(1), pool.open():
        for first in range(0, 3, together):
            rows = slice(first * BATCH, (first + together) * BATCH)
            some, drawn = slice(first, first + together), draws[5 * rows.start : 5 * rows.stop]
            steps(order[rows], drawn, rates[some], first + 1, losses[some], scores[rows])
    found = {"losses": losses, "scores": scores, "parameters": parameters, "gradient": gradient}
    return found | {f"vector {name}": vector for name, vector in state.items()}
