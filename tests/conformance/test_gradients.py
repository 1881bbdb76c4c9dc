"""The comparison of gradients with central differences, of small and of large arrays."""

import numpy as np
import pytest

from nnreg.testing.finite_differences import MAX_DIRECTIONS, require_gradient, slope_beside

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(), (3, 2), (MAX_DIRECTIONS,), (9, 5, 4)])
def test_a_right_gradient_passes_and_a_wrong_one_of_any_value_fails(shape):
    x, weight = (np.array(RNG.normal(size=shape)) for _ in range(2))
    before = x.copy()

    def f():
        return np.sum(weight * np.sin(x))

    gradient = np.asarray(weight * np.cos(x))
    require_gradient("sin", "the gradient", gradient, f, x)
    np.testing.assert_array_equal(x, before)
    for index in np.ndindex(shape):
        wrong = gradient.copy()
        wrong[index] += 1e-4
        with pytest.raises(AssertionError, match=r"sin: the gradient.* is off by"):
            require_gradient("sin", "the gradient", wrong, f, x)


def test_a_gradient_that_is_not_a_number_fails():
    x, gradient = np.ones((20, 20)), np.ones((20, 20))
    gradient[7, 13] = np.nan
    with pytest.raises(AssertionError, match="is off by nan"):
        require_gradient("sum", "the gradient", gradient, x.sum, x)


NEAR = 3e-6
"""The distance to the kink, within the step."""


def slope(found, x):
    """Return the slope of max(x, 3 x) at x, beside one that was found."""
    at = np.array([x])
    return slope_beside(lambda: np.maximum(at, 3 * at)[0], at, np.ones(1), found)


@pytest.mark.parametrize(("found", "x"), [(3.0, NEAR), (1.0, -NEAR), (2.0, NEAR)])
def test_a_slope_between_those_beside_a_kink_is_accepted(found, x):
    assert slope(found, x) == found


@pytest.mark.parametrize(("found", "x"), [(0.9, NEAR), (3.1, NEAR), (2.0, 0.5), (3.0, -0.5)])
def test_another_slope_is_not(found, x):
    assert abs(slope(found, x) - found) > 0.05
