"""Changes of the weights: clipping, the optimizer, the schedule and the average."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils import statistics
from nnreg._utils.denormals import zero_tiny
from nnreg._utils.threads import ThreadPool
from nnreg.builtin.schedules import Constant
from nnreg.errors import PluginError
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.optimizer import Optimizer, UpdateState
from nnreg.interfaces.returned import Caller
from nnreg.interfaces.schedule import Schedule, ScheduleContext
from nnreg.network.network import Network
from nnreg.network.parameters import slices, views
from nnreg.training.evaluation import Evaluation
from nnreg.training.settings import Train
from nnreg.training.state import TrainingState, copy_into

CHUNK_VALUES = 131_072
"""The values that an optimizer updates at a time: its vectors then stay in the processor's cache,
and its NumPy calls are long enough for two threads to run them in parallel."""

CLEARED_EVERY = 32
"""The steps between two that set tiny values of the optimizer's state and of averages to 0. Such
values decay where gradients are 0, and are slow when they are denormal. The number of the step
decides, so that a training that continues has the same bits."""

MIN_VALUES_PER_THREAD = 4 * CHUNK_VALUES
"""The fewest values per thread."""


class ExponentialMovingAverage:
    """The exponential moving average of a network's weights and state, as a second network.

    It is the weighted mean of the weights after each of `count` steps: each step has `decay` times
    the weight of the next, so that the average is unbiased from the first step.
    """

    def __init__(self, network: Network, decay: float, means: tuple[Array, Array]) -> None:
        self.network = network.with_values(*means)
        self._decay = decay
        scratch = np.empty(CHUNK_VALUES, network.dtype)
        self._chunks = [
            (value[chunk], mean[chunk], scratch[: value[chunk].size])
            for value, mean in zip((network.vector, network.state_vector), means, strict=True)
            for chunk in chunks_of([slice(0, value.size)])
        ]

    def add(self, count: int) -> None:
        """Add the weights after the `count`-th step."""
        fraction = (1 - self._decay) / (1 - self._decay**count)
        for value, mean, part in self._chunks:
            np.subtract(value, mean, out=part)
            np.multiply(part, fraction, out=part)
            np.add(mean, part, out=mean)
            if count % CLEARED_EVERY == 0:
                zero_tiny(mean, part)


def clip(gradient: Array, norm: float | None, value: float | None) -> None:
    """Scale a gradient down to `norm` if its norm is larger, then limit its values, in place."""
    if norm is not None:
        current = statistics.norm(gradient)
        if current > norm:
            factor = norm / current
            if factor < np.finfo(gradient.dtype).tiny:  # in two steps that the type can represent
                factor = math.sqrt(factor)
                np.multiply(gradient, factor, out=gradient)
            np.multiply(gradient, factor, out=gradient)
    if value is not None:
        np.clip(gradient, -value, value, out=gradient)


class OptimizerRunner:
    """Runs an optimizer, on chunks in several threads if it is elementwise.

    Chunks do not change the result of an elementwise optimizer, up to rounding, and are the same on
    any number of threads. Any other gets all trained values
    in one vector, which is a copy if some layers are frozen. `unfrozen` has the step after which
    the steps of a parameter are counted, by its name; if it is not elementwise, the last of these
    is that of all parameters.

    `rates` has the factors of the learning rate of single parameters, for an elementwise one.

    For one that is not elementwise, `repeat` writes the gradient again and returns the loss, and
    `generator` returns the random generator of a step.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        network: Network,
        gradient: Array,
        vectors: Mapping[str, Array],
        pool: ThreadPool,
        unfrozen: Mapping[str, int],
        repeat: Callable[[], float],
        generator: Callable[[int], np.random.Generator],
        rates: Mapping[str, float],
    ) -> None:
        self._optimizer = optimizer
        self.learning_rate = optimizer.learning_rate
        self._pool = pool
        self._copies: list[tuple[Array, Array]] = []
        self._repeat, self._generator = repeat, generator
        self._rng: np.random.Generator | None = None
        self._kept: Array | None = None
        self._count = 0
        trained, kinds = update_spans(network, optimizer, unfrozen, rates)
        self._factors = {factor for _, factor in kinds.values()}
        self._updates_rate = optimizer.learning_rate
        self._updates = self._updates_at(self._updates_rate)
        parameters = network.vector
        self._whole, self._parameter_copies, self._trained = gradient, [], trained
        if len(trained) > 1 and not optimizer.elementwise:
            parameters = self._copied(parameters, trained)
            self._parameter_copies = list(self._copies)
            gradient = self._copied(gradient, trained)
            vectors = {name: self._copied(state, trained) for name, state in vectors.items()}
            kinds = {0: kinds[trained[0].start]}
            trained = [slice(0, parameters.size)]
        self._partitions, starts = [], list(kinds)
        chunks = chunks_of(trained) if optimizer.elementwise else trained
        threads = update_threads(optimizer, network.vector.size, pool.count)
        for part in _partition(chunks, threads):
            scratch = network.workspace(reuse=True)
            steps = []
            for chunk in part:
                state = {name: vector[chunk] for name, vector in vectors.items()}
                step = UpdateState(0, state, scratch)
                if not optimizer.elementwise:
                    step = self._of_all(network, state, scratch)
                kind = kinds[starts[bisect.bisect(starts, chunk.start) - 1]]
                steps.append((parameters[chunk], gradient[chunk], step, *kind))
            self._partitions.append(steps)

    def _copied(self, vector: Array, trained: Sequence[slice]) -> Array:
        """Return a copy of the trained values of a vector; `step` copies them both ways."""
        parts = [vector[span] for span in trained]
        copy = np.concatenate(parts)
        ends = np.cumsum([part.size for part in parts])
        self._copies += zip(parts, np.split(copy, ends[:-1]), strict=True)
        return copy

    def _of_all(
        self, network: Network, vectors: Mapping[str, Array], scratch: Workspace
    ) -> UpdateState:
        """Return the state of updates of all trained parameters at once."""
        return UpdateState(
            0,
            vectors,
            scratch,
            trained_shapes(network),
            lambda: self._evaluate(scratch),
            self._rng_of_step,
        )

    def _evaluate(self, scratch: Workspace) -> tuple[float, Array]:
        """Return the loss and its gradient for the current parameters; keep the step's gradient."""
        for vector, copy in self._parameter_copies:
            np.copyto(vector, copy)
        kept = self._kept = copy_into(self._kept, self._whole)
        loss = self._repeat()
        found = scratch.empty((sum(span.stop - span.start for span in self._trained),))
        np.concatenate([self._whole[span] for span in self._trained], out=found)
        np.copyto(self._whole, kept)
        return loss, found

    def _rng_of_step(self) -> np.random.Generator:
        """Return the random generator of this step, the same one in each call."""
        if self._rng is None:
            self._rng = self._generator(self._count)
        return self._rng

    def scale(self, factor: float) -> None:
        """Set the learning rate of later steps to the optimizer's own times `factor`.

        An optimizer is frozen and may derive other values from its options, so it is replaced.
        """
        self.learning_rate = self._optimizer.learning_rate * factor

    def _updates_at(self, rate: float) -> dict[float, Callable[[Array, Array, UpdateState], None]]:
        """Return the update of an optimizer with this rate, by the factor of the rate."""
        return {factor: self._optimizer_at(rate * factor).update for factor in self._factors}

    def _optimizer_at(self, rate: float) -> Optimizer:
        if rate == self._optimizer.learning_rate:
            return self._optimizer
        return self._optimizer.with_learning_rate(rate)

    def step(self, count: int) -> None:
        """Make one update, the `count`-th."""
        self._count, self._rng = count, None
        if self._updates_rate != self.learning_rate:
            self._updates_rate = self.learning_rate
            self._updates = self._updates_at(self._updates_rate)
        for vector, copy in self._copies:
            np.copyto(copy, vector)
        if len(self._partitions) == 1:
            self._run(self._partitions[0], count)
        else:
            self._pool.run([functools.partial(self._run, part, count) for part in self._partitions])
        for vector, copy in self._copies:
            np.copyto(vector, copy)

    def _run(self, part: list[tuple[Array, Array, UpdateState, int, float]], count: int) -> None:
        for parameters, gradient, step, first, factor in part:
            step.count = count - first
            step.workspace.rewind()
            self._updates[factor](parameters, gradient, step)
            if count % CLEARED_EVERY == 0:
                for vector in step.vectors.values():
                    zero_tiny(vector, np.empty_like(vector))


