"""Trainings of ensembles whose kernels make many steps of a member in one call."""

from dataclasses import replace

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, Kernels
from nnreg.testing.chains import ChainKernels
from tests.helpers.specs import blobs, classifier
from tests.training.test_trainer import assert_identical

DATA = blobs(count=21)
MEMBERS = 3
DROPOUT = {"type": "dropout", "rate": 0.4}
LAYERS = [
    {"type": "dense", "units": 5, "activation": "tanh"}, DROPOUT,
    {"type": "dense", "units": 4, "activation": "relu", "bias": False}, DROPOUT,
    {"type": "dense", "units": "classes", "activation": "softmax"},
]  # fmt: skip


def matmul(a, b, out=None):
    """Multiply like NumPy, but by another function: members are then passed one by one."""
    return np.matmul(a, b, out=out)


class OneByOne(ChainKernels):
    matmul = staticmethod(matmul)


class PlainOneByOne(Kernels):
    matmul = staticmethod(matmul)


def trainer_of(kernels, weights=None, layers=LAYERS, **train):
    """Return an ensemble and its trainer."""
    model = {"layers": layers, "dtype": "float64", "members": MEMBERS}
    settings = {"batch_size": 8, "epochs": 3, "kernels": "numpy", **train}
    spec = classifier(model=model, train=settings, schedule="cosine", metrics=["accuracy"])
    model = nnreg.build(spec, data=DATA)
    model.network.kernels = kernels
    examples = replace(model.examples(*DATA, training=True), weights=weights)
    trainer = model.trainer(examples)
    assert (trainer._chain is not None) == isinstance(kernels, ChainKernels)
    return model, trainer


def trained(kernels, how=lambda model, trainer: trainer.epochs(), **options):
    model, trainer = trainer_of(kernels, **options)
    list(how(model, trainer))
    return model


WEIGHTS = {
    "none": None,
    "of rows": np.arange(21.0) % 3,
    "of rows for each member": np.arange(63.0).reshape(21, 3) % 4,
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kernels", [(Kernels, ChainKernels), (PlainOneByOne, OneByOne)])
def test_members_take_the_steps_that_they_take_layer_by_layer(kernels, weights):
    options = {"weights": WEIGHTS[weights], "l2": 0.01, "weight_decay": 0.1, "clip_value": 0.2}
    plain, found = (trained(one(), **options) for one in kernels)
    np.testing.assert_allclose(found.network.vector, plain.network.vector, atol=1e-12)
    for expected, record in zip(plain.history, found.history, strict=True):
        assert record == pytest.approx(expected, rel=1e-12)
    assert found.training_state.step == plain.training_state.step


@pytest.mark.parametrize("kernels", [ChainKernels, OneByOne])
def test_members_are_passed_at_once_by_the_products_of_numpy(kernels):
    model, trainer = trainer_of(kernels())
    assert model.network.at_once(trainer._shards.context) == (kernels is ChainKernels)


def one_by_one(model, trainer):
    trainer.on_batch = lambda record: None
    return trainer.epochs()


def in_blocks_of_two(model, trainer):
    trainer._chain.steps_together = 2
    return trainer.epochs()


def with_pauses(model, trainer):
    return trainer.iterate(lambda: model.training_state.step % 2 == 1)


@pytest.mark.parametrize("how", [one_by_one, in_blocks_of_two, with_pauses])
def test_steps_have_the_same_bits_in_every_block(how):
    assert_identical(trained(ChainKernels(), how), trained(ChainKernels()))


def test_an_unfinished_epoch_continues_with_the_same_bits(tmp_path):
    model, trainer = trainer_of(ChainKernels())
    records = trainer.iterate(lambda: True)
    for _ in range(5):
        next(records)
    records.close()
    model.network.kernels = Kernels()  # the others have no name in the file
    nnreg.save(model, tmp_path / "mid.h5")
    resumed = nnreg.load(tmp_path / "mid.h5")
    resumed.network.kernels = ChainKernels()
    list(resumed.trainer(resumed.examples(*DATA, training=True)).epochs())
    assert_identical(trained(ChainKernels()), resumed)


@pytest.mark.parametrize("member", range(MEMBERS))
@pytest.mark.parametrize("row", [0, 20])
def test_no_member_makes_a_step_if_the_loss_of_one_is_not_finite(member, row):
    weights = np.ones((21, MEMBERS))
    weights[row, member] = np.inf
    arguments = []
    for count in (3, row // 8):  # of the steps until the row
        _, trainer = trainer_of(ChainKernels(), weights, shuffle=False)
        chain, vectors = trainer._chain, trainer.training_state.optimizer_state
        losses, scores = np.zeros(count), np.zeros((min(8 * count, 21), MEMBERS, 3))
        draws, rates = chain._drawn(21), np.full(count, 0.1)
        done = chain._steps(np.arange(len(scores)), draws, rates, 1, losses, scores)
        assert done == row // 8
        arguments.append([trainer.network.vector, *vectors.values(), losses[:done]])
        assert count == done or not np.isfinite(losses[done])
    for first, second in zip(*arguments, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_loss_that_is_not_finite_names_the_batch_and_restores_the_weights():
    weights, errors = np.ones((21, MEMBERS)), []
    weights[9, 1] = np.inf
    for kernels in (Kernels(), ChainKernels()):
        model, trainer = trainer_of(kernels, weights, shuffle=False)
        before = model.network.vector.copy()
        with pytest.raises(DivergedError, match="epoch 1, batch 2: the loss is not") as error:
            list(trainer.epochs())
        errors.append(str(error.value))
        np.testing.assert_array_equal(model.network.vector, before)
        assert model.training_state.step == 0
    assert errors[0] == errors[1]
