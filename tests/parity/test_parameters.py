"""Initializers, regularizers and constraints beside those of Keras, in float64."""

import importlib
from unittest import mock

import numpy as np
import pytest

from nnreg.builtin import constraints, initializers, regularizers
from tests.parity.comparison import compare, name_of, require_all

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(3)
MATRIX, KERNEL, BIAS = RNG.normal(size=(6, 4)), RNG.normal(size=(3, 3, 2, 5)), RNG.normal(size=7)
ZEROS = np.vstack([MATRIX, np.zeros(4)])

REGULARIZERS = [
    *((regularizers.L1(0.3), "L1", {"l1": 0.3}, w) for w in (MATRIX, KERNEL, BIAS)),
    *((regularizers.L2(0.3), "L2", {"l2": 0.3}, w) for w in (MATRIX, KERNEL, BIAS)),
    *((regularizers.L1L2(0.3, 0.2), "L1L2", {"l1": 0.3, "l2": 0.2}, w)
      for w in (MATRIX, KERNEL, BIAS)),
    (regularizers.L1(), "L1", {}, MATRIX),
    (regularizers.L2(), "L2", {}, MATRIX),
    (regularizers.Orthogonal(), "OrthogonalRegularizer", {}, MATRIX),
    (regularizers.Orthogonal(0.3), "OrthogonalRegularizer", {"factor": 0.3}, MATRIX),
    (regularizers.Orthogonal(0.3, "columns"), "OrthogonalRegularizer",
     {"factor": 0.3, "mode": "columns"}, MATRIX),
    (regularizers.Orthogonal(0.3, "columns"), "OrthogonalRegularizer",
     {"factor": 0.3, "mode": "columns"}, ZEROS),
]  # fmt: skip


@pytest.mark.parametrize("case", REGULARIZERS, ids=lambda case: f"{case[0]} {case[3].shape}")
def test_a_penalty_and_its_gradient_are_keras(torch, keras, case):
    regularizer, name, options, w = case
    leaf = torch.tensor(w, requires_grad=True)
    expected = getattr(keras.regularizers, name)(**options)(leaf)
    expected.backward()
    penalty, gradient = regularizer.forward(w)
    peer = f"keras.regularizers.{name}"
    compare(regularizer, peer, [(penalty, expected)], [(gradient(), leaf.grad)])


WEIGHTS = [(10 * MATRIX, 0), (MATRIX, 0), (10 * KERNEL, (0, 1, 2)), (KERNEL, (0, 1, 2)), (BIAS, 0)]
CONSTRAINTS = [
    (constraints.MaxNorm(), "MaxNorm", {}),
    (constraints.MaxNorm(1.5), "MaxNorm", {"max_value": 1.5}),
    (constraints.UnitNorm(), "UnitNorm", {}),
    (constraints.MinMaxNorm(), "MinMaxNorm", {}),
    (constraints.MinMaxNorm(1.25, 2.0), "MinMaxNorm", {"min_value": 1.25, "max_value": 2.0}),
    (constraints.MinMaxNorm(1.25, 2.0, 0.2), "MinMaxNorm",
     {"min_value": 1.25, "max_value": 2.0, "rate": 0.2}),
    (constraints.NonNegativeValues(), "NonNeg", {}),
]  # fmt: skip


@pytest.fixture
def exact(keras):
    """Yield Keras without what it adds to a norm before it divides by it, 1e-7 by default."""
    before = keras.config.epsilon()
    keras.config.set_epsilon(1e-300)
    yield keras
    keras.config.set_epsilon(before)


@pytest.mark.parametrize("case", CONSTRAINTS, ids=lambda case: str(case[0]))
def test_a_constraint_is_keras(torch, exact, case):
    constraint, name, options = case
    for w, axis in WEIGHTS:
        norms = {} if name == "NonNeg" else {"axis": axis}
        expected = getattr(exact.constraints, name)(**options, **norms)(torch.tensor(w))
        compare(constraint, f"keras.constraints.{name}", [(constraint.project(w), expected)])


def test_a_constraint_along_other_axes_is_keras(torch, exact):
    expected = exact.constraints.MaxNorm(1.5, axis=-1)(torch.tensor(MATRIX))
    constraint = constraints.MaxNorm(1.5, axes=(-1,))
    compare(constraint, "keras.constraints.MaxNorm", [(constraint.project(MATRIX), expected)])


