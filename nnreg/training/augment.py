"""The steps of an epoch, whose rows augmentations change before they are divided into shards."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.returned import Caller, describe
from nnreg.network.network import Network
from nnreg.tables.lazy import LazyArray
from nnreg.tables.named import NamedArrays
from nnreg.training.epoch import AUGMENTATION_STREAM, generator, steps_of
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.gradient import Batch, DataParallelGradient, shards_in_order
from nnreg.training.outputs import SeveralEvaluation
from nnreg.training.settings import Train

PATH = "$.train.augment"


class Steps:
    """The steps of each epoch: rows of the examples, changed by the augmentations of the settings.

    What these draw follows from the seed, the epoch and the step. `points` is as in `steps_of`. Of
    rows that stay in their file, only those of the `shards` of this rank are read, unless
    augmentations may mix them with others.
    Raises `SpecError` for examples that augmentations cannot change, or a loss that does not take
    what results.
    """

    def __init__(
        self,
        settings: Train,
        network: Network,
        evaluation: Evaluation,
        examples: Examples,
        points: Array | None,
        seed: int,
        shards: DataParallelGradient,
    ) -> None:
        self._shards, self._batch_size = shards, settings.batch_size
        self._examples, self._points, self._size = examples, points, settings.step_size
        self._augmentations, self._seed = settings.augmentations, seed
        self._classes, self._dtype = (network.output_shape or (1,))[-1], network.dtype
        if self._augmentations:
            _check(settings, network, evaluation.of_member, examples)

    def of_epoch(
        self, epoch: int, first: int, order: Array, together: int = 1
    ) -> Generator[tuple[Batch, Array], None, None]:
        """Yield examples in memory and rows of them, as `steps_of`; the first step is `first`.

        The rows are those of `together` steps, of one with augmentations.
        """
        size = self._size * together
        steps = steps_of(self._examples, order, size, self._points, self._needed(len(order)))
        return self._changed(steps, epoch, first) if self._augmentations else steps

    def _needed(self, rows: int) -> Array | None:
        """Return which rows of an order this rank computes with; None for all of them."""
        own = self._shards.own
        everything = len(own) == self._shards.count or self._augmentations
        if everything or not isinstance(self._examples.x, LazyArray):
            return None
        shards = shards_in_order(self._batch_size, self._shards.count, rows)
        return (shards >= own.start) & (shards < own.stop)

    def _changed(
        self, steps: Generator[tuple[Batch, Array], None, None], epoch: int, first: int
    ) -> Generator[tuple[Batch, Array], None, None]:
        with closing(steps):
            for step, (examples, rows) in enumerate(steps, first):
                rng = generator(self._seed, AUGMENTATION_STREAM, epoch, step)
                x: Any = examples.x[rows]
                t = one_hot(examples.targets[rows], self._classes, self._dtype)
                for one in self._augmentations:
                    x, t = Caller(one).call("augment", x, t, rng)
                yield Batch(x, t), np.arange(len(rows))


def one_hot(targets: Any, classes: int, dtype: npt.DTypeLike) -> Any:
    """Return class numbers as one-hot rows, and other targets as they are."""
    if targets.dtype.kind not in "iu":
        return targets
    return np.equal(np.expand_dims(targets, -1), np.arange(classes)).astype(dtype)


def _check(settings: Train, network: Network, evaluation: Evaluation, examples: Examples) -> None:
    """Raise `SpecError` if the augmentations cannot change the rows of a batch."""
    if reason := next(_reasons(network, evaluation, examples), ""):
        raise SpecError([Problem(PATH, reason)])
    inputs: Any = examples.x
    x = inputs.shape[1:]
    t = one_hot(examples.targets[:1], network.output_shape[-1], network.dtype).shape[1:]
    listed = isinstance(settings.augment, tuple)
    problems = [
        Problem(f"{PATH}[{index}]" if listed else PATH, f"{type(one).__name__}: {reason}")
        for index, one in enumerate(settings.augmentations)
        if (reason := refusal(one, x, t))
    ]
    if problems:
        raise SpecError(problems)


def refusal(one: Augmentation, x: Shape, t: Shape) -> str:
    """Return why an augmentation refuses examples of these shapes; empty if it does not."""

    def check() -> str:
        try:
            one.check_shapes(x, t)
        except ValueError as error:
            return str(error)
        return ""

    return str(Caller(one).run("check_shapes", check))


def check_augmentation(caller: Caller, x: Array, t: Array) -> None:
    """Check what an augmentation returns for inputs and targets."""
    found = caller.call("augment", x.copy(), t.copy(), np.random.default_rng(0))
    if not isinstance(found, tuple) or len(found) != 2:
        text = f"returned {describe(found)}; expected two arrays, the inputs and the targets"
        raise caller.error("augment", text)
    for one, before in zip(found, (x, t), strict=True):
        caller.array("augment", one, before.shape, before.dtype)


def _reasons(network: Network, evaluation: Evaluation, examples: Examples) -> Iterator[str]:
    """Yield why the rows of a batch cannot be changed together with their targets."""
    if network.masked:
        yield "sequences of different lengths cannot be mixed; remove this"
    if isinstance(examples.x, NamedArrays):
        yield "the network has several inputs, and augmentations take one; remove this"
    if isinstance(evaluation, SeveralEvaluation):
        yield "the network has several outputs, and augmentations take one; remove this"
    if network.integer_input:
        yield "the inputs are integers, which stand for something and cannot be mixed; remove this"
    if any(one.indices for one in network.plan.input_features.values()):
        yield "the inputs have positions of categories, which cannot be mixed; remove this"
    if examples.weights is not None:
        several = isinstance(examples.weights, np.ndarray) and examples.weights.ndim > 1
        which = " for each member (data.split.member_folds)" if several else ""
        yield f"the rows have weights{which}, which the mixture of two has not; remove either"
    if not evaluation.independent:
        yield "the loss compares the rows of a batch, as they are; remove this"
    if not evaluation.loss.scores_are_probabilities:
        yield (
            "the loss compares classes by a margin, which mixed classes do not have; use "
            "another, such as cross_entropy"
        )
