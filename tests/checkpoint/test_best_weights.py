"""The weights of the best epoch are stored once, also when they are the current or average ones."""

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from tests.helpers.specs import blobs, classifier

X, Y = blobs()
FIRST_IS_BEST = {"early_stopping": {"monitor": "loss", "patience": 9, "min_delta": 1e9}}


def trained(epochs, **train):
    """Return a network with batch norm, whose first epoch is the best."""
    layers = [
        {"type": "batch_norm"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    train = {"epochs": 3, "batch_size": 16} | FIRST_IS_BEST | train
    spec = classifier(model={"layers": layers}, optimizer="adam", train=train)
    model = nnreg.build(spec, data=(X, Y))
    model.fit(X, Y, epochs=epochs)
    return model


def saved(model, file):
    nnreg.save(model, file)
    content = read_checkpoint(file)
    arrays = {name.partition("/")[0] for name in content.arrays}
    return content.document["progress"].get("best_weights", "best"), arrays, nnreg.load(file)


@pytest.mark.parametrize(
    ("epochs", "train", "place"),
    [(0, {}, "best"), (1, {}, "parameters"), (1, {"ema": 0.9}, "average"), (2, {}, "best"),
     (2, {"ema": 0.9}, "best")],
)  # fmt: skip
def test_the_best_weights_are_stored_once(tmp_path, epochs, train, place):
    model = trained(epochs, **train)
    found, arrays, loaded = saved(model, tmp_path / "model.h5")
    assert found == place
    assert ("best" in arrays) == (place == "best" and epochs > 0)
    if epochs:
        for name in ("best_vector", "best_state"):
            one, other = (getattr(each.training_state, name) for each in (model, loaded))
            assert one.tobytes() == other.tobytes()
            assert not any(np.shares_memory(other, array) for array in (
                loaded.network.vector, loaded.network.state_vector,
                *(loaded.training_state.ema or ()),
            ))  # fmt: skip


@pytest.mark.parametrize("train", [{}, {"ema": 0.9}])
def test_the_best_weights_outlive_later_epochs_of_a_resumed_training(tmp_path, train):
    whole, part = trained(3, **train), trained(1, **train)
    _, _, part = saved(part, tmp_path / "model.h5")
    part.fit(X, Y, epochs=2)
    for model in (whole, part):
        nnreg.save(model, tmp_path / f"{model is whole}.h5")
        assert model.training_state.best_epoch == 1
    assert (tmp_path / "True.h5").read_bytes() == (tmp_path / "False.h5").read_bytes()


def test_best_weights_that_differ_in_the_sign_of_a_zero_are_stored(tmp_path):
    model = trained(1)
    model.network.vector[0], model.training_state.best_vector[0] = 0.0, -0.0
    found, _, loaded = saved(model, tmp_path / "model.h5")
    assert found == "best"
    assert np.signbit(loaded.training_state.best_vector[0])
    assert not np.signbit(loaded.network.vector[0])


def test_a_file_before_the_first_step_has_no_state_of_the_optimizer(tmp_path):
    model = trained(0)
    model.trainer(model.examples(X, Y))  # makes the state
    assert model.training_state.optimizer_state
    _, arrays, loaded = saved(model, tmp_path / "model.h5")
    assert "optimizer" not in arrays
    loaded.fit(X, Y)
    assert loaded.network.vector.tobytes() == trained(3).network.vector.tobytes()


@pytest.mark.parametrize(
    ("epochs", "place", "problem"),
    [
        (2, "parameters", "the weights of the best epoch are not its 'parameters'"),
        (1, "average", "the weights of the best epoch are not its 'average'"),
        (0, "parameters", "the weights of the best epoch are not its 'parameters'"),
        (1, "here", "best_weights"),
        (1, "best", "'best/parameters' is missing"),
    ],
)
def test_a_file_without_the_best_weights_is_refused(tmp_path, epochs, place, problem):
    file = tmp_path / "model.h5"
    nnreg.save(trained(epochs), file)
    content = read_checkpoint(file)
    content.document["progress"]["best_weights"] = place
    write_checkpoint(file, Checkpoint(content.document, content.arrays))
    with pytest.raises(CheckpointError, match=problem):
        nnreg.load(file)
