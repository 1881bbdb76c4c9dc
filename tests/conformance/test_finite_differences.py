"""Central differences accept a gradient between the slopes of a kink, and no other."""

import numpy as np
import pytest

from nnreg.testing.finite_differences import difference_beside

NEAR = 3e-6
"""The distance to the kink, within the step."""


def differences(found, x=NEAR):
    """Return the differences of max(x, 3 x) at x, beside a gradient that was found."""
    at = np.array([x])
    (gradient,) = difference_beside(lambda: float(np.maximum(at, 3 * at)[0]), at, np.array([found]))
    return gradient


@pytest.mark.parametrize(("found", "x"), [(3.0, NEAR), (1.0, -NEAR), (2.0, NEAR)])
def test_a_gradient_between_the_slopes_of_a_kink_is_accepted(found, x):
    assert differences(found, x) == found


@pytest.mark.parametrize(("found", "x"), [(0.9, NEAR), (3.1, NEAR), (2.0, 0.5), (3.0, -0.5)])
def test_another_gradient_is_not(found, x):
    assert abs(differences(found, x) - found) > 0.05
