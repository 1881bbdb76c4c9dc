"""The gradient of a batch, from one thread or from several that each take a share of the rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnreg.evaluation import Evaluation
from nnreg.interfaces import Array, Context
from nnreg.network import Network
from nnreg.stored import Window

Inputs: TypeAlias = Array | Window
"""All inputs, or those of them that are in memory at the moment."""


class Lane:
    """One thread's way through the network: buffers and a gradient of its own, shared weights."""

    def __init__(self, network: Network, evaluation: Evaluation) -> None:
        self.gradient = np.zeros(network.vector.size, network.dtype)
        self.workspace = network.workspace(reuse=True)
        self.context: Context = network.context(self.workspace, self.gradient, training=True)
        self._network = network
        self._evaluation = evaluation

    def run(self, inputs: Inputs, targets: Array, rows: Array, weight: float = 1.0) -> Share:
        """Write the gradient of the mean loss over `rows`, times `weight`.

        Where the loss is not finite the gradient stays as it was.
        """
        self.workspace.rewind()
        x, t = self._take(inputs, rows), self._take(targets, rows)
        z, backward = self._network.forward(x, self.context)
        loss, loss_backward = self._evaluation.loss_of(z, t, self.context)
        if math.isfinite(loss):
            dz = loss_backward()
            backward(dz if weight == 1 else self._scaled(dz, weight))
        return Share(self, rows, x, loss, z)

    def _take(self, array: Inputs, rows: Array) -> Array:
        buffer = self.workspace.empty((len(rows), *array.shape[1:]), array.dtype)
        return array.take(rows, axis=0, out=buffer, mode="clip")  # "raise" would copy twice

    def _scaled(self, dz: Array, weight: float) -> Array:
        return np.multiply(dz, weight, out=self.workspace.empty(dz.shape))


@dataclass(frozen=True, slots=True)
class Share:
    """What became of some rows of a batch: the mean loss over them, and the network's scores."""

    lane: Lane
    rows: Array
    x: Array
    loss: float
    scores: Array


class Lanes:
    """Fills one gradient from a batch, dividing its rows among `count` threads."""

    def __init__(self, network: Network, evaluation: Evaluation, count: int) -> None:
        self._lanes = [Lane(network, evaluation) for _ in range(count)]
        self._threads: Executor | None = None
        self.gradient = self._lanes[0].gradient

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep the threads while the context is open; without it, `run` uses its caller's only."""
        if len(self) == 1:
            yield
            return
        # Each thread begins with NumPy's own settings; a loss that is not finite tells.
        settings = functools.partial(np.seterr, over="ignore", invalid="ignore")
        with ThreadPoolExecutor(len(self) - 1, initializer=settings) as self._threads:
            yield
        self._threads = None

    def run(self, inputs: Inputs, targets: Array, rows: Array) -> list[Share]:
        """Write the gradient of the mean loss over `rows`.

        The sum over lanes is in their order, so that it has the same bits each time.
        """
        first, *others = self._lanes
        if self._threads is None or len(rows) < len(self):
            return [first.run(inputs, targets, rows)]
        part, *parts = np.array_split(rows, len(self))
        waiting = [
            self._threads.submit(lane.run, inputs, targets, part, len(part) / len(rows))
            for lane, part in zip(others, parts, strict=True)
        ]
        shares = [first.run(inputs, targets, part, len(part) / len(rows))]
        shares += [future.result() for future in waiting]
        for lane in others:
            np.add(self.gradient, lane.gradient, out=self.gradient)
        return shares
