"""The gradient of a batch, whose rows may be divided into shards.

Shards follow from the spec and the data, see `parallelism`. Threads and ranks only execute them.
Their gradients are added as a tree, so that the result has the same bits on any number of both.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.aligned import aligned_zeros
from nnreg._utils.threads import ThreadPool, available_cores, split_evenly
from nnreg.interfaces.context import Context, ShardMember, Workspace
from nnreg.interfaces.layer import LayerBackward
from nnreg.network.block_products import BlockProducts
from nnreg.network.network import Network
from nnreg.network.prediction import CACHED_VALUES
from nnreg.network.time_steps import has_time_steps
from nnreg.ranks.gradient_sum import additions_within, shards_of
from nnreg.ranks.group import ALONE, Ranks
from nnreg.tables.named import NamedArrays
from nnreg.tables.padded import Padded
from nnreg.tables.windows import Windows
from nnreg.training.across_ranks import AcrossRanks
from nnreg.training.evaluation import Evaluation
from nnreg.training.exchange import Exchange, Member
from nnreg.training.shard_results import MaskedResult, ShardResult, losses_of
from nnreg.training.update import chunks_of

MIN_SHARD_ROWS = 8
"""The fewest examples for a pass, or for a shard."""


def microbatch_size(network: Network, shards: int = 1) -> int | None:
    """Return how many examples to pass through a network at a time; None for all of them.

    A few at a time are faster if each has many activations: these are then still in the processor's
    cache in the backward pass. There must be more of them than parameters, whose gradients are
    added. The calls become shorter, so that the threads of several shards wait for each other
    unless the kernels make few calls.
    """
    rows = max(CACHED_VALUES // max(network.activations_per_example, 1), MIN_SHARD_ROWS)
    if not network.independent or has_time_steps(network.plan):
        return None
    if shards > 1 and not network.kernels.few_calls:
        return None
    activations = rows * network.activations_per_example
    return rows if activations > 2 * network.vector.size else None


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets as the loss takes them, and weights by which losses are multiplied.

    With masks, `points` `(rows, outputs)` has the real steps of each row in each output, 1 for an
    output without steps.
    """

    x: Array | Padded | Windows | NamedArrays
    targets: Array | Padded | NamedArrays
    weights: Array | Padded | None = None
    points: Array | None = None

    def share(self, part: Array, rows: Array) -> Any:
        """Return which fraction of `rows` a part of them is; with masks, of the real points."""
        if self.points is None:
            return len(part) / len(rows)
        own, whole = self.points[part].sum(axis=0), self.points[rows].sum(axis=0)
        fraction: Array = np.divide(own, whole, out=np.zeros(own.shape), where=whole > 0)
        return fraction


