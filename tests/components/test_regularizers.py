"""Regularizers and constraints, beside Keras's formulas written out."""

import numpy as np
import pytest

from nnreg.builtin import constraints, regularizers
from nnreg.registry.registry import installed
from nnreg.testing import checks

RNG = np.random.default_rng(0)
MATRIX, KERNEL, BIAS = RNG.normal(size=(6, 4)), RNG.normal(size=(3, 3, 2, 5)), RNG.normal(size=7)
BUILT_IN = [
    entry.cls
    for entry in installed()
    if entry.plugin == "nnreg" and entry.kind in ("regularizer", "constraint")
]


@pytest.mark.parametrize("cls", BUILT_IN)
def test_it_passes_its_checks(cls):
    for check in checks(cls):
        check()


def orthogonal(w, mode, factor=0.01):
    axis = 1 if mode == "rows" else 0
    w = w / np.linalg.norm(w, axis=axis, keepdims=True)
    product = w @ w.T if mode == "rows" else w.T @ w
    size = len(product)
    apart = product * (1 - np.eye(size))
    return factor * 0.5 * np.sum(np.abs(apart)) / (size * (size - 1) / 2)


@pytest.mark.parametrize("w", [MATRIX, KERNEL, BIAS], ids=["matrix", "kernel", "bias"])
def test_sums_are_keras(w):
    absolute, squares = np.sum(np.abs(w)), np.sum(w**2)
    for regularizer, expected in (
        (regularizers.L1(0.3), 0.3 * absolute),
        (regularizers.L2(0.3), 0.3 * squares),
        (regularizers.L1L2(0.3, 0.2), 0.3 * absolute + 0.2 * squares),
        (regularizers.L1L2(), 0.01 * absolute + 0.01 * squares),
    ):
        assert regularizer.forward(w)[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_the_orthogonal_penalty_is_keras(mode):
    regularizer = regularizers.Orthogonal(0.3, mode)
    found = regularizer.forward(MATRIX)[0]
    assert found == pytest.approx(orthogonal(MATRIX, mode, 0.3), rel=1e-13)
    perpendicular = np.linalg.qr(MATRIX)[0]
    assert regularizers.Orthogonal(1, "columns").forward(perpendicular)[0] < 1e-15


def test_a_row_of_zeros_has_no_gradient():
    w = np.vstack([MATRIX, np.zeros(4)])
    penalty, gradient = regularizers.Orthogonal().forward(w)
    assert np.isfinite(penalty)
    np.testing.assert_array_equal(gradient()[-1], 0)


def keras_norm(w, bounds, rate, axis):
    lengths = np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))
    wanted = rate * np.clip(lengths, *bounds) + (1 - rate) * lengths
    return w * (wanted / (1e-7 + lengths))


@pytest.mark.parametrize(
    ("w", "axis"),
    [(10 * MATRIX, 0), (10 * KERNEL, (0, 1, 2)), (10 * BIAS, 0)],
    ids=["matrix", "kernel", "bias"],
)
def test_norms_are_keras_but_for_its_epsilon(w, axis):
    for constraint, bounds, rate in (
        (constraints.MaxNorm(1.5), (0, 1.5), 1),
        (constraints.UnitNorm(), (1, 1), 1),
        (constraints.MinMaxNorm(1.25, 2.0), (1.25, 2.0), 1),
        (constraints.MinMaxNorm(1.25, 2.0, rate=0.2), (1.25, 2.0), 0.2),
    ):
        expected = keras_norm(w, bounds, rate, axis)
        np.testing.assert_allclose(constraint.project(w), expected, rtol=1.6e-8)
    own = constraints.MaxNorm(1.5, axes=(-1,))
    expected = keras_norm(w, (0, 1.5), 1, -1)
    np.testing.assert_allclose(own.project(w), expected, rtol=2e-7)


def test_weights_within_the_bounds_keep_every_bit():
    for constraint in (constraints.MaxNorm(100.0), constraints.MinMaxNorm(0.0, 100.0)):
        assert constraint.project(MATRIX).tobytes() == MATRIX.tobytes()


def test_norms_of_extreme_weights_are_right_in_float32():
    w = np.array([[3e30, 3e-30], [4e30, 4e-30]], np.float32)
    found = constraints.UnitNorm().project(w)
    np.testing.assert_allclose(found, [[0.6, 0.6], [0.8, 0.8]], rtol=1e-6)


def test_negative_values_become_0():
    found = constraints.NonNegativeValues().project(MATRIX)
    np.testing.assert_array_equal(found, MATRIX * (MATRIX >= 0))


@pytest.mark.parametrize(
    ("component", "shape", "reason"),
    [
        (regularizers.Orthogonal(), (4,), "it takes a matrix"),
        (regularizers.Orthogonal(), (3, 3, 2, 4), "it takes a matrix"),
        (regularizers.Orthogonal(mode="columns"), (4, 1), "it needs two columns"),
        (regularizers.Orthogonal(), (1, 4), "it needs two rows"),
        (constraints.MaxNorm(axes=(1,)), (4,), "it has 1 axes, and [1] are not among them"),
        (constraints.UnitNorm(axes=(0, -2)), (4, 3), "an axis occurs twice"),
    ],
)
def test_shapes_for_which_it_has_no_meaning_are_refused(component, shape, reason):
    with pytest.raises(ValueError, match=reason.replace("[", r"\[")):
        component.check_shape(shape)
