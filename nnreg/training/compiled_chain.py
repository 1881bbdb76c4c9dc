"""Many steps of training in one call of the kernels, for networks that are chains of dense layers.

The choice follows from the spec, the data and the kernels. Losses, weights and random numbers are
those of steps that run layer by layer, up to rounding, and have the same bits in whatever blocks
the steps are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.interfaces.dense_chain import ChainArrays, ChainSteps, ChainTraining, DenseChain
from nnreg.interfaces.optimizer import Optimizer
from nnreg.network.dense_chain import dense_chain
from nnreg.network.ensemble import Ensemble
from nnreg.network.network import Network
from nnreg.network.prediction import CACHED_VALUES
from nnreg.training.epoch import EpochTotals
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import DataParallelGradient
from nnreg.training.member_steps import MemberSteps, arrays_of_members
from nnreg.training.parallelism import MIN_FLOPS_FOR_THREADS, Division
from nnreg.training.settings import Train
from nnreg.training.state import TrainingState
from nnreg.training.step import TrainingStep
from nnreg.training.update import CLEARED_EVERY

FLOPS_PER_CALL, FLOPS_PER_SHARED_CALL = 1e9, 1e10
"""The approximate operations of the steps of one call: about ten milliseconds. More if threads
share the steps, as handing them over takes up to a millisecond."""

STEPS_OF_MEMBERS = 8
"""The fewest steps of an ensemble in a call, before which its values are copied."""

DRAWS_PER_CALL = 1_000_000
"""The most random numbers that are drawn at a time for dropout."""


class CompiledChain:
    """Makes steps on a chain by a function of the kernels."""

    def __init__(
        self,
        steps: ChainSteps,
        chain: DenseChain,
        settings: Train,
        step: TrainingStep,
        gradient: DataParallelGradient,
        training_state: TrainingState,
        network: Network,
        *,
        shared: bool,
    ) -> None:
        self._steps, self._step, self._state = steps, step, training_state
        self._batch = settings.batch_size
        self._shard = next(iter(gradient))
        members = network.members
        self._draws = members * sum(layer.units for layer in chain.layers if layer.dropout)
        weights = members * sum(layer.features * layer.units for layer in chain.layers)
        flops = FLOPS_PER_SHARED_CALL if shared else FLOPS_PER_CALL
        together = int(flops / (6.0 * self._batch * weights))
        if members > 1:
            together = max(together, STEPS_OF_MEMBERS)
        if self._draws:
            together = min(together, DRAWS_PER_CALL // (self._draws * self._batch))
        self.steps_together = max(together, 1)
        """How many steps a call makes, unless something is to be done after each."""
        self._no_scores = np.empty((0, 0), network.dtype)

    def run(self, rows: Array, epoch: int, step: int, totals: EpochTotals) -> tuple[int, float]:
        """Make the steps on these rows; return on how many rows, and the last loss.

        Fewer than all if the loss of a batch is not finite. `step` is the number of the first in
        its epoch; both start at 0.
        """
        rates = self._step.learning_rates(epoch, step, -(-len(rows) // self._batch))
        losses, scores = np.empty(len(rates)), self._no_scores
        if totals.outputs is not None:
            scores = totals.outputs[totals.seen : totals.seen + len(rows)]
        before = self._shard.random_state if self._draws else {}
        count = self._state.step + 1
        done = self._steps(rows, self._drawn(len(rows)), rates, count, losses, scores)
        if done < len(rates):
            seen = done * self._batch
            if self._draws:
                self._shard.random_state = before
                self._drawn(seen)
        else:
            seen = len(rows)
        if done:
            self._state.step += done
            totals.add_steps(losses[:done].tolist(), self._batch, seen)
        return seen, float(losses[done - 1])

    def _drawn(self, rows: int) -> Array:
        """Return the random numbers of the layers for this many rows, in the order of the steps."""
        return self._shard.rng.random(rows * self._draws, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """A training of a chain: its layers, its settings, and examples of types that kernels take."""

    chain: DenseChain
    training: ChainTraining
    x: Array
    targets: Array
    weights: Array | None

    def is_threaded(self, network: Network) -> bool:
        """Return whether the kernels have steps that threads share."""
        if network.members > 1:
            return False
        return network.kernels.has_threaded_steps(self.chain, self.training, self.x, self.targets)

    def arrays(self, parameters: Array, gradient: Array, state: Mapping[str, Array]) -> ChainArrays:
        """Return the arrays of the training, of which those that need it are copied."""
        targets, weights = self.targets, self.weights
        if targets.dtype.kind in "iu":
            targets = targets.astype(np.int64, copy=False)
        if weights is not None:
            weights = _plain(weights.astype(self.x.dtype, copy=False))
        examples = _plain(self.x), _plain(targets), weights
        return ChainArrays(*examples, parameters, gradient, state)


def plan_chain(
    network: Network,
    evaluation: Evaluation,
    optimizer: Optimizer,
    settings: Train,
    train: Examples,
    training_state: TrainingState,
) -> ChainPlan | None:
    """Return the plan of a training whose steps kernels could make; None if they cannot."""
    if next(obstacles(network, evaluation, settings, training_state), None):
        return None
    chain, examples = dense_chain(network.member(0)), _examples(network, train)
    if chain is None or examples is None:
        return None
    training = ChainTraining(
        evaluation.of_member.loss,
        evaluation.of_member.logits,
        optimizer,
        settings.batch_size,
        settings.l1,
        settings.l2,
        settings.clip_norm,
        settings.clip_value,
        settings.weight_decay,
        CLEARED_EVERY,
    )
    return ChainPlan(chain, training, *examples)


def compiled_chain(
    plan: ChainPlan,
    network: Network,
    settings: Train,
    step: TrainingStep,
    gradient: DataParallelGradient,
    division: Division,
    pool: ThreadPool,
) -> CompiledChain | None:
    """Return what makes the steps of a training in calls of the kernels; None without it."""
    if not division.chain and next(sizes_against(network, settings, len(plan.x), division), None):
        return None
    chain, training, state = plan.chain, plan.training, step.training_state
    arrays = plan.arrays(network.vector, gradient.gradient, state.optimizer_state)
    if division.chain:
        steps = network.kernels.threaded_chain_steps(chain, training, arrays, pool)
    else:
        steps = _steps(network, chain, training, arrays, gradient)
    if steps is None:
        return None
    shared = division.chain
    return CompiledChain(steps, chain, settings, step, gradient, state, network, shared=shared)


def _steps(
    network: Network,
    chain: DenseChain,
    training: ChainTraining,
    arrays: ChainArrays,
    gradient: DataParallelGradient,
) -> ChainSteps | None:
    """Return what makes steps of a network or of all members; None if the kernels have nothing."""
    members = list[ChainSteps]()
    for own in arrays_of_members(arrays, network.members):
        steps = network.kernels.chain_steps(chain, training, own)
        if steps is None:
            return None
        members.append(steps)
    if not isinstance(network, Ensemble):
        return members[0]
    at_once = network.at_once(gradient.context)
    return MemberSteps(members, chain, arrays, training.batch_size, at_once=at_once)


def obstacles(
    network: Network, evaluation: Evaluation, settings: Train, training_state: TrainingState
) -> Iterator[str]:
    """Yield why the layers are run one by one, whatever the kernels and the sizes."""
    if type(evaluation.of_member) is not Evaluation or evaluation.masked:
        yield "several outputs or masks"
    if network.members > 1 and settings.clip_norm is not None:
        yield "a limit of the gradients of all members together"
    if settings.accumulate > 1:
        yield "several batches per step"
    if settings.augmentations:
        yield "augmentations"
    if settings.ema is not None:
        yield "an average of the weights"
    if settings.regularize or settings.constrain or settings.learning_rates:
        yield "rules for single parameters"
    if network.frozen or training_state.unfrozen:
        yield "layers that are or were frozen"


def sizes_against(
    network: Network, settings: Train, rows: int, division: Division
) -> Iterator[str]:
    """Yield why sizes speak against steps on one core."""
    batch = min(settings.batch_size, rows)
    if division.shards > 1:
        yield "several shards"
    if network.largest_product(batch) >= MIN_FLOPS_FOR_THREADS:
        yield "products that several threads speed up"
    if batch * network.activations_per_example > CACHED_VALUES:
        yield "more activations than fit into the cache"


def _examples(network: Network, train: Examples) -> tuple[Array, Array, Array | None] | None:
    """Return inputs, targets and weights if kernels take their types; None for others."""
    x, targets, weights = train.x, train.targets, train.weights
    units = network.output_shape[-1] if len(network.output_shape) == 1 else 0
    if not isinstance(x, np.ndarray) or x.ndim != 2 or not isinstance(targets, np.ndarray):
        return None
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        if not len(targets) or targets.min() < 0 or targets.max() >= units:
            return None
    elif targets.dtype != network.dtype or targets.shape != (len(x), units):
        return None
    if x.dtype != network.dtype or not (weights is None or isinstance(weights, np.ndarray)):
        return None
    return x, targets, weights


def _plain(array: Array) -> Array:
    """Return a contiguous array that may be written, which compiled functions tell from others."""
    return array if array.flags.c_contiguous and array.flags.writeable else array.copy()
