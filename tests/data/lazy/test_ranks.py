"""What each of several ranks reads of data that stay in their file."""

from dataclasses import replace

import numpy as np
import pytest

from nnreg.ranks.group import ALONE
from nnreg.training.epoch import order_of
from nnreg.training.gradient import shards_in_order
from tests.data.lazy.stored import ROWS, SPLIT, prepared
from tests.ranks.threads import on_ranks

TRAIN = {"epochs": 2, "batch_size": 12, "shards": 4}


def order(**changes):
    run = prepared(train=TRAIN | changes)
    return order_of(run.train, run.model.spec.train, run.model.spec.seed, 1, TRAIN["shards"])


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"batch_size": 500}])
def test_every_row_occurs_once(directory, changes):
    np.testing.assert_array_equal(np.sort(order(**changes)), np.arange(ROWS))


def test_a_batch_has_rows_from_all_over_the_file_and_neighbours_rarely_stay_together(directory):
    found = order()
    assert np.mean([np.ptp(found[s : s + 12]) for s in range(0, ROWS, 12)]) > ROWS / 2
    assert np.mean(np.abs(np.diff(found)) == 1) < 0.1


def test_the_rows_of_a_shard_are_from_blocks_that_the_others_hardly_read(directory):
    window = order()[:72]
    shards = shards_in_order(12, 4, len(window))
    blocks = [set(window[shards == shard] // 8) for shard in range(4)]
    assert sum(map(len, blocks)) < 1.5 * len(set.union(*blocks))


class Counted:
    """A dataset, and how many of its rows were read."""

    def __init__(self, dataset):
        self.dataset, self.rows = dataset, 0

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def read(self, segments):
        self.rows += sum(stop - start for start, stop in segments)
        return self.dataset.read(segments)


@pytest.mark.parametrize("split", [{}, SPLIT])
def test_each_rank_reads_its_share_of_the_rows_and_trains_as_one(directory, split):
    def train(ranks=ALONE):
        run = prepared(split=split, train=TRAIN)
        dataset = Counted(run.train.x.dataset)
        examples = replace(run.train, x=replace(run.train.x, dataset=dataset))
        list(run.model.trainer(examples, run.validation, ranks=ranks).epochs())
        records = [dict(one) for one in run.model.history]
        return run.model.network.vector.tobytes(), records, dataset.rows

    *expected, alone = train()
    for *found, rows in on_ranks(4, train):
        assert found == expected
        assert rows < 0.3 * alone


def test_augmentations_that_mix_rows_need_all_of_them(directory):
    train = TRAIN | {"augment": ["mixup"]}

    def weights(ranks=ALONE):
        run = prepared(train=train)
        list(run.model.trainer(run.train, ranks=ranks).epochs())
        return run.model.network.vector.tobytes()

    assert set(on_ranks(2, weights)) == {weights()}