class Drawn:
    """A generator of given numbers, for both libraries."""

    def __init__(self, shape):
        rng = np.random.default_rng(8)
        self.numbers = np.clip(rng.normal(size=shape), -1.9, 1.9)
        self.fractions = rng.random(shape)

    def standard_normal(self, shape):
        return self.numbers.reshape(shape).copy()

    def normal(self, mean, std, shape):
        return mean + std * self.numbers.reshape(shape)

    def uniform(self, low, high, shape):
        return low + (high - low) * self.fractions.reshape(shape)


def scalings():
    for scale, mode in ((1.0, "fan_in"), (0.7, "fan_out"), (2.5, "fan_avg")):
        for own, name in (
            ("normal", "untruncated_normal"),
            ("truncated_normal", "truncated_normal"),
            ("uniform", "uniform"),
        ):
            options = {"scale": scale, "mode": mode, "distribution": name}
            yield initializers.VarianceScaling(scale, mode, own), "VarianceScaling", options


def normal_of(scale, mode):
    """Return the options of an untruncated one, where Keras' of this name is truncated."""
    return {"scale": scale, "mode": mode, "distribution": "untruncated_normal"}


INITIALIZERS = [
    (initializers.Zeros(), "Zeros", {}),
    (initializers.Ones(), "Ones", {}),
    (initializers.Constant(0.3), "Constant", {"value": 0.3}),
    (initializers.Normal(), "RandomNormal", {}),
    (initializers.Normal(0.2, 0.3), "RandomNormal", {"mean": 0.2, "stddev": 0.3}),
    (initializers.Uniform(), "RandomUniform", {}),
    (initializers.Uniform(0.2, 0.3), "RandomUniform", {"minval": 0.2, "maxval": 0.3}),
    (initializers.TruncatedNormal(), "TruncatedNormal", {}),
    (initializers.TruncatedNormal(0.2, 0.3), "TruncatedNormal", {"mean": 0.2, "stddev": 0.3}),
    *scalings(),
    (initializers.VarianceScaling(), "VarianceScaling", {}),
    (initializers.GlorotUniform(), "GlorotUniform", {}),
    (initializers.HeUniform(), "HeUniform", {}),
    (initializers.LecunUniform(), "LecunUniform", {}),
    (initializers.GlorotNormal(), "VarianceScaling", normal_of(1.0, "fan_avg")),
    (initializers.HeNormal(), "VarianceScaling", normal_of(2.0, "fan_in")),
    (initializers.LecunNormal(), "VarianceScaling", normal_of(1.0, "fan_in")),
    (initializers.Orthogonal(), "OrthogonalInitializer", {}),
    (initializers.Orthogonal(1.5), "OrthogonalInitializer", {"gain": 1.5}),
    (initializers.Identity(), "IdentityInitializer", {}),
    (initializers.Identity(1.5), "IdentityInitializer", {"gain": 1.5}),
]


def drawn_by_keras(keras, name, options, shape):
    """Return the values of Keras' initializer, given the numbers of the generator."""
    module = importlib.import_module("keras.src.initializers.random_initializers")
    drawn = Drawn(shape)

    def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        return keras.ops.convert_to_tensor(drawn.normal(mean, stddev, shape))

    def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
        return keras.ops.convert_to_tensor(drawn.uniform(minval, maxval, shape))

    with mock.patch.multiple(
        module.random, normal=normal, truncated_normal=normal, uniform=uniform
    ):
        values = getattr(keras.initializers, name)(**options)(shape, dtype="float64")
    return values.numpy()


@pytest.mark.parametrize("shape", [(6, 4), (3, 5), (3, 3, 2, 5), (7,)], ids=str)
@pytest.mark.parametrize("case", INITIALIZERS, ids=lambda case: str(case[0]))
def test_initial_values_are_keras_given_the_same_random_numbers(keras, case, shape):
    initializer, name, options = case
    try:
        initializer.check_shape(shape)
    except ValueError:
        with pytest.raises(ValueError, match="Received"):
            drawn_by_keras(keras, name, options, shape)
        return
    expected = drawn_by_keras(keras, name, options, shape)
    found = initializer.draw(shape, Drawn(shape))
    compare(initializer, f"keras.initializers.{name}", [(found, expected)])


@pytest.mark.parametrize(
    ("kind", "cases"),
    [("initializer", INITIALIZERS), ("regularizer", REGULARIZERS), ("constraint", CONSTRAINTS)],
)
def test_every_built_in_component_is_compared(kind, cases):
    require_all(kind, {name_of(case[0]) for case in cases})
