"""The conformance checks of augmentations. Each takes one with a batch that it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.returned import Caller
from nnreg.testing.assertions import close_in_float32, finite, same
from nnreg.testing.finite_differences import EXTREMES, points
from nnreg.training.augment import check_augmentation, refusal

ROWS, CLASSES = 8, 3

INPUTS: tuple[Shape, ...] = ((6,), (5, 4), (6, 5, 3))
"""The shapes of inputs: an augmentation is checked on those that it takes."""


@dataclass(frozen=True)
class AugmentationCase:
    """An augmentation, and inputs `x` and targets `t` that it takes."""

    augmentation: Augmentation
    x: Array
    t: Array

    def __str__(self) -> str:
        return f"{self.augmentation} on {self.x.shape} with targets {self.t.shape}"

    def run(self, x: Array, t: Array) -> tuple[Array, Array]:
        """Return what a batch becomes, always with the same draws."""
        return self.augmentation.augment(x, t, np.random.default_rng(5))


def returns(case: AugmentationCase) -> None:
    """It returns the inputs and the targets, in their shapes and type."""
    check_augmentation(Caller(case.augmentation), case.x, case.t)


def float32(case: AugmentationCase) -> None:
    """Results in float32 are float32, and agree with those in float64."""
    found = case.run(case.x.astype(np.float32), case.t.astype(np.float32))
    for what, one, expected in zip(("input", "target"), found, _run(case), strict=True):
        close_in_float32(case, f"the changed {what}", one, expected)


def extremes(case: AugmentationCase) -> None:
    """Inputs up to ±10,000 become finite ones, in float32."""
    x = np.resize(np.array(EXTREMES, np.float32), case.x.shape)
    finite(case, "the changed input", case.run(x, case.t.astype(np.float32))[0])


def shares(case: AugmentationCase) -> None:
    """Shares of classes stay >= 0, sum to 1, and the largest is that of the row's own class."""
    if case.t.shape[1:] != (CLASSES,):
        return
    t = _run(case)[1]
    if np.min(t) < 0 or np.max(np.abs(np.sum(t, axis=-1) - 1)) > 1e-6:
        raise AssertionError(f"{case}: shares of classes became {t[0]}, which do not sum to 1")
    kept = np.sum(t * case.t, axis=-1)
    if np.any(kept < np.max(t, axis=-1) - 1e-6):
        raise AssertionError(
            f"{case}: the share of a row's own class became {np.min(kept):.3g}, and that of "
            "another is larger; metrics compare outputs with its own"
        )


def single_rows(case: AugmentationCase) -> None:
    """A batch of a single row, such as the last of an epoch, can be changed."""
    check_augmentation(Caller(case.augmentation), case.x[:1], case.t[:1])


def inputs_unchanged(case: AugmentationCase) -> None:
    """Neither the inputs nor the targets are modified in place."""
    x, t = case.x.copy(), case.t.copy()
    case.run(x, t)
    same(case, "the array of inputs", x, case.x)
    same(case, "the array of targets", t, case.t)


def repeatable(case: AugmentationCase) -> None:
    """Results for the same batch and random numbers are bit-identical."""
    for what, one, again in zip(("inputs", "targets"), _run(case), _run(case), strict=True):
        same(case, f"the {what} of a second call", again, one)


CHECKS = (returns, float32, extremes, shares, single_rows, inputs_unchanged, repeatable)


def checks_of(cls: type[Augmentation]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(augmentation: Augmentation) -> Sequence[AugmentationCase]:
    """Return the augmentation with each batch of classes, and of numbers, that it takes."""
    classes = np.eye(CLASSES)[np.arange(ROWS) % CLASSES]
    found = [
        AugmentationCase(augmentation, points((ROWS, *shape)), t)
        for shape in INPUTS
        for t in (classes, points((ROWS, 1), seed=1), points((ROWS, *shape), seed=1))
        if not refusal(augmentation, shape, t.shape[1:])
    ]
    if not found:
        raise AssertionError(f"{augmentation}: check_shapes refuses inputs of all shapes {INPUTS}")
    return found


def _run(case: AugmentationCase) -> tuple[Array, Array]:
    return case.run(case.x.copy(), case.t.copy())
