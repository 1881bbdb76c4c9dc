"""The piecewise linear encoder of numbers."""

import numpy as np
import pytest

from nnreg.builtin.encoders import PiecewiseLinear
from nnreg.interfaces.encoder import RawColumn


def learned(values, bins=4):
    return PiecewiseLinear(bins).learn(RawColumn.of(values))


def test_each_bin_says_how_far_a_number_is_through_it():
    encoder = learned(np.arange(9.0))
    assert encoder.edges == (0, 2, 4, 6, 8)
    found = encoder.encode(RawColumn.of([-3.0, 3.0, 99.0]))[:, 1:]
    assert found.tolist() == [[0, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize("values", [[5.0, 5.0, 5.0], [0.0, 1.0, 1.0]], ids=str)
def test_a_number_of_two_values_has_no_bins(values):
    encoder = learned(values)
    assert (encoder.edges, encoder.shape) == ((), (1,))


def test_equal_quantiles_are_one_edge():
    encoder = learned([0.0] * 9 + [1.0, 2.0, 3.0])
    assert len(encoder.edges) < 5
    assert encoder.encode(RawColumn.of([0.0])).shape == (1, *encoder.shape)


def test_the_largest_numbers_do_not_overflow():
    huge = np.finfo(float).max
    found = learned([-huge, -1.0, 0.0, 1.0, huge], 2).encode(RawColumn.of([-huge, 0.0, huge]))
    assert np.isfinite(found).all()


def test_edges_of_a_damaged_checkpoint_are_refused():
    with pytest.raises(ValueError, match="ascending order"):
        PiecewiseLinear(edges=(0.0, 2.0, 1.0))
