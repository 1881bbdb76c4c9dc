"""Steps of chains of dense layers in one call of compiled kernels, compared with those by layer."""

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError
from nnreg.builtin.kernels.numba_chain import ACTIVATIONS
from nnreg.training.trainer import Trainer
from tests.training.test_trainer import assert_identical

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

LABELS = "cross_entropy"


def layer(units, activation="identity", **options):
    return {"type": "dense", "units": units, "activation": activation, **options}


SOFTMAX = layer("classes", "softmax")
LAYERS = (layer(5, "tanh"), SOFTMAX)


def data_for(loss, rows=30, features=3):
    """Return inputs and targets as a loss takes them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features))
    if loss == LABELS:
        return x, (np.arange(rows) + (x[:, 0] > 0)) % 3
    if loss == "binary_cross_entropy":
        return x, np.where(x[:, 0] + rng.normal(size=rows) > 0, "yes", "no")
    return x, rng.normal(size=(rows, 2)) + x[:, :1]


def model_of(kernels, loss=LABELS, layers=LAYERS, dtype="float64", **options):
    """Return a model, and the rows of its data."""
    train = {"batch_size": 7, "epochs": 3, "kernels": kernels, **options.pop("train", {})}
    spec = {"optimizer": {"type": "adam", "learning_rate": 0.02}, "loss": loss, **options}
    spec |= {"model": {"layers": list(layers), "dtype": dtype}, "train": train}
    name = loss if isinstance(loss, str) else loss["type"]
    x, y = data_for(name)
    return nnreg.build(spec, data=(x, y)), x, y


def trainer_of(kernels, weights=None, validation=False, **options):
    """Return a model and its trainer, which has a compiled chain with Numba only."""
    model, x, y = model_of(kernels, **options)
    train = model.with_sample_weights(model.examples(x, y, training=True), x, weights)
    held_out = model.examples(x[:9], y[:9]) if validation else None
    trainer = model.trainer(train, held_out)
    assert (trainer._chain is not None) == (kernels == "numba")
    return model, trainer


def compare(tolerance=1e-11, **options):
    """Train by layer and as a chain, and require the same numbers."""
    (plain, first), (model, second) = (trainer_of(k, **options) for k in ("numpy", "numba"))
    for expected, found in zip(first.epochs(), second.epochs(), strict=True):
        assert found.keys() == expected.keys()
        assert list(found.values()) == pytest.approx(list(expected.values()), rel=tolerance)
    scale = np.abs(plain.network.vector).max()
    np.testing.assert_allclose(model.network.vector, plain.network.vector, atol=tolerance * scale)
    for name, vector in plain.training_state.optimizer_state.items():
        found = model.training_state.optimizer_state[name]
        np.testing.assert_allclose(found, vector, atol=tolerance * (np.abs(vector).max() + 1e-9))
    assert model.training_state.step == plain.training_state.step
    norms = first.gradient_norms()
    assert second.gradient_norms() == pytest.approx(norms, rel=100 * tolerance)


def output_for(loss, activation):
    if loss == LABELS:
        return SOFTMAX
    if loss == "binary_cross_entropy":
        return layer(1, "sigmoid")
    return layer(2, activation)


@pytest.mark.parametrize("activation", [one.__name__.lower() for one in ACTIVATIONS])
@pytest.mark.parametrize(
    "loss",
    [LABELS, {"type": LABELS, "label_smoothing": 0.2}, "binary_cross_entropy",
     {"type": "binary_cross_entropy", "label_smoothing": 0.1}, "mean_squared_error",
     "mean_absolute_error", {"type": "huber", "delta": 0.3}],
    ids=lambda one: one if isinstance(one, str) else f"{one['type']} with an option",
)  # fmt: skip
def test_every_loss_and_activation(loss, activation):
    activation = {"leakyrelu": {"type": "leaky_relu", "slope": 0.2}}.get(activation, activation)
    last = output_for(loss if isinstance(loss, str) else loss["type"], activation)
    compare(loss=loss, layers=[layer(5, activation), layer(4, activation, bias=False), last])


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", {"type": "sgd", "momentum": 0.8}, {"type": "sgd", "momentum": 0.8, "nesterov": True},
     {"type": "rmsprop", "rho": 0.8, "epsilon": 1e-3}, {"type": "adam", "beta1": 0.7},
     {"type": "adamw", "weight_decay": 0.3, "epsilon": 1e-4}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("schedule", [None, "cosine", "step"])
def test_every_optimizer_and_schedule(optimizer, schedule):
    named = {} if schedule is None else {"schedule": SCHEDULES[schedule]}
    compare(optimizer=optimizer, **named)


SCHEDULES = {"cosine": "cosine", "step": {"type": "step", "every": 1, "decay": 0.5}}


@pytest.mark.parametrize(
    "train",
    [{"l1": 0.01}, {"l2": 0.01}, {"weight_decay": 0.1}, {"clip_norm": 0.1}, {"clip_norm": 100.0},
     {"clip_value": 0.01}, {"l1": 0.1, "l2": 0.1, "weight_decay": 0.5, "clip_norm": 0.2,
      "clip_value": 0.05}, {"shuffle": False}],
    ids=str,
)  # fmt: skip
def test_every_setting(train):
    compare(train=train, layers=[layer(5, "relu"), layer(4, "sigmoid", bias=False), SOFTMAX])


@pytest.mark.parametrize("batch_size", [1, 2, 8, 15, 16, 17, 29, 30, 100])
def test_batches_of_every_size(batch_size):
    compare(train={"batch_size": batch_size})


@pytest.mark.parametrize("units", [(1,), (2, 1), (3, 5), (4,), (9, 7, 8), (17, 33), (64, 6)])
def test_layers_of_every_width(units):
    compare(layers=[*(layer(one, "tanh") for one in units), SOFTMAX])


@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
def test_weights_of_examples(loss):
    weights = np.arange(30) % 4
    compare(loss=loss, weights=weights, layers=[layer(5, "relu"), output_for(loss, "identity")])


@pytest.mark.parametrize("batch_size", [7, 30])
def test_dropout_draws_the_same_numbers(batch_size):
    dropout = {"type": "dropout", "rate": 0.4}
    layers = [layer(5, "tanh"), dropout, layer(6, "relu", bias=False), dropout, SOFTMAX]
    compare(layers=layers, train={"batch_size": batch_size})


def test_metrics_and_validation():
    compare(metrics=["accuracy", "log_loss"], validation=True)
    compare(loss="mean_squared_error", layers=[layer(2)], metrics=["mean_absolute_error"])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
def test_single_precision(loss, activation):
    layers = [layer(20, activation), layer(9, activation), output_for(loss, "identity")]
    compare(1e-5, loss=loss, layers=layers, dtype="float32")


def test_blocks_of_steps_have_the_same_bits(monkeypatch):
    dropout = {"type": "dropout", "rate": 0.4}
    options = {
        "layers": [layer(5, "tanh"), dropout, SOFTMAX], "dtype": "float32",
        "metrics": ["accuracy"], "schedule": "cosine", "train": {"batch_size": 4},
    }  # fmt: skip

    def one_by_one(model, trainer):
        trainer.on_batch = lambda record: None
        return trainer.epochs()

    def in_blocks_of_three(model, trainer):
        trainer._chain.steps_together = 3
        return trainer.epochs()

    def with_pauses(model, trainer):
        return trainer.iterate(lambda: model.training_state.step % 3 == 1)

    model, trainer = trainer_of("numba", **options)
    list(trainer.epochs())
    for other in (one_by_one, in_blocks_of_three, with_pauses):
        again, trainer = trainer_of("numba", **options)
        list(other(again, trainer))
        assert_identical(model, again)


def test_a_batch_is_reported_with_its_loss_and_learning_rate():
    reported = []
    for kernels in ("numpy", "numba"):
        _, trainer = trainer_of(kernels, schedule="cosine")
        records = []
        trainer.on_batch = records.append
        list(trainer.epochs())
        reported.append(records)
    assert len(reported[0]) == 15
    for expected, found in zip(*reported, strict=True):
        assert found == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("pauses", [False, True])
def test_an_unfinished_epoch_continues_with_the_same_bits(pauses, tmp_path):
    options = {"dtype": "float32", "train": {"batch_size": 4}, "metrics": ["accuracy"]}
    whole, trainer = trainer_of("numba", **options)
    list(trainer.epochs())
    model, trainer = trainer_of("numba", **options)
    iterator = trainer.iterate(lambda: pauses or model.training_state.step >= 3, each_step=pauses)
    while model.training_state.step < 3:
        next(iterator)
    iterator.close()
    nnreg.save(model, tmp_path / "mid.h5")
    resumed = nnreg.load(tmp_path / "mid.h5")
    assert resumed.training_state.epoch_state is not None or not pauses
    x, y = data_for(LABELS)
    list(resumed.trainer(resumed.examples(x, y, training=True)).epochs())
    assert_identical(whole, resumed)


def test_a_loss_that_is_not_finite_names_the_batch_and_restores_the_weights():
    errors = []
    for kernels in ("numpy", "numba"):
        options = {"loss": "mean_squared_error", "layers": [layer(3, "relu"), layer(2)]}
        model, trainer = trainer_of(kernels, train={"shuffle": False}, **options)
        next(iter(trainer.epochs()))
        before = model.network.vector.copy()
        trainer.train.x[17] = 1e300
        with pytest.raises(DivergedError) as error:
            list(trainer.epochs())
        errors.append(str(error.value))
        np.testing.assert_array_equal(model.network.vector, before)
        assert model.training_state.step == 5
        assert trainer.consistent
    assert "epoch 2, batch 3" in errors[1]
    assert errors[0] == errors[1]


@pytest.mark.parametrize("where", ["input", "weight"])
def test_values_that_are_not_numbers_are_found(where):
    model, trainer = trainer_of("numba", layers=[layer(5, "relu"), SOFTMAX], dtype="float32")
    if where == "input":
        trainer.train.x[3] = np.nan
    else:
        model.network.vector[-1] = np.inf
    with pytest.raises(DivergedError, match="the loss is not finite"):
        list(trainer.epochs())


def test_frozen_layers_and_others_run_layer_by_layer():
    chains = {
        "accumulate": {"accumulate": 2},
        "ema": {"ema": 0.9},
        "freeze": {"freeze": ["layers/0"]},
        "regularize": {"regularize": {"*": "l2"}},
        "constrain": {"constrain": {"*": "non_negative"}},
        "learning_rates": {"learning_rates": {"layers/0/*": 0.1}},
        "augment": {"augment": "mixup"},
        "shards": {"shards": 2},
    }
    for train in chains.values():
        model, x, y = model_of("numba", train=train)
        assert Trainer is type(trainer := model.trainer(model.examples(x, y, training=True)))
        assert trainer._chain is None, train
