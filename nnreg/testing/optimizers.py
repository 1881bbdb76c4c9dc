"""The conformance checks of optimizers. Each takes one instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.optimizer import Optimizer, UpdateState
from nnreg.interfaces.optimizer_trial import trial_state
from nnreg.testing.assertions import close, finite, same, shape
from nnreg.testing.finite_differences import points
from nnreg.testing.strict_arrays import StrictWorkspace, as_strict, unwrap

SIZE = 12
STEPS = 3
START = points((SIZE,))
GRADIENTS = points((STEPS, SIZE), seed=1)


def check_optimizer(optimizer: Optimizer) -> None:
    """Run all checks on an optimizer."""
    for check in checks_of(type(optimizer)):
        check(optimizer)


def descends(optimizer: Optimizer) -> None:
    """The first step is in a descent direction."""
    run = _OptimizerRun(optimizer, START)
    run.step(START)  # the gradient of Σ p² / 2
    if not float(np.dot(run.parameters - START, START)) < 0:
        raise AssertionError(f"{optimizer}: its first step is not in a descent direction")


def extremes(optimizer: Optimizer) -> None:
    """Parameters stay finite with gradients of 0 and of ±10,000, in float32."""
    for size in (0.0, 1e-8, 1e4):
        run = _OptimizerRun(optimizer, START.astype(np.float32))
        for _ in range(STEPS):
            run.step(np.resize(np.array([size, -size], np.float32), SIZE))
        finite(optimizer, f"a parameter after gradients of ±{size:g}", run.parameters)


def float32(optimizer: Optimizer) -> None:
    """Steps in float32 agree with those in float64."""
    double, single = (
        _OptimizerRun(optimizer, START),
        _OptimizerRun(optimizer, START.astype(np.float32)),
    )
    for gradient in GRADIENTS:
        double.step(gradient)
    for gradient in GRADIENTS:
        single.step(gradient.astype(np.float32))
    close(optimizer, "a parameter in float32", single.parameters, double.parameters, 1e-4)


def gradient_unchanged(optimizer: Optimizer) -> None:
    """The gradient is not modified."""
    run, gradient = _OptimizerRun(optimizer, START), GRADIENTS[0].copy()
    optimizer.update(run.parameters, gradient, run.state_of(1, gradient))
    same(optimizer, "the gradient after the step", gradient, GRADIENTS[0])


def in_place(optimizer: Optimizer) -> None:
    """A step modifies every parameter with a gradient in place."""
    run = _OptimizerRun(optimizer, START)
    run.step(GRADIENTS[0])
    if np.any(run.parameters == START):
        raise AssertionError(f"{optimizer}: a parameter with a gradient was not modified")


def repeatable(optimizer: Optimizer) -> None:
    """Results for the same gradients are bit-identical."""
    same(optimizer, "the parameters of a second run", _trained(optimizer), _trained(optimizer))


def reentrant(optimizer: Optimizer) -> None:
    """Its only state is in its vectors, so that two networks can use it alternately."""
    expected = _trained(optimizer)
    run, other = _OptimizerRun(optimizer, START), _OptimizerRun(optimizer, 2 * START)
    for gradient in GRADIENTS:
        run.step(gradient)
        other.step(3 * gradient)
    what = "a parameter, with steps of another network in between,"
    close(optimizer, what, run.parameters, expected, 1e-12)


def elementwise(optimizer: Optimizer) -> None:
    """If declared, updates of a vector in chunks are the same."""
    if not optimizer.elementwise:
        return
    chunks = [slice(0, 5), slice(5, SIZE)]
    runs = [_OptimizerRun(optimizer, START[chunk]) for chunk in chunks]
    for gradient in GRADIENTS:
        for run, chunk in zip(runs, chunks, strict=True):
            run.step(gradient[chunk])
    found = np.concatenate([run.parameters for run in runs])
    close(optimizer, "a parameter of a vector in two chunks", found, _trained(optimizer), 1e-12)


def dispatch(optimizer: Optimizer) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    run = _OptimizerRun(optimizer, START, wrapped=True)
    for gradient in GRADIENTS:
        run.step(gradient)
    what = "a parameter of another array type"
    close(optimizer, what, unwrap(run.parameters), _trained(optimizer), 1e-12)


def evaluation_parameters(optimizer: Optimizer) -> None:
    """If overridden, they are as many finite numbers, and computing them changes nothing."""
    if not optimizer.overrides_evaluation_parameters():
        return
    run = _OptimizerRun(optimizer, START)
    for gradient in GRADIENTS:
        run.step(gradient)
        before, vectors = run.parameters.copy(), {k: v.copy() for k, v in run.vectors.items()}
        first, second = run.evaluated(), run.evaluated()
        shape(optimizer, "what evaluation_parameters returns", first, START.shape)
        finite(optimizer, "what evaluation_parameters returns", first)
        same(optimizer, "what evaluation_parameters returns for the same step", second, first)
        same(optimizer, "a parameter in evaluation_parameters", run.parameters, before)
        for name, vector in vectors.items():
            same(optimizer, f"{name!r} in evaluation_parameters", run.vectors[name], vector)
    if optimizer.elementwise:
        chunk = slice(0, 5)
        part = _OptimizerRun(optimizer, START[chunk])
        for gradient in GRADIENTS:
            part.step(gradient[chunk])
        what = "what evaluation_parameters returns for a chunk"
        close(optimizer, what, part.evaluated(), run.evaluated()[chunk], 1e-12)


CHECKS = (
    descends,
    extremes,
    float32,
    gradient_unchanged,
    in_place,
    repeatable,
    reentrant,
    elementwise,
    dispatch,
    evaluation_parameters,
)


def checks_of(cls: type[Optimizer]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    left_out = {
        elementwise: not cls.elementwise,
        evaluation_parameters: cls.evaluation_parameters is Optimizer.evaluation_parameters,
    }
    return [check for check in CHECKS if not left_out.get(check)]


def cases(optimizer: Optimizer) -> Sequence[Optimizer]:
    """Return the arguments of the checks."""
    return [optimizer]


class _OptimizerRun:
    """Parameters and optimizer state over several steps."""

    def __init__(self, optimizer: Optimizer, start: Array, *, wrapped: bool = False) -> None:
        self._wrap: Any = as_strict if wrapped else np.asarray
        dtype: npt.DTypeLike = start.dtype
        self._optimizer = optimizer
        self._workspace = (StrictWorkspace if wrapped else Workspace)(dtype, reuse=True)
        self.vectors = {name: self._wrap(np.zeros_like(start)) for name in optimizer.state_names}
        self._count = 0
        self.parameters = self._wrap(start.copy())

    def state_of(self, count: int, gradient: Array) -> UpdateState:
        """Return the state of a step."""
        self._workspace.rewind()
        return trial_state(
            self._optimizer, self.parameters, gradient, self.vectors, self._workspace, count
        )

    def step(self, gradient: Array) -> None:
        """Make one update with a copy of the gradient."""
        self._count += 1
        gradient = self._wrap(gradient.copy())
        self._optimizer.update(self.parameters, gradient, self.state_of(self._count, gradient))

    def evaluated(self) -> Array:
        """Return the parameters to evaluate after a step."""
        state = self.state_of(self._count, self.parameters)
        return self._optimizer.evaluation_parameters(self.parameters, state)


def _trained(optimizer: Optimizer) -> Array:
    run = _OptimizerRun(optimizer, START)
    for gradient in GRADIENTS:
        run.step(gradient)
    parameters: Array = run.parameters
    return parameters