def reset_optimizer(
    network: Network, optimizer: Optimizer, state: TrainingState, names: Collection[str]
) -> None:
    """Begin the optimizer's state of these parameters anew, as they were frozen so far.

    So Adam corrects its means for starting at zero. An optimizer that is not elementwise begins
    anew with all parameters.
    """
    if not (names and state.step):
        return
    names = names if optimizer.elementwise else network.params
    for vector in state.optimizer_state.values():
        arrays = views(vector, network.params)
        for name in names:
            arrays[name][...] = 0
    state.unfrozen |= {name: state.step for name in network.params if name in names}


def update_spans(
    network: Network,
    optimizer: Optimizer,
    unfrozen: Mapping[str, int],
    rates: Mapping[str, float],
) -> tuple[list[slice], dict[int, tuple[int, float]]]:
    """Return the spans of values that are updated alike.

    Also returns by the start of each the step after which its steps are counted, and the factor of
    its learning rate. Those of an optimizer that is not elementwise are counted alike, after the
    last of `unfrozen`.
    """
    if not ((unfrozen or rates) and optimizer.elementwise):
        spans, kind = network.trainable_slices, (max(unfrozen.values(), default=0), 1.0)
        return spans, dict.fromkeys((span.start for span in spans), kind)
    spans, kinds = [], dict[int, tuple[int, float]]()
    for name, span in slices(network.params).items():
        if name in network.frozen:
            continue
        kind = unfrozen.get(name, 0), rates.get(name, 1.0)
        if spans and spans[-1].stop == span.start and kinds[spans[-1].start] == kind:
            span = slice(spans.pop().start, span.stop)
        spans.append(span)
        kinds[span.start] = kind
    return spans, kinds


