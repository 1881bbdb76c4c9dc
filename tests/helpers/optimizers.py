"""Optimizers from the literature, as a plugin would write them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnreg import Array, Optimizer, UpdateState


@dataclass(frozen=True)
class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix to a momentum. Jordan et al. 2024."""

    state_names = ("momentum",)
    learning_rate: float = 0.02
    beta: float = 0.95

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        momentum = state.vectors["momentum"]
        np.add(self.beta * momentum, gradient, out=momentum)
        direction = gradient + self.beta * momentum
        for _, p, u in state.each(parameters, direction):
            if p.ndim == 2:
                u = math.sqrt(max(1, p.shape[0] / p.shape[1])) * orthogonal(u)
            np.subtract(p, self.learning_rate * u, out=p)


def orthogonal(x: Array) -> Array:
    """Return a matrix with the singular vectors of another, and singular values near 1."""
    x = x / (np.sqrt(np.sum(x * x)) + 1e-7)
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T).T
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


@dataclass(frozen=True)
class Lamb(Optimizer):
    """Adam, with the step of each layer scaled to the norm of its weights. You et al. 2020."""

    state_names = ("m", "v")
    non_negative = ("v",)
    learning_rate: float = 0.01
    decay: float = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, v = state.vectors["m"], state.vectors["v"]
        np.add(0.9 * m, 0.1 * gradient, out=m)
        np.add(0.999 * v, 0.001 * gradient**2, out=v)
        root = np.sqrt(v / (1 - 0.999**state.count))
        direction = m / (1 - 0.9**state.count) / (root + 1e-6) + self.decay * parameters
        for _, p, u in state.each(parameters, direction):
            norm, length = float(np.sum(p * p)) ** 0.5, float(np.sum(u * u)) ** 0.5
            ratio = norm / length if norm and length else 1.0
            np.subtract(p, self.learning_rate * ratio * u, out=p)


@dataclass(frozen=True)
class Sam(Optimizer):
    """Steps by the gradient at the worst point nearby. Foret et al. 2021."""

    radius: float = 0.05

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        start, norm = parameters.copy(), float(np.sqrt(np.sum(gradient * gradient)))
        np.add(parameters, self.radius / (norm + 1e-12) * gradient, out=parameters)
        _, worst = state.evaluate()
        np.subtract(start, self.learning_rate * worst, out=parameters)


@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """L-BFGS with backtracking to a sufficient decrease. Nocedal and Wright 2006, chapter 7."""

    pairs: ClassVar[int] = 5
    state_names = tuple(f"{kind}{k}" for kind in "sy" for k in range(5))
    learning_rate: float = 1.0

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        history = list(self._history(state))
        direction = -two_loops(gradient, history)
        slope = float(np.sum(direction * gradient))
        if not slope < 0:
            return
        start, (loss, _) = parameters.copy(), state.evaluate()
        size = self.learning_rate
        if not history:
            size *= min(1.0, 1 / float(np.sum(np.abs(gradient))))
        for _ in range(20):
            np.add(start, size * direction, out=parameters)
            found, after = state.evaluate()
            if found <= loss + 1e-4 * size * slope:
                slot = state.count % self.pairs
                state.vectors[f"s{slot}"][...] = parameters - start
                state.vectors[f"y{slot}"][...] = after - gradient
                return
            size /= 2
        parameters[...] = start

    def _history(self, state: UpdateState) -> Iterator[tuple[Array, Array, float]]:
        """Yield the pairs of changes with a positive curvature, the latest first."""
        for age in range(1, self.pairs + 1):
            slot = (state.count - age) % self.pairs
            s, y = state.vectors[f"s{slot}"], state.vectors[f"y{slot}"]
            curvature = float(np.sum(s * y))
            if curvature > 0:
                yield s, y, curvature


def two_loops(gradient: Array, history: list[tuple[Array, Array, float]]) -> Array:
    """Return an approximate inverse Hessian times a gradient."""
    q, factors = gradient.copy(), []
    for s, y, curvature in history:
        factors.append(float(np.sum(s * q)) / curvature)
        q = q - factors[-1] * y
    if history:
        _, y, curvature = history[0]
        q = curvature / float(np.sum(y * y)) * q
    for (s, y, curvature), factor in zip(reversed(history), reversed(factors), strict=True):
        q = q + (factor - float(np.sum(y * q)) / curvature) * s
    return q


@dataclass(frozen=True)
class ScheduleFree(Optimizer):
    """AdamW whose weights are averaged, in place of a schedule. Defazio et al. 2024.

    The gradient is that at y = (1 - beta1) z + beta1 x; x, the mean of z, is what is evaluated.
    """

    state_names = ("z", "v")
    non_negative = ("v",)
    elementwise = True
    learning_rate: float = 0.0025
    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        z, v = state.vectors["z"], state.vectors["v"]
        if state.count == 1:
            z[...] = parameters
        np.add(self.beta2 * v, (1 - self.beta2) * gradient**2, out=v)
        root = np.sqrt(v / (1 - self.beta2**state.count))
        step = gradient / (root + 1e-8) + self.decay * parameters
        x = self._mean(parameters, z)
        np.subtract(z, self.learning_rate * step, out=z)
        x = x + (z - x) / state.count
        np.add(self.beta1 * x, (1 - self.beta1) * z, out=parameters)

    def evaluation_parameters(self, parameters: Array, state: UpdateState) -> Array:
        return self._mean(parameters, state.vectors["z"])

    def _mean(self, y: Array, z: Array) -> Array:
        return (y - (1 - self.beta1) * z) / self.beta1