class Shard:
    """A shard of each batch: its gradient, its random numbers, and the passes that compute it.

    The weights are shared by all shards. If the workspace is `shared` too, by shards that run one
    after the other, the scores are copied.
    """

    def __init__(
        self,
        network: Network,
        evaluation: Evaluation,
        workspace: Workspace,
        *,
        microbatch: int | None,
        shared: bool,
    ) -> None:
        self.gradient = aligned_zeros(network.vector.shape, network.dtype)
        self.workspace = workspace
        self.rng = np.random.default_rng(0)
        self.context: Context = network.context(workspace, self.gradient, training=True)
        self._network = network
        self._evaluation = evaluation
        self._microbatch_size = microbatch
        self._shared = shared
        self._scores = network.workspace(reuse=True)
        if microbatch is not None:
            self._microbatch_gradient = aligned_zeros(self.gradient.shape, network.dtype)
            self._microbatch_context = network.context(
                workspace, self._microbatch_gradient, training=True
            )

    @property
    def random_state(self) -> Mapping[str, Any]:
        """The state of its random generator."""
        return self.rng.bit_generator.state

    @random_state.setter
    def random_state(self, state: Mapping[str, Any]) -> None:
        self.rng.bit_generator.state = state

    @property
    def gradient_bytes(self) -> int:
        """The size of its gradients in bytes."""
        return self.gradient.nbytes * (1 if self._microbatch_size is None else 2)

    def run(
        self, examples: Batch, rows: Array, scale: Any, member: ShardMember | None = None
    ) -> ShardResult:
        """Write the gradient of the mean loss over `rows`, times `scale`.

        With masks, `scale` has a factor for the loss of each output. `member` is for a network
        whose layers combine values of all shards.
        If the loss is not finite, the gradient is arbitrary, and the result is that of the
        microbatch with this loss.
        """
        self.workspace.rng, self.workspace.shard = self.rng, member
        size = self._microbatch_size or len(rows)
        if len(rows) <= size:
            result = self._pass(examples, rows, scale, self.context)
            return self._kept(result) if self._shared else result
        scores = self._empty_scores(len(rows))
        loss, results = 0.0, list[ShardResult]()
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            context = self._microbatch_context if start else self.context
            result = self._pass(examples, part, scale * examples.share(part, rows), context)
            if not math.isfinite(result.loss):
                return result
            if start:
                np.add(self.gradient, self._microbatch_gradient, out=self.gradient)
            loss += result.loss * len(part) / len(rows)
            scores[start : start + len(part)] = result.scores
            results.append(result)
        if examples.points is not None:
            losses, points = losses_of(results)
            return MaskedResult(self.context, rows, sum(losses), scores, losses, points)
        return ShardResult(self.context, rows, loss, scores)

    def _kept(self, result: ShardResult) -> ShardResult:
        """Return a result whose scores the next shard does not overwrite."""
        scores = self._empty_scores(len(result.rows))
        scores[...] = result.scores
        return replace(result, scores=scores)

    def _empty_scores(self, rows: int) -> Array:
        self._scores.rewind()
        return self._scores.empty((rows, *self._network.scores_shape))

    def _pass(self, examples: Batch, rows: Array, scale: Any, context: Context) -> ShardResult:
        """Run one forward and one backward pass."""
        self.workspace.rewind()
        x, t = self._take(examples.x, rows), self._take(examples.targets, rows)
        weights = None if examples.weights is None else self._take(examples.weights, rows)
        z, backward = self._network.forward(x, context)
        if examples.points is not None:
            losses = self._masked_backward(z, t, weights, scale, context, backward)
            points = examples.points[rows].sum(axis=0)
            return MaskedResult(self.context, rows, float(losses.sum()), z, losses, points)
        loss, loss_backward = self._evaluation.loss_of(z, t, context, weights)
        if math.isfinite(loss) or self.workspace.shard:  # others wait for its backward pass
            dz = loss_backward()
            if scale != 1:
                dz = np.multiply(dz, scale, out=self.workspace.empty(dz.shape))
            backward(dz)
        return ShardResult(self.context, rows, loss, z)

    def _masked_backward(
        self,
        z: Array,
        t: Any,
        weights: Any,
        scale: Array,
        context: Context,
        backward: LayerBackward,
    ) -> Array:
        """Run the backward pass with a factor for each output; return the loss of each."""
        found, loss_backward = self._evaluation.losses_of(z, t, context, weights)
        losses = np.array(found)
        if np.isfinite(losses).all() or self.workspace.shard:
            backward(loss_backward(scale.astype(z.dtype)))
        return losses

    def _take(self, array: Any, rows: Array) -> Any:
        if not isinstance(array, np.ndarray):
            if isinstance(array, Windows):
                shape = (len(rows), *array.shape[1:])
                return array.take(rows, self.workspace.empty(shape, array.dtype))
            return array.each(lambda one: self._take(one, rows))
        buffer = self.workspace.empty((len(rows), *array.shape[1:]), array.dtype)
        return array.take(rows, 0, buffer, "clip")  # "raise" would copy twice


