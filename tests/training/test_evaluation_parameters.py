"""Weights that an optimizer gives for inference: validated, kept, saved, predicted with."""

import dataclasses

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, PluginError, SpecError
from nnreg.builtin.optimizers import Lookahead, ScheduleFreeAdamW
from tests.helpers.specs import blobs, classifier, line, regressor

pytestmark = pytest.mark.usefixtures("registering")

OPTIMIZER = "example"
LAYERS = [{"type": "batch_norm"}, *classifier()["model"]["layers"]]

KINDS = {
    "elementwise": {"type": "schedule_free_adamw", "learning_rate": 0.05},
    "around another": {"type": "lookahead", "base": {"type": "sgd", "learning_rate": 0.05}},
    "of all parameters": {"type": "lookahead", "base": {"type": "lamb", "learning_rate": 0.05}},
}


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    monkeypatch.setitem(globals(), "OPTIMIZER", KINDS[request.param])
    return request.param


def splits():
    x, y = blobs()
    return (x[:40], y[:40]), (x[40:], y[40:])


def spec(**train):
    settings = {"epochs": 4, "batch_size": 16, **train}
    model = {"layers": LAYERS, "dtype": "float64"}
    return classifier(model=model, optimizer=OPTIMIZER, train=settings)


def trained(**train):
    data, held_out = splits()
    model = nnreg.build(spec(**train), data=data)
    model.fit(*data, validation=held_out)
    return model


def expected(model):
    """Return what the optimizer's formula gives for the weights."""
    vectors = model.training_state.optimizer_state
    if "slow" in vectors:
        return vectors["slow"]
    return (model.network.vector - 0.1 * vectors["z"]) / 0.9


def test_they_are_used_for_validation_predictions_and_the_best_weights(kind):
    (x, _), held_out = splits()
    model = trained()
    averaged = model.network.with_values(expected(model), model.network.state_vector)
    np.testing.assert_allclose(model.inference_network.vector, averaged.vector, rtol=1e-14)
    np.testing.assert_allclose(model.predict(x), averaged.predict(x), rtol=1e-12)
    assert not np.allclose(model.predict(x), model.network.predict(x))
    assert model.evaluate(*held_out)["loss"] == model.history[-1]["val_loss"]
    best = model.training_state.best_epoch
    again = trained(epochs=best)
    assert model.training_state.best_vector.tobytes() == again.inference_network.vector.tobytes()
    predicted = again.predict(x)
    for one in (model, again):
        one.use_best()
        np.testing.assert_array_equal(one.predict(x), predicted)
        assert one.network.vector.tobytes() == model.training_state.best_vector.tobytes()


def test_training_itself_is_bit_identical_without_them(kind, monkeypatch):
    found = trained()
    for cls in (Lookahead, ScheduleFreeAdamW):
        monkeypatch.delattr(cls, "evaluation_parameters")
    plain = trained()
    assert plain.network.vector.tobytes() == found.network.vector.tobytes()
    assert plain.history["loss"].tolist() == found.history["loss"].tolist()
    assert plain.history["val_loss"].tolist() != found.history["val_loss"].tolist()


def test_before_the_first_step_they_are_the_weights(kind):
    model = nnreg.build(spec(), data=splits()[0])
    model.trainer(model.examples(*splits()[0]))
    assert model.inference_network is model.network


@pytest.mark.parametrize("suffix", ["last", "best"])
def test_the_checkpoints_of_a_run_predict_with_them(kind, tmp_path, suffix):
    (x, y), _ = splits()
    model = nnreg.run(spec(), data=(x, y), out=tmp_path / "run")
    loaded = nnreg.load(tmp_path / f"run/checkpoints/{suffix}.h5")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_resuming_is_bit_identical(kind, tmp_path):
    data, held_out = splits()
    whole = trained()
    model = nnreg.build(spec(), data=data)
    model.fit(*data, validation=held_out, epochs=2)
    nnreg.save(model, tmp_path / "a.h5")
    loaded = nnreg.load(tmp_path / "a.h5")
    np.testing.assert_array_equal(loaded.predict(data[0]), model.predict(data[0]))
    loaded.fit(*data, validation=held_out)
    assert loaded.network.vector.tobytes() == whole.network.vector.tobytes()
    assert loaded.history["val_loss"].tolist() == whole.history["val_loss"].tolist()


def test_frozen_parameters_keep_their_values(kind):
    model = trained(freeze=["layers/1"])
    found, names = model.inference_network.parameters, model.parameters
    for name in names:
        frozen = name.startswith("layers/1/")
        assert np.array_equal(found[name], names[name]) == frozen, name


def test_unfrozen_parameters_keep_their_values_up_to_their_first_step(kind, tmp_path):
    data, _ = splits()
    nnreg.save(trained(freeze=["layers/1"]), tmp_path / "a.h5")
    model = nnreg.load(tmp_path / "a.h5", ["train.freeze=[]"])
    name = "layers/1/weight"
    found, values = model.inference_network.parameters, model.parameters
    np.testing.assert_array_equal(found[name], values[name])
    assert np.array_equal(found["layers/3/weight"], values["layers/3/weight"]) == (
        kind == "of all parameters"
    )
    model.fit(*data, epochs=1)
    assert not np.array_equal(model.inference_network.parameters[name], model.parameters[name])


def test_divergence_restores_those_of_the_last_finite_epoch(kind):
    x, y = line()
    train = {"batch_size": 10, "shuffle": False}
    model = nnreg.build(regressor(optimizer=OPTIMIZER, train=train), data=(x, y))
    model.fit(x, y, epochs=2)
    before = model.predict(x)
    y[-1] = 1e200
    with pytest.raises(DivergedError, match="epoch 3, batch 4"):
        model.fit(x, y, epochs=1)
    np.testing.assert_array_equal(model.predict(x), before)


def test_averaging_the_trained_weights_too_is_refused(kind, tmp_path):
    with pytest.raises(SpecError, match=r"train.ema: .* has weights of its own .*; remove 'ema'"):
        nnreg.build(spec(ema=0.9), data=splits()[0])
    nnreg.save(trained(epochs=1), tmp_path / "a.h5")
    model = nnreg.load(tmp_path / "a.h5", ["train.ema=0.9"])
    with pytest.raises(SpecError, match=r"train\.ema"):
        model.fit(*splits()[0])


@pytest.mark.parametrize("returned", [None, np.zeros(3)])
def test_weights_of_another_shape_are_refused_before_training(returned):
    wrong = type("Wrong", (Lookahead,), {"evaluation_parameters": lambda *_: returned})
    nnreg.register("example", dataclasses.dataclass(frozen=True)(wrong))
    with pytest.raises(PluginError, match=r"optimizer.*Wrong.evaluation_parameters returned"):
        trained()
