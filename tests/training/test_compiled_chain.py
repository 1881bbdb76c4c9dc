"""Trainings whose kernels make many steps in one call."""

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, Kernels
from nnreg.testing.chains import ChainKernels
from nnreg.training.compiled_chain import obstacles, sizes_against
from nnreg.training.outputs import SeveralEvaluation
from tests.helpers.specs import blobs, classifier, line, regressor
from tests.training.test_trainer import assert_identical

DATA = blobs()
LAYERS = [
    {"type": "dense", "units": 5, "activation": "tanh"},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]


def spec_of(**changes):
    train = {"batch_size": 8, "epochs": 3, "kernels": "numpy", **changes.pop("train", {})}
    model = {"layers": changes.pop("layers", LAYERS), "dtype": "float64"}
    return classifier(model=model, train=train, schedule="cosine", **changes)


def trainer_of(spec, kernels=None, data=DATA, **options):
    """Return a model and its trainer, by default with steps of a chain."""
    model = nnreg.build(spec, data=data)
    model.network.kernels = kernels or ChainKernels()
    trainer = model.trainer(model.examples(*data, training=True), **options)
    assert (trainer._chain is None) == (kernels is not None)
    return model, trainer


def trained(how=lambda model, trainer: trainer.epochs(), kernels=None):
    model, trainer = trainer_of(spec_of(), kernels)
    list(how(model, trainer))
    return model


def one_by_one(model, trainer):
    trainer.on_batch = lambda record: None
    return trainer.epochs()


def in_blocks_of_three(model, trainer):
    trainer._chain.steps_together = 3
    return trainer.epochs()


def with_pauses(model, trainer):
    return trainer.iterate(lambda: model.training_state.step % 3 == 1)


def test_steps_of_a_chain_are_those_of_the_layers():
    plain, found = trained(kernels=Kernels()), trained()
    np.testing.assert_allclose(found.network.vector, plain.network.vector, atol=1e-12)
    for expected, record in zip(plain.history, found.history, strict=True):
        assert record == pytest.approx(expected, rel=1e-12)
    assert found.training_state.step == plain.training_state.step


@pytest.mark.parametrize("how", [one_by_one, in_blocks_of_three, with_pauses])
def test_steps_have_the_same_bits_in_every_block(how):
    assert_identical(trained(how), trained())


def test_every_step_is_reported_with_its_loss_and_learning_rate():
    reported = []
    for kernels in (Kernels(), None):
        _, trainer = trainer_of(spec_of(), kernels)
        records = []
        trainer.on_batch = records.append
        list(trainer.epochs())
        reported.append(records)
    for expected, found in zip(*reported, strict=True):
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_pause_is_after_the_step_that_asked_for_it():
    model, trainer = trainer_of(spec_of())
    records = trainer.iterate(lambda: model.training_state.step == 3)
    assert next(records) is None
    assert model.training_state.step == 3
    records.close()


def test_pauses_between_blocks_suffice_without_each_step():
    model, trainer = trainer_of(spec_of())
    trainer._chain.steps_together = 3
    asked = []
    list(trainer.iterate(lambda: bool(asked.append(model.training_state.step)), each_step=False))
    assert asked == [3, 6, 11, 14, 19, 22]  # not after the eighth, the last of the first epoch


def test_an_unfinished_epoch_continues_with_the_same_bits(tmp_path):
    model, trainer = trainer_of(spec_of())
    records = trainer.iterate(lambda: True)
    for _ in range(11):
        next(records)
    records.close()
    model.network.kernels = Kernels()  # the others have no name in the file
    nnreg.save(model, tmp_path / "mid.h5")
    resumed = nnreg.load(tmp_path / "mid.h5")
    resumed.network.kernels = ChainKernels()
    list(resumed.trainer(resumed.examples(*DATA, training=True)).epochs())
    assert_identical(trained(), resumed)


def test_a_loss_that_is_not_finite_names_the_batch_and_restores_the_weights():
    x, y = line()
    x = np.repeat(x, 2, axis=1)
    layers = [{"type": "dense", "units": 3, "activation": "relu"}, {"type": "dropout"},
              {"type": "dense", "units": 1}]  # fmt: skip
    train = {"epochs": 3, "batch_size": 4, "shuffle": False, "kernels": "numpy"}
    spec = regressor(model={"layers": layers, "dtype": "float64"}, train=train)
    errors = []
    for kernels in (Kernels(), None):
        model, trainer = trainer_of(spec, kernels, (x, y))
        records = trainer.epochs()
        next(records)
        before, done = model.network.vector.copy(), model.training_state.step
        trainer.train.x[9] = 1e300
        with pytest.raises(DivergedError, match="epoch 2, batch 3: the loss is not") as error:
            list(records)
        errors.append(str(error.value))
        np.testing.assert_array_equal(model.network.vector, before)
        assert (model.training_state.step, trainer.consistent) == (done, True)
    assert errors[0] == errors[1]


OBSTACLES = {
    "a limit of the gradients of all members together": {
        "members": 2, "train": {"clip_norm": 1.0}
    },
    "several batches per step": {"train": {"accumulate": 2}},
    "augmentations": {"train": {"augment": "mixup"}},
    "an average of the weights": {"train": {"ema": 0.9}},
    "rules for single parameters": {"train": {"regularize": {"*": "l2"}}},
    "layers that are or were frozen": {"train": {"freeze": ["layers/0"]}},
    "several shards": {"train": {"shards": 2}},
    "products that several threads speed up": {"units": 4000, "train": {"batch_size": 2000}},
    "more activations than fit into the cache": {"units": 4000, "train": {"batch_size": 200}},
}  # fmt: skip


@pytest.mark.parametrize("reason", OBSTACLES)
def test_what_is_done_layer_by_layer(reason):
    case = OBSTACLES[reason]
    spec = spec_of(train=case.get("train", {}))
    spec["model"]["layers"] = [{**LAYERS[0], "units": case.get("units", 5)}, LAYERS[2]]
    spec["model"]["members"] = case.get("members", 1)
    x, y = (np.resize(one, (2000 if "units" in case else 60, *one.shape[1:])) for one in DATA)
    model = nnreg.build(spec, data=(x, y))
    model.network.kernels = ChainKernels()
    train = model.examples(x, y, training=True)
    trainer = model.trainer(train)
    assert trainer._chain is None
    network, settings = model.network, trainer.settings
    found = [
        *obstacles(network, trainer.evaluation, settings, model.training_state),
        *sizes_against(network, settings, len(x), trainer.division),
    ]
    assert reason in found


def test_several_outputs_are_trained_layer_by_layer():
    _, trainer = trainer_of(spec_of())
    arguments = trainer.settings, trainer.training_state
    several = SeveralEvaluation.__new__(SeveralEvaluation)
    vars(several).update(vars(trainer.evaluation))
    assert list(obstacles(trainer.network, several, *arguments)) == ["several outputs or masks"]
