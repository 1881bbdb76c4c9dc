"""The best epoch and the patience follow from the history, on resuming too."""

import math

import numpy as np
import pytest

import nnreg
from nnreg import UsageError
from nnreg.training.monitor import Monitor
from tests.helpers.specs import blobs, classifier


def history(*values):
    return [{"epoch": epoch, "val_loss": value} for epoch, value in enumerate(values, 1)]


def after(*values, **options):
    monitor = Monitor("val_loss", **options)
    monitor.follow(history(*values))
    return monitor


def test_the_best_epoch_is_the_first_with_the_lowest_value():
    assert after(3, 1, 2, 1).best_epoch == 2


def test_the_best_epoch_is_the_first_with_the_highest_value_if_higher_is_better():
    assert after(3, 4, 2, 4, higher_is_better=True).best_epoch == 2


def test_nan_in_the_first_epoch_is_not_the_best():
    monitor = after(math.nan, 5, math.nan, 4)
    assert (monitor.best_epoch, monitor.best_value) == (4, 4)


def test_of_epochs_that_are_all_nan_the_first_is_the_best():
    assert after(math.nan, math.nan).best_epoch == 1


def test_min_delta_decides_on_the_wait_and_not_on_the_best_epoch():
    monitor = after(1.0, 0.96, 0.93, 0.91, 0.89, min_delta=0.1)
    assert (monitor.best_epoch, monitor.improved_epoch) == (5, 5)
    monitor = after(1.0, 0.96, 0.93, 0.91, min_delta=0.1)
    assert (monitor.best_epoch, monitor.improved_epoch) == (4, 1)


def test_epochs_in_which_a_metric_was_not_measured_are_not_waited_for():
    monitor = Monitor("val_loss")
    monitor.follow([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.1}])
    assert (monitor.best_epoch, monitor.improved_epoch) == (0, 2)


def test_without_a_metric_the_last_epoch_is_the_best():
    monitor = Monitor(None)
    monitor.follow([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.2}])
    assert monitor.best_epoch == 2


def stopping(**options):
    return {"epochs": 60, "batch_size": 16, "early_stopping": {"patience": 3, **options}}


def stopped(**options):
    x, y = blobs(90)
    model = nnreg.build(classifier(train=stopping(**options)), data=(x[:40], y[:40]))
    model.fit(x[:40], y[:40], validation=(x[40:], y[40:]))
    return model


@pytest.fixture
def data():
    x, y = blobs(90)
    return (x[:40], y[:40]), (x[40:], y[40:])


def test_the_kept_weights_are_the_best_ones_with_a_min_delta_too(data):
    model = stopped(min_delta=0.3)
    losses, state = model.history["val_loss"], model.training_state
    assert state.best_epoch == np.argmin(losses) + 1
    model.use_best()
    assert model.evaluate(*data[1])["loss"] == pytest.approx(losses.min(), rel=1e-6)


def test_fit_after_early_stopping_trains_with_its_patience_anew(data):
    model = stopped(min_delta=1e6)  # only the first epoch improves so much
    assert len(model.history) == 4
    model.fit(*data[0], validation=data[1])
    assert len(model.history) == 7
    model.fit(*data[0], validation=data[1], epochs=2)
    assert len(model.history) == 9


def test_a_stopped_training_of_a_run_stays_stopped(data):
    model = stopped(min_delta=1e6)
    prepared = [model.examples(*rows) for rows in data]
    assert model.trainer(*prepared).finished


def test_another_monitor_takes_the_best_value_from_the_history(data, tmp_path):
    model = stopped(min_delta=1e6)
    model.training_state.best_value = -1.0
    nnreg.save(model, tmp_path / "a.h5")
    changes = ["train.early_stopping.monitor=loss", "train.early_stopping.patience=40"]
    again = nnreg.load(tmp_path / "a.h5", changes)
    again.fit(*data[0], validation=data[1], epochs=3)
    state = again.training_state
    assert state.best_epoch == np.argmin(again.history["loss"]) + 1
    assert state.best_value == again.history["loss"].min()


def test_another_monitor_is_refused_if_its_best_weights_were_not_kept(data, tmp_path):
    model = stopped()
    for record, value in zip(model.training_state.history, (0, 9, 9, 9), strict=False):
        record["accuracy"] = -value  # the first epoch is the best by it
    nnreg.save(model, tmp_path / "a.h5")
    again = nnreg.load(tmp_path / "a.h5", ["train.early_stopping.monitor=accuracy"])
    kept = again.training_state.best_epoch
    message = rf"epoch 1 has the best 'accuracy', but the weights of epoch {kept} were kept"
    for record in again.training_state.history[1:]:
        record["accuracy"] = -1
    with pytest.raises(UsageError, match=message):
        again.fit(*data[0], validation=data[1])


def test_a_checkpoint_in_which_min_delta_chose_the_best_epoch_continues(data):
    model = stopped(min_delta=1e6)
    assert model.training_state.best_epoch == 4
    model.training_state.best_epoch = 1  # as an older version would have it
    model.training_state.best_vector[...] = 0
    model.trainer(*(model.examples(*rows) for rows in data))
    assert model.training_state.best_value == model.history["val_loss"][0]


def test_a_metric_that_is_measured_from_now_on_decides_from_now_on(data):
    spec_without = classifier(train={"epochs": 60, "batch_size": 16})
    model = nnreg.build(spec_without, data=data[0])
    model.fit(*data[0], epochs=3)
    assert model.training_state.best_epoch == 3
    model.fit(*data[0], validation=data[1], epochs=2)
    losses = model.history["val_loss"]
    assert model.training_state.best_epoch == np.nanargmin(losses) + 1
    assert model.training_state.best_value == np.nanmin(losses)


def test_fit_with_and_without_validation_may_alternate(data):
    model = nnreg.build(classifier(train={"epochs": 60, "batch_size": 16}), data=data[0])
    for validation in (data[1], None, data[1]):
        model.fit(*data[0], validation=validation, epochs=3)
    losses, state = model.history["val_loss"], model.training_state
    assert state.best_epoch == 7 + np.argmin(losses[6:])
    assert state.best_value == losses[6:].min()
