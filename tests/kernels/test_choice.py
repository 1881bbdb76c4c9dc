"""Which kernels a job uses if its spec names none."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.interfaces.kernels import Kernels, combine
from nnreg.model import kernels as choice
from nnreg.network.work import seconds_of_training
from nnreg.registry.kernels import combined, kernels_named, name_of
from nnreg.registry.registry import installed


class First(Kernels):
    def relu(self, x, bias, scratch):
        np.copyto(x, 1)


class Second(Kernels):
    few_calls = True

    def relu(self, x, bias, scratch):
        np.copyto(x, 2)

    def softmax(self, x, scratch):
        np.copyto(x, 3)


class Missing(Kernels):
    @classmethod
    def missing(cls):
        return "a library; pip install it"


def test_a_method_is_that_of_the_first_set_that_has_it():
    both, x = combine([First(), Second(), Kernels()]), np.zeros((2, 2))
    both.relu(x, None, None)
    assert (x == 1).all()
    both.softmax(x, None)
    assert (x == 3).all()
    assert both.few_calls
    assert [type(one) for one in both.sets] == [First, Second]
    assert both == combine([First(), Second()])
    assert both != combine([Second(), First()])


@pytest.mark.parametrize("sets", [[Kernels(), First()], [First(), First()]])
def test_a_set_that_would_not_be_used_is_refused(sets):
    with pytest.raises(SpecError, match=r"train\.kernels: "):
        combined(sets)


def test_a_set_whose_library_is_missing_is_refused_with_how_to_install_it():
    with pytest.raises(SpecError, match="needs a library; pip install it"):
        combined([Missing()])


SPEC = {
    "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
    "loss": "cross_entropy",
    "optimizer": "adam",
    "train": {"epochs": 2},
}


def data():
    x = np.random.default_rng(0).normal(size=(60, 3))
    return x, np.where(x[:, 0] > 0, "up", "down")


@pytest.fixture
def long(monkeypatch):
    """Second as the set that is used by default in jobs of at least a second."""
    monkeypatch.setattr(
        choice,
        "default_kernels",
        lambda registry, seconds=0.0: (Second if seconds >= 1 else Kernels)(),
    )
    monkeypatch.setattr(choice, "seconds_of_training", lambda *_: 2.0)
    return monkeypatch


def test_a_long_training_uses_other_kernels_than_predictions(long):
    model = nnreg.build(SPEC, data=data())
    trainer = model.trainer(model.examples(*data()), check=False)
    assert type(trainer.network.kernels) is Second
    assert trainer.network.vector is model.network.vector
    assert type(model.network.kernels) is Kernels
    assert type(model.network_for(20_000).kernels) is Kernels
    long.setattr(choice, "seconds_of_pass", lambda *_: 2.0)
    assert type(model.network_for(20_000).kernels) is Second
    assert type(model.network_for(20).kernels) is Kernels


def test_the_kernels_of_a_spec_are_used_for_everything(long):
    model = nnreg.build({**SPEC, "train": {"kernels": "numpy"}}, data=data())
    assert model.trainer(model.examples(*data()), check=False).network is model.network


def test_a_training_continues_with_the_kernels_of_its_checkpoint(long, tmp_path):
    out = tmp_path / "run"
    nnreg.run(SPEC, data=data(), out=out, overrides=["train.kernels=numpy"])
    resumed = nnreg.load(out / "checkpoints/last.h5", overrides=["train.kernels=null"])
    trainer = resumed.trainer(resumed.examples(*data()), check=False)
    assert type(trainer.network.kernels) is Kernels


def test_kernels_of_a_name_are_none_if_they_cannot_be_used(monkeypatch):
    found = kernels_named("numpy", installed())
    assert name_of(found, installed()) == "numpy"
    assert kernels_named("numba+unknown", installed()) is None
    numba = installed().find("kernels", "numba").cls
    monkeypatch.setattr(numba, "missing", lambda: "Numba")
    assert kernels_named("numba", installed()) is None


def test_the_estimate_grows_with_rows_epochs_and_layers():
    model = nnreg.build(SPEC, data=data())
    small = seconds_of_training(model.network, 100, 10, 1)
    assert seconds_of_training(model.network, 1000, 10, 1) == pytest.approx(10 * small)
    assert seconds_of_training(model.network, 100, 10, 50) == pytest.approx(50 * small)
    assert 1e-5 < small < 1e-2
