"""NumPy's kernels beside the plain way to say the same."""

import numpy as np
import pytest

from nnreg.kernels import ROUNDS, Kernels


@pytest.mark.parametrize("places", [1, 3, 40, 5000])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_rows_are_added_wherever_and_however_often_they_are_named(places, count):
    rng = np.random.default_rng(0)
    rows, index = rng.normal(size=(count, 7)), rng.integers(0, places, count)
    out = rng.normal(size=(places, 7))
    expected = out.copy()
    for row, place in zip(rows, index, strict=True):
        expected[place] += row
    Kernels().add_rows(rows, index, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_rows_named_in_as_many_rounds_as_there_are_are_all_added():
    index = np.repeat([2, 0], [ROUNDS, ROUNDS + 1])
    out = np.zeros((3, 1))
    Kernels().add_rows(np.ones((len(index), 1)), index, out)
    np.testing.assert_array_equal(out[:, 0], [ROUNDS + 1, 0, ROUNDS])
