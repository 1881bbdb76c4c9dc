"""A loss of sequences of classes that are not aligned with the steps of the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from nnreg._types import Array, Shape
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class Ctc(TermLoss):
    """Connectionist temporal classification: a sequence of classes, whatever the steps they are at.

    loss = mean(-log(Σ Π_s p_s(class of the path at step s)) / classes of the target)

    The sum is over the paths that give the target when repeated classes are merged and blanks are
    removed. Outputs are scores `(steps, classes)`, of which p is the softmax; targets are numbers
    of classes `(length,)`, filled up with that of the blank. All rows have as many steps. As in
    PyTorch, the loss of each row is divided by the number of its classes; Keras does not divide.
    Graves et al. 2006.

    Options:
        blank: number of the class that stands for none, >= 0
        zero_infinity: whether a target with more classes than its steps have room for counts as 0
            instead of being refused
    """

    predicts_target = False
    blank: Annotated[int, Ge(0)] = 0
    zero_infinity: bool = False

    @classmethod
    def examples(cls) -> Iterable[Any]:
        y = 2 * np.sin(np.arange(60.0) ** 2).reshape(4, 5, 3)
        t = np.array([[1.0, 2], [1, 1], [2, 0], [0, 0]])
        return [(cls(), y, t), (cls(2, zero_infinity=True), y[:, :2], 2 - t)]

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        if classes is not None:
            raise ValueError(
                'the loss takes numbers as targets, not classes of the data: set "units" to how '
                "many numbers there are, that of the blank included"
            )
        if len(target) != 1:
            raise ValueError("the loss takes a sequence of class numbers as the target of a row")
        if len(output) != 2 or output[-1] <= self.blank:
            raise ValueError(
                "the loss takes scores of shape (steps, classes), among them that of class "
                f"{self.blank}, the blank"
            )
        return True

    def wrong_target(self, t: Array, output: Shape) -> tuple[int, str] | None:
        steps, classes = output
        wrong = (t != np.rint(t)) | (t < 0) | (t >= classes)
        if wrong.any():
            text = (
                f"{t[wrong][0]:g} is not the number of one of the {classes} classes of the output"
            )
            return int(np.argwhere(wrong)[0][0]), text
        labels, lengths = self._labels(t)
        repeated = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] != self.blank)
        needed = lengths + repeated.sum(axis=1)
        if self.zero_infinity or not (needed > steps).any():
            return None
        row = int(np.argmax(needed > steps))
        return row, (
            f"its classes need {needed[row]} steps, with a blank between equal ones, but the "
            f"output has {steps}; use shorter targets, or set 'zero_infinity' of the loss"
        )

    def _labels(self, t: Array) -> tuple[Array, Array]:
        """Return the classes of each row before its blanks, and how many they are."""
        labels = np.rint(t).astype(np.intp)
        order = np.argsort(labels == self.blank, axis=1, kind="stable")
        return np.take_along_axis(labels, order, axis=1), np.sum(labels != self.blank, axis=1)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        labels, lengths = self._labels(t)
        z = y.astype(np.float64)  # probabilities of whole paths are tiny
        z = z - np.max(z, axis=-1, keepdims=True)
        logs = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
        states = np.full_like(labels, self.blank, shape=(len(labels), 2 * labels.shape[1] + 1))
        states[:, 1::2] = labels
        own = np.equal(states[:, :, None], np.arange(y.shape[-1])).astype(np.float64)
        emitted = np.take_along_axis(logs, states[:, None, :], axis=2)
        jumps = np.zeros_like(own, shape=states.shape)  # over a blank between different classes
        jumps[...] = -math.inf
        jumps[:, 2:][(states[:, 2:] != self.blank) & (states[:, 2:] != states[:, :-2])] = 0
        last = 2 * lengths[:, None] - np.arange(states.shape[1])
        ends = np.where((last == 0) | (last == 1), 0.0, -math.inf)
        before = _before(emitted, jumps)
        total = np.logaddexp.reduce(before[:, -1] + ends, axis=1)
        possible, count = total > -math.inf, np.maximum(lengths, 1)
        losses = np.where(possible, -total, 0.0 if self.zero_infinity else math.inf) / count

        def backward() -> Array:
            after = _after(emitted, jumps, ends)
            known = np.where(possible, total, 0.0)[:, None, None]
            found = np.matmul(np.exp(before + after - known), own)
            dy = (np.exp(logs) - found) * (possible / count)[:, None, None]
            gradient: Array = dy.astype(y.dtype)
            return gradient

        return losses, backward


def _before(emitted: Array, jumps: Array) -> Array:
    """Return the log probability of the paths to each state at each step, that step included."""
    found = np.full_like(emitted, -math.inf)
    found[:, 0, :2] = emitted[:, 0, :2]
    for step in range(1, emitted.shape[1]):
        earlier, now = found[:, step - 1], found[:, step]
        now[...] = earlier
        now[:, 1:] = np.logaddexp(now[:, 1:], earlier[:, :-1])
        now[:, 2:] = np.logaddexp(now[:, 2:], earlier[:, :-2] + jumps[:, 2:])
        now += emitted[:, step]
    return found


def _after(emitted: Array, jumps: Array, ends: Array) -> Array:
    """Return the log probability of the paths from each state at each step, after that step."""
    found = np.full_like(emitted, -math.inf)
    found[:, -1] = ends
    for step in range(emitted.shape[1] - 2, -1, -1):
        later, now = found[:, step + 1] + emitted[:, step + 1], found[:, step]
        now[...] = later
        now[:, :-1] = np.logaddexp(now[:, :-1], later[:, 1:])
        now[:, :-2] = np.logaddexp(now[:, :-2], later[:, 2:] + jumps[:, 2:])
    return found
