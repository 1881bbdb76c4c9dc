"""A training on several ranks, here in threads, is bit-identical to one in a single process."""

from contextlib import closing

import numpy as np
import pytest

import nnreg
from nnreg.errors import DivergedError, SpecError
from nnreg.ranks.group import ALONE
from nnreg.testing.threads import COMPONENTS, SMALL, Training, digest
from tests.ranks.threads import on_ranks

TRAININGS = {**SMALL, **COMPONENTS}

any_training = pytest.mark.parametrize("name", TRAININGS)


def digest_on(ranks, training, **settings):
    trainer = training.trainer(training.model(shards=4, **settings), ranks)
    for _ in trainer.epochs():
        pass
    return digest(trainer)


@any_training
def test_ranks_change_no_bit_of_a_training(name):
    expected = digest_on(ALONE, TRAININGS[name])
    for count in (2, 3, 4):
        assert (
            on_ranks(count, lambda ranks: digest_on(ranks, TRAININGS[name])) == [expected] * count
        )


@pytest.mark.parametrize("threads", [2, 3])
def test_nor_do_threads_of_a_rank(threads):
    training = SMALL["convolution with batch norm"]
    found = on_ranks(2, lambda ranks: digest_on(ranks, training, threads=threads))
    assert set(found) == {digest_on(ALONE, training)}


@any_training
def test_nor_does_it_if_a_training_continues_in_mid_epoch_on_another_number(name, tmp_path):
    training = TRAININGS[name]
    file = tmp_path / "last.h5"
    nnreg.save(training.model(shards=4), file)

    def step(ranks):
        model = nnreg.load(file)
        with closing(training.trainer(model, ranks).iterate(lambda: ranks.rank == 1)) as steps:
            next(steps)
        if ranks.is_first:
            nnreg.save(model, tmp_path / "next.h5")

    for count in (2, 4, 3):
        on_ranks(count, step)
        (tmp_path / "next.h5").replace(file)
    trainer = training.trainer(nnreg.load(file))
    assert len(list(trainer.epochs())) >= 1
    assert digest(trainer) == digest_on(ALONE, training)


def test_fewer_shards_than_ranks_are_refused_with_the_number_to_set():
    def train(ranks):
        training = SMALL["dense"]
        with pytest.raises(SpecError, match=r"train.shards: .*set it to 3"):
            training.trainer(training.model(shards=2), ranks)

    on_ranks(3, train)


def test_what_cannot_be_divided_trains_on_one_process():
    def train(ranks):
        training = Training([], (4,), settings={"batch_size": 2})
        with pytest.raises(SpecError, match="it has 2 rows; start fewer processes"):
            training.trainer(training.model(), ranks)

    on_ranks(3, train)


def test_a_loss_of_one_rank_that_is_not_finite_ends_all(monkeypatch):
    """The rank that has it explains it; here without MPI, which brings its error to the others."""
    training = SMALL["dense"]

    def train(ranks):
        model = training.model(shards=2)
        trainer = training.trainer(model, ranks)
        trainer.train.x[:] = np.inf
        waited = []
        monkeypatch.setattr(type(ranks), "wait_for_error", lambda self: waited.append(self.rank))
        with pytest.raises(DivergedError, match="epoch 1, batch 1: the loss is not finite"):
            next(trainer.epochs())
        return model.network.vector.tobytes() == training.model(shards=2).network.vector.tobytes()

    assert on_ranks(2, train) == [True, True]
