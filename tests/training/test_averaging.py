"""The moving average of the weights: it is evaluated, kept as the best, saved, predicted with."""

import json

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, DivergedError
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from tests.helpers.specs import blobs, classifier, line, regressor

LAYERS = [{"type": "batch_norm"}, *classifier()["model"]["layers"]]


def spec(ema=0.8, **train):
    settings = {"epochs": 4, "batch_size": 16, "ema": ema, **train}
    return classifier(model={"layers": LAYERS, "dtype": "float64"}, train=settings)


def splits():
    x, y = blobs()
    return (x[:40], y[:40]), (x[40:], y[40:])


def trained(*args, **train):
    data, held_out = splits()
    model = nnreg.build(spec(*args, **train), data=data)
    model.fit(*data, validation=held_out)
    return model


def test_it_is_the_mean_of_the_weights_after_each_step_with_larger_weights_of_later_ones():
    data, _ = splits()
    model = nnreg.build(spec(), data=data)
    trainer = model.trainer(model.examples(*data))
    weights, states = [], []
    for _ in trainer.iterate(lambda: True):
        weights.append(model.network.vector.copy())
        states.append(model.network.state_vector.copy())
    factors = 0.8 ** np.arange(len(weights))[::-1]
    vector, state = model.training_state.ema
    assert model.training_state.ema_steps == len(weights) == 12
    np.testing.assert_allclose(vector, np.average(weights, axis=0, weights=factors), rtol=1e-12)
    np.testing.assert_allclose(state, np.average(states, axis=0, weights=factors), rtol=1e-12)


def test_after_the_first_step_it_equals_the_weights():
    model = trained(0.999, epochs=1, batch_size=40)
    assert model.training_state.ema_steps == 1
    np.testing.assert_array_equal(model.training_state.ema[0], model.network.vector)


def test_training_itself_is_bit_identical_without_it():
    assert trained().network.vector.tobytes() == trained(None).network.vector.tobytes()
    assert trained().history["loss"].tolist() == trained(None).history["loss"].tolist()


def test_the_average_is_used_for_validation_predictions_and_the_best_weights():
    (x, _), held_out = splits()
    model = trained()
    averaged = model.network.with_values(*model.training_state.ema)
    np.testing.assert_array_equal(model.predict(x), averaged.predict(x))
    assert not np.array_equal(model.predict(x), model.network.predict(x))
    assert model.evaluate(*held_out)["loss"] == model.history[-1]["val_loss"]
    assert model.training_state.best_epoch == 4
    assert model.training_state.best_vector.tobytes() == averaged.vector.tobytes()
    predicted = model.predict(x)
    model.use_best()
    np.testing.assert_array_equal(model.predict(x), predicted)
    np.testing.assert_array_equal(model.network.vector, averaged.vector)


@pytest.mark.parametrize("suffix", ["last", "best"])
def test_the_checkpoints_of_a_run_predict_with_the_average(tmp_path, suffix):
    (x, y), _ = splits()
    model = nnreg.run(spec(), data=(x, y), out=tmp_path / "run")
    loaded = nnreg.load(tmp_path / f"run/checkpoints/{suffix}.h5")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["train"]["loss"] == model.evaluate(x, y)["loss"]


def test_divergence_restores_the_average_of_the_last_finite_epoch():
    x, y = line()
    train = {"batch_size": 10, "shuffle": False, "ema": 0.5}
    model = nnreg.build(regressor(train=train), data=(x, y))
    model.fit(x, y, epochs=2)
    average, count = model.training_state.ema[0].copy(), model.training_state.ema_steps
    y[-1] = 1e200
    with pytest.raises(DivergedError, match="epoch 3, batch 4"):
        model.fit(x, y, epochs=1)
    assert model.training_state.ema_steps == count == 8
    np.testing.assert_array_equal(model.training_state.ema[0], average)


def test_it_may_be_turned_on_or_off_on_resuming(tmp_path):
    data, _ = splits()
    nnreg.save(trained(None), tmp_path / "none.h5")
    nnreg.save(trained(), tmp_path / "some.h5")
    begun = nnreg.load(tmp_path / "none.h5", ["train.ema=0.5"])
    begun.fit(*data, epochs=2)
    assert begun.training_state.ema_steps == 6
    ended = nnreg.load(tmp_path / "some.h5", ["train.ema=null"])
    ended.fit(*data, epochs=2)
    assert ended.training_state.ema is None
    np.testing.assert_array_equal(ended.predict(data[0]), ended.network.predict(data[0]))
    nnreg.save(ended, tmp_path / "ended.h5")
    assert not any("average" in name for name in nnreg.read_arrays(tmp_path / "ended.h5"))
    nnreg.load(tmp_path / "ended.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: a.pop("average/state"), "'average/state' is missing"),
        (
            lambda d, a: d["progress"].update(averaged=0),
            "the weights of the best epoch are not its 'average'",
        ),
        (lambda d, a: d["progress"].update(averaged=99), "99 of 12 steps are averaged"),
        (lambda d, a: d["spec"]["train"].update(ema=None), "its spec has no train.ema"),
        (lambda d, a: d["progress"].update(resumable=False), "12 of 12 steps are averaged"),
        (lambda d, a: a["average/parameters"].__setitem__(0, np.nan), "'average/parameters' are n"),
        (lambda d, a: a.update({"average/parameters": np.zeros(3)}), r"float64 \(3,\); the spec"),
    ],
)
def test_an_average_that_does_not_match_its_spec_is_rejected(tmp_path, change, message):
    nnreg.save(trained(), tmp_path / "a.h5")
    found = read_checkpoint(tmp_path / "a.h5")
    document, arrays = dict(found.document), dict(found.arrays)
    change(document, arrays)
    write_checkpoint(tmp_path / "b.h5", Checkpoint(document, arrays))
    with pytest.raises(CheckpointError, match=message):
        nnreg.load(tmp_path / "b.h5", ["train.ema=0.8"])