class DataParallelGradient:
    """Computes the gradient of a batch whose rows are divided into `count` shards.

    Those of this rank run in `threads` threads of a pool: consecutive ones one after the other, or
    if layers combine values of all shards, each in a thread of its own. Of these, `threads` compute
    at a time, or all if there are no more cores: none then has to wake another before it waits.
    With `several`, the gradient is accumulated over several batches. `own` are the numbers of the
    shards of this rank, over which an iteration goes.
    """

    def __init__(
        self,
        network: Network,
        evaluation: Evaluation,
        count: int,
        pool: ThreadPool,
        threads: int = 1,
        *,
        several: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        microbatch = microbatch_size(network, count) if evaluation.independent else None
        self._combines = count > 1 and not network.independent
        self.count, self.own = count, shards_of(count, ranks.size)[ranks.rank]
        here = len(self.own)
        groups = split_evenly(here, here if self._combines else min(threads, here))
        self._groups: list[list[Shard]] = []
        for group in groups:
            workspace, size = network.workspace(reuse=True), group.stop - group.start
            self._groups.append([
                Shard(network, evaluation, workspace, microbatch=microbatch, shared=size > 1)
                for _ in range(size)
            ])  # fmt: skip
        self._shards = [shard for group in self._groups for shard in group]
        self._pool, self._threads = pool, threads
        self._first = self._shards[0].gradient
        self.gradient = self._first
        if several:
            self.gradient = aligned_zeros(self._first.shape, network.dtype)
        self._several = several
        gradients = [shard.gradient for shard in self._shards]
        self._ranks = ranks
        self._across = None if ranks.size == 1 else AcrossRanks(ranks, network, count, gradients)
        self._additions = [
            (gradients[one - self.own.start], gradients[other - self.own.start])
            for one, other in additions_within(count, self.own)
        ]
        self._sums = [
            functools.partial(self._sum, part)
            for part in split_evenly(self.gradient.size, min(threads, here))
        ]

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._shards)

    def divide_products(self, products: BlockProducts) -> None:
        """Compute large matrix products of the only shard in blocks."""
        workspace = self._shards[0].workspace
        workspace.dot, workspace.divides_products = products.dot, True

    @property
    def context(self) -> Context:
        """The context of the first shard."""
        return self._shards[0].context

    @property
    def gradient_bytes(self) -> int:
        """The size of all gradients in bytes."""
        accumulated = self.gradient.nbytes if self._several else 0
        across = 0 if self._across is None else self._across.nbytes
        return accumulated + across + sum(shard.gradient_bytes for shard in self._shards)

    def batches(self, examples: Batch, rows: Array, size: int) -> Iterator[list[ShardResult]]:
        """Write the gradient of the mean loss over `rows`, in batches of `size`.

        Yields the results of each batch, which are valid until the next.
        """
        scale: Any = 1.0
        count = len(rows)
        for start in range(0, count, size):
            batch = rows[start : start + size]
            if examples.points is not None or count > size:
                scale = examples.share(batch, rows)
            results = self._run(examples, batch, scale)
            if self._several and start:
                np.add(self.gradient, self._first, out=self.gradient)
            elif self._several:
                np.copyto(self.gradient, self._first)
            yield results

    def _run(self, examples: Batch, rows: Array, scale: Any) -> list[ShardResult]:
        """Write the gradient of the mean loss over one batch, times `scale`."""
        if self.count == 1:
            return [self._shards[0].run(examples, rows, scale)]
        parts, results = parts_of(rows, self.count), list[ShardResult]()
        if len(parts) > 1:
            results = self._run_own(examples, rows, scale, parts)
        elif self._ranks.is_first:
            results = [self._shards[0].run(examples, rows, scale)]
        return results if self._across is None else self._across.combine(parts, results)

    def _run_own(
        self, examples: Batch, rows: Array, scale: Any, parts: Sequence[Array]
    ) -> list[ShardResult]:
        """Run the shards of this rank, each on its part of the rows, and add what is theirs."""
        jobs = [
            functools.partial(shard.run, examples, part, scale * examples.share(part, rows))
            for shard, part in zip(self._shards, parts[self.own.start :], strict=False)
        ]
        if self._combines:
            at_once = self._threads if self._threads < available_cores() else len(jobs)
            exchange = Exchange(len(jobs), at_once, self._ranks)
            first = self.own.start
            jobs = [
                functools.partial(job, Member(exchange, index, first))
                for index, job in zip(self.own, jobs, strict=True)
            ]
            results = exchange.run(self._pool, jobs)
        else:
            waiting = iter(jobs)
            grouped = [list(itertools.islice(waiting, len(group))) for group in self._groups]
            groups = self._pool.run([functools.partial(_run_all, group) for group in grouped])
            results = [result for group in groups for result in group]
        self._pool.run(self._sums)
        return results

    def _sum(self, part: slice) -> None:
        """Add the gradients of shards, within this range, as far as all of them are here."""
        for chunk in chunks_of([part]):
            for one, other in self._additions:
                np.add(one[chunk], other[chunk], out=one[chunk])


def parts_of(rows: Array, count: int) -> list[Array]:
    """Return the rows of each of `count` shards of a batch; a single part if there are too few."""
    return [rows] if len(rows) < count else np.array_split(rows, count)


def shards_in_order(batch_size: int, count: int, rows: int) -> Array:
    """Return which of `count` shards each of a number of rows belongs to, in batches of a size."""

    def of_batch(size: int) -> Array:
        parts = parts_of(np.arange(size), count)
        return np.repeat(np.arange(len(parts)), [len(part) for part in parts])

    batches, rest = divmod(rows, batch_size)
    return np.concatenate([np.tile(of_batch(batch_size), batches), of_batch(rest)])


def _run_all(jobs: Sequence[Callable[[], ShardResult]]) -> list[ShardResult]:
    return [job() for job in jobs]
