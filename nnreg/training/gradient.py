"""The gradient of a batch, computed by one worker or by several with a shard of the rows each."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool, split_evenly
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import LayerBackward
from nnreg.network.network import CACHED_VALUES, Network
from nnreg.tables.named import NamedArrays
from nnreg.tables.padded import Padded
from nnreg.training.evaluation import Evaluation

MIN_SHARD_ROWS = 8
"""The fewest examples for a pass, or for a worker."""


def microbatch_size(network: Network, threads: int = 1) -> int | None:
    """Return how many examples to pass through a network at a time; None for all of them.

    A few at a time are faster if each has many activations: these are then still in the processor's
    cache in the backward pass. There must be more of them than parameters, whose gradients are
    added. The calls become shorter, so that several threads wait for each other unless the kernels
    make few calls.
    """
    rows = max(CACHED_VALUES // max(network.activations_per_example, 1), MIN_SHARD_ROWS)
    if not network.independent or network.max_sequence_length > 1:
        return None
    if threads > 1 and not network.kernels.few_calls:
        return None
    activations = rows * network.activations_per_example
    return rows if activations > 2 * network.vector.size else None


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets as the loss takes them, and weights by which losses are multiplied.

    With masks, `points` `(rows, outputs)` has the real steps of each row in each output, 1 for an
    output without steps.
    """

    x: Array | Padded | NamedArrays
    targets: Array | Padded | NamedArrays
    weights: Array | Padded | None = None
    points: Array | None = None

    def share(self, part: Array, rows: Array) -> Array:
        """Return the fraction of the real points of `rows` that those of a part of them are."""
        assert self.points is not None
        own, whole = self.points[part].sum(axis=0), self.points[rows].sum(axis=0)
        fraction: Array = np.divide(own, whole, out=np.zeros(own.shape), where=whole > 0)
        return fraction


class Worker:
    """A data-parallel worker: it shares the weights, and has its own buffers and gradient."""

    def __init__(self, network: Network, evaluation: Evaluation, microbatch: int | None) -> None:
        self.gradient = np.zeros(network.vector.size, network.dtype)
        self.workspace = network.workspace(reuse=True)
        self.context: Context = network.context(self.workspace, self.gradient, training=True)
        self._network = network
        self._evaluation = evaluation
        self._microbatch_size = microbatch
        if microbatch is not None:
            self._scores = network.workspace(reuse=True)
            self._microbatch_gradient = np.zeros_like(self.gradient)
            self._microbatch_context = network.context(
                self.workspace, self._microbatch_gradient, training=True
            )

    @property
    def gradient_bytes(self) -> int:
        """The size of its gradients in bytes."""
        return self.gradient.nbytes * (1 if self._microbatch_size is None else 2)

    def run(self, examples: Batch, rows: Array, scale: Any) -> ShardResult:
        """Write the gradient of the mean loss over `rows`, times `scale`.

        With masks, `scale` has a factor for the loss of each output.
        If the loss is not finite, the gradient is arbitrary, and the result is that of the
        microbatch with this loss.
        """
        if self._microbatch_size is None or len(rows) <= self._microbatch_size:
            return self._pass(examples, rows, scale, self.context)
        self._scores.rewind()
        scores = self._scores.empty((len(rows), *self._network.output_shape))
        loss, shards = 0.0, list[ShardResult]()
        for start in range(0, len(rows), self._microbatch_size):
            part = rows[start : start + self._microbatch_size]
            context = self._microbatch_context if start else self.context
            own = (
                scale * len(part) / len(rows)
                if examples.points is None
                else scale * examples.share(part, rows)
            )
            shard = self._pass(examples, part, own, context)
            if not math.isfinite(shard.loss):
                return shard
            if start:
                np.add(self.gradient, self._microbatch_gradient, out=self.gradient)
            loss += shard.loss * len(part) / len(rows)
            scores[start : start + len(part)] = shard.scores
            shards.append(shard)
        if examples.points is not None:
            losses, points = losses_of(shards)
            return MaskedResult(self, rows, shard.x, sum(losses), scores, losses, points)
        return ShardResult(self, rows, shard.x, loss, scores)

    def _pass(self, examples: Batch, rows: Array, scale: Any, context: Context) -> ShardResult:
        """Run one forward and one backward pass."""
        self.workspace.rewind()
        x, t = self._take(examples.x, rows), self._take(examples.targets, rows)
        z, backward = self._network.forward(x, context)
        if examples.points is not None:
            losses = self._masked_backward(examples, rows, scale, context, (z, t, backward))
            points = examples.points[rows].sum(axis=0)
            return MaskedResult(self, rows, x, float(losses.sum()), z, losses, points)
        loss, loss_backward = self._evaluation.loss_of(z, t, context)
        if math.isfinite(loss):
            dz = loss_backward()
            if examples.weights is not None:
                weights = self._take(examples.weights, rows)
                loss = self._evaluation.weighted_loss(z, t, weights)
                dz = self._scaled(dz, (weights * scale).reshape(-1, *[1] * (dz.ndim - 1)))
            elif scale != 1:
                dz = self._scaled(dz, scale)
            backward(dz)
        return ShardResult(self, rows, x, loss, z)

    def _masked_backward(
        self,
        examples: Batch,
        rows: Array,
        scale: Array,
        context: Context,
        passed: tuple[Array, Any, LayerBackward],
    ) -> Array:
        """Run the backward pass with a factor for each output; return the loss of each."""
        z, t, backward = passed
        found, loss_backward = self._evaluation.losses_of(z, t, context)
        losses = np.array(found)
        if np.isfinite(losses).all():
            if examples.weights is not None:
                weights = self._take(examples.weights, rows)
                losses = np.array(self._evaluation.weighted_losses(z, t, weights))
                factors = weights.values if isinstance(weights, Padded) else weights
                scale = factors[..., None] * scale
            backward(loss_backward(scale.astype(z.dtype)))
        return losses

    def _take(self, array: Any, rows: Array) -> Any:
        if not isinstance(array, np.ndarray):
            return array.each(lambda one: self._take(one, rows))
        buffer = self.workspace.empty((len(rows), *array.shape[1:]), array.dtype)
        return np.take(array, rows, axis=0, out=buffer, mode="clip")  # "raise" would copy twice

    def _scaled(self, dz: Array, scale: float | Array) -> Array:
        return np.multiply(dz, scale, out=self.workspace.empty(dz.shape))


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of a shard of a batch: the mean loss over its rows, and the network's scores."""

    worker: Worker
    rows: Array
    x: Array | Padded | NamedArrays
    loss: float
    scores: Array


