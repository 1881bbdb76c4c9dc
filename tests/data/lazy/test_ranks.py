"""What each of several ranks reads of data that stay in their file."""

import numpy as np
import pytest

from nnreg._utils.hdf5 import FileDataset
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


@pytest.mark.parametrize("split", [{}, SPLIT])
def test_the_ranks_read_a_file_once_together_and_train_as_one(directory, split, monkeypatch):
    read, counts = FileDataset.read, {}

    def counted(self, segments):
        here = counts.setdefault(id(self), [])
        here.extend(stop - start for start, stop in segments)
        return read(self, segments)

    def train(ranks=ALONE):
        run = prepared(split=split, train=TRAIN)
        trainer = run.model.trainer(run.train, run.validation, ranks=ranks)
        dataset = id(run.train.x.dataset)
        counts[dataset] = []
        list(trainer.epochs())
        return (
            run.model.network.vector.tobytes(),
            [*run.model.history["loss"]],
            sum(counts[dataset]),
        )

    monkeypatch.setattr(FileDataset, "read", counted)
    *expected, alone = train()
    results = on_ranks(4, train)
    for *found, rows in results:
        assert found == expected
        assert rows < 0.55 * alone
    assert sum(rows for *_, rows in results) < 2 * alone


def test_augmentations_that_mix_rows_need_all_of_them(directory):
    train = TRAIN | {"augment": ["mixup"]}

    def weights(ranks=ALONE):
        run = prepared(train=train)
        list(run.model.trainer(run.train, ranks=ranks).epochs())
        return run.model.network.vector.tobytes()

    assert set(on_ranks(2, weights)) == {weights()}