def trained_shapes(network: Network) -> dict[str, Shape]:
    """Return the shapes of the parameters that are not frozen, by name, in order."""
    return {
        name: param.shape for name, param in network.params.items() if name not in network.frozen
    }


def update_threads(optimizer: Optimizer, size: int, threads: int) -> int:
    """Return how many threads to use for the update of a vector of this size."""
    return max(1, min(threads, size // MIN_VALUES_PER_THREAD)) if optimizer.elementwise else 1


def _partition(chunks: Sequence[slice], count: int) -> list[list[slice]]:
    """Divide chunks, in order, into `count` parts of about as many values."""
    parts: list[list[slice]] = [[] for _ in range(count)]
    total, before = sum(chunk.stop - chunk.start for chunk in chunks), 0
    for chunk in chunks:
        size = chunk.stop - chunk.start
        middle = before + size // 2
        parts[middle * count // total].append(chunk)
        before += size
    return parts


def chunks_of(spans: Sequence[slice]) -> list[slice]:
    """Divide spans into chunks that fit into the processor's cache."""
    return [
        slice(start, min(start + CHUNK_VALUES, span.stop))
        for span in spans
        for start in range(span.start, span.stop, CHUNK_VALUES)
    ]


class LearningRateScheduler:
    """Sets the learning rate before each step, according to a schedule.

    The schedule covers `epochs`; any later step has the factor of the last one. `higher_is_better`
    are the metrics that are better when higher.
    """

    def __init__(
        self,
        schedule: Schedule,
        optimizer: OptimizerRunner,
        epochs: int,
        steps_per_epoch: int,
        higher_is_better: frozenset[str],
    ) -> None:
        self._schedule = schedule
        self._optimizer = optimizer
        self._epochs = epochs
        self._steps = steps_per_epoch
        self._higher_is_better = higher_is_better
        self._epoch_set = -1

    def set(self, epoch: int, step: int, history: Sequence[Mapping[str, float]]) -> None:
        """Set the learning rate for a step of an epoch; both numbers start at 0."""
        if epoch == self._epoch_set:
            return
        total = self._epochs * self._steps
        position = min(epoch * self._steps + step, total - 1)
        factor = self._schedule.factor(
            ScheduleContext(position, total, self._steps, history, self._higher_is_better)
        )
        if type(factor) is not float:
            factor = Caller(self._schedule).number("factor", factor)
        if not 0 <= factor < math.inf:
            raise PluginError(
                f"{self._schedule} returns the factor {factor} for step {position} of {total}; "
                "a factor of the learning rate must be a finite number >= 0"
            )
        self._optimizer.scale(factor)
        if self._schedule.by_epoch:
            self._epoch_set = epoch


def scheduler_of(
    schedule: Schedule,
    evaluation: Evaluation,
    optimizer: OptimizerRunner,
    settings: Train,
    rows: int,
) -> LearningRateScheduler | None:
    """Return what sets the learning rate in a training on this number of rows; None if constant."""
    if isinstance(schedule, Constant):
        return None
    names = [f"{prefix}{name}" for prefix in ("", "val_") for name in evaluation.names]
    rising = frozenset(name for name in names if evaluation.higher_is_better(name))
    steps = math.ceil(rows / settings.step_size)
    return LearningRateScheduler(schedule, optimizer, settings.epochs, steps, rising)
