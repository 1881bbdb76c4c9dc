"""The conformance checks of activations with parameters. Each takes one, and an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.trainable_activation import TrainableActivation
from nnreg.network.initial_values import WithInitialValues
from nnreg.testing import activations, layers
from nnreg.testing.assertions import close
from nnreg.testing.finite_differences import points
from nnreg.testing.layer_pass import LayerCase, Pass
from nnreg.testing.layers import cases

__all__ = ["cases", "checks_of"]


def buffered(case: LayerCase) -> None:
    """The in-place methods, with and without a bias, give the same results."""
    activation = _activation(case)
    case = replace(case, x=case.x.reshape(-1, case.x.shape[-1]))
    bias, dbias = points(case.x.shape[-1:], seed=2), np.full(case.x.shape[-1:], np.nan)
    plain, tried = Pass(case), Pass(case, filled=np.nan)
    y, dx = _run(plain)
    found, backward = activation.forward_inplace(case.x.copy(), tried.inner)
    close(case, "the buffered output", found, y, 1e-14)
    close(case, "the buffered gradient", backward(plain.dy.copy()), dx, 1e-13)
    close(case, "the buffered parameters' gradient", tried.gradient, plain.gradient, 1e-12)
    plain, tried = Pass(replace(case, x=case.x + bias)), Pass(case, filled=np.nan)
    y, dx = _run(plain)
    found, biased = activation.forward_bias_inplace(case.x.copy(), bias, tried.inner)
    close(case, "the biased output", found, y, 1e-14)
    close(case, "the biased gradient", biased(plain.dy.copy(), dbias), dx, 1e-13)
    close(case, "the bias gradient", dbias, np.sum(dx, axis=0), 1e-12)
    close(case, "the biased parameters' gradient", tried.gradient, plain.gradient, 1e-12)


def keeps_shape(case: LayerCase) -> None:
    """The output has the shape of the input."""
    found = Pass(case).output
    if found != case.x.shape[1:]:
        raise AssertionError(f"{case}: build returned {found}, not the shape that it was given")


def checks_of(cls: type[TrainableActivation]) -> Sequence[Any]:
    """Return the checks that apply to this class: those of layers, and of other activations."""
    of_activations = [
        _at_initial_values(check)
        for check in activations.checks_of(cls)
        if check in (activations.kinks, activations.declared_range, activations.sums_to_one)
    ]
    skipped = {layers.output_range}
    if cls.infer is TrainableActivation.infer:
        skipped.add(layers.inferred)
    of_layers = [one for one in layers.checks_of(cls) if one not in skipped]
    return [*of_layers, keeps_shape, buffered, *of_activations]


def _at_initial_values(check: Callable[[Activation], None]) -> Callable[[LayerCase], None]:
    """Return a check of other activations for one with parameters."""

    def run(case: LayerCase) -> None:
        check(WithInitialValues(_activation(case)))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


def _run(tried: Pass) -> tuple[Array, Array]:
    y, dx = tried.run()
    assert dx is not None  # the activation has passed `returns`
    return y, dx


def _activation(case: LayerCase) -> TrainableActivation:
    assert isinstance(case.layer, TrainableActivation)
    return case.layer
