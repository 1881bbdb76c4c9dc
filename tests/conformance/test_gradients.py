"""The comparison of gradients with central differences, of small and of large arrays."""

import numpy as np
import pytest

from nnreg.testing.finite_differences import MOST_VALUES, require_gradient

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(), (3, 2), (MOST_VALUES,), (9, 5, 4)])
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