@dataclass(frozen=True, slots=True)
class MaskedResult(ShardResult):
    """The result of a shard with masks: for each output its loss and its number of real points."""

    losses: Array
    points: Array


def losses_of(shards: Sequence[ShardResult]) -> tuple[Array, Array]:
    """Return the loss of each output over the real points of several shards, and their number."""
    masked = [shard for shard in shards if isinstance(shard, MaskedResult)]
    points = np.sum([shard.points for shard in masked], axis=0)
    sums = np.sum([shard.losses * shard.points for shard in masked], axis=0)
    return sums / np.maximum(points, 1), points


class DataParallelGradient:
    """Computes the gradient of a batch whose rows are divided among `count` threads of a pool.

    With `several`, the gradient is accumulated over several batches.
    """

    def __init__(
        self,
        network: Network,
        evaluation: Evaluation,
        count: int,
        pool: ThreadPool,
        *,
        several: bool = False,
    ) -> None:
        microbatch = microbatch_size(network, count) if evaluation.independent else None
        self._workers = [Worker(network, evaluation, microbatch) for _ in range(count)]
        self._pool = pool
        self._first = self._workers[0].gradient
        self.gradient = np.zeros_like(self._first) if several else self._first
        self._several = several
        self._sums = [
            functools.partial(self._sum, chunk) for chunk in split_evenly(self.gradient.size, count)
        ]

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def gradient_bytes(self) -> int:
        """The size of all gradients in bytes."""
        accumulated = self.gradient.nbytes if self._several else 0
        return accumulated + sum(worker.gradient_bytes for worker in self._workers)

    def batches(self, examples: Batch, rows: Array, size: int) -> Iterator[list[ShardResult]]:
        """Write the gradient of the mean loss over `rows`, in batches of `size`.

        Yields the results of each batch, which are valid until the next. Gradients are added in the
        order of the workers, so that the sum is bit-identical each time.
        """
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            masked = examples.points is not None
            scale = examples.share(batch, rows) if masked else len(batch) / len(rows)
            shards = self._run(examples, batch, scale)
            if self._several and start:
                np.add(self.gradient, self._first, out=self.gradient)
            elif self._several:
                np.copyto(self.gradient, self._first)
            yield shards

    def _run(self, examples: Batch, rows: Array, scale: Any) -> list[ShardResult]:
        """Write the gradient of the mean loss over one batch, times `scale`."""
        if len(rows) < len(self) or len(self) == 1:
            return [self._workers[0].run(examples, rows, scale)]
        parts = np.array_split(rows, len(self))
        if examples.points is None:
            scales = [scale * len(part) / len(rows) for part in parts]
        else:
            scales = [scale * examples.share(part, rows) for part in parts]
        shards = self._pool.run(
            [
                functools.partial(worker.run, examples, part, own)
                for worker, part, own in zip(self._workers, parts, scales, strict=True)
            ]
        )
        self._pool.run(self._sums)
        return shards

    def _sum(self, chunk: slice) -> None:
        """Add the other workers' gradients to the first one in this range."""
        total = self._first[chunk]
        for worker in self._workers[1:]:
            np.add(total, worker.gradient[chunk], out=total)
