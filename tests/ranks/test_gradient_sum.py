"""The sum of the gradients of all shards."""

import numpy as np
import pytest

from nnreg._utils.statistics import tree_sum
from nnreg.ranks.gradient_sum import GradientSum, additions_within, shards_of
from tests.ranks.threads import on_ranks


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("count", range(1, 12))
def test_it_has_the_bits_of_the_tree_on_any_number_of_ranks(count, size):
    rng = np.random.default_rng(count)
    scale = 10.0 ** rng.integers(-4, 4, (count, 1))
    gradients = (rng.normal(size=(count, size)) * scale).astype(np.float32)
    expected = tree_sum([one.copy() for one in gradients])

    def add(ranks):
        part = shards_of(count, ranks.size)[ranks.rank]
        own = [gradients[shard].copy() for shard in part]
        for one, other in additions_within(count, part):
            own[one - part.start] += own[other - part.start]
        GradientSum(ranks, count, own).run()
        return own[0]

    for number in range(2, min(count, 5) + 1):
        for found in on_ranks(number, add):
            np.testing.assert_array_equal(found, expected)


def test_a_sum_in_the_order_of_the_ranks_would_have_other_bits():
    gradients = np.float32([[1e8], [1], [-1e8], [1]])
    assert tree_sum([one.copy() for one in gradients]) == 0 != np.sum(gradients[[0, 2, 1, 3]])


def test_of_as_many_shards_as_ranks_each_rank_sends_its_own_and_adds_a_slice():
    def size(ranks):
        return GradientSum(ranks, 4, [np.zeros(100, np.float32)]).nbytes

    assert on_ranks(4, size) == [4 * 25 * 4] * 4


def test_shards_of_a_rank_are_added_before_anything_is_sent():
    def size(ranks):
        return GradientSum(ranks, 8, [np.zeros(100, np.float32)] * 4).nbytes

    assert on_ranks(2, size) == [2 * 50 * 4] * 2
