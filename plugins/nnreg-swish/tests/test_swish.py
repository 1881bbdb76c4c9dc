"""Tests of the installed plugin: discovery, correctness, training, checkpoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnreg_swish import Swish

import nnreg
from nnreg.registry.registry import installed
from nnreg.testing import check_activation, checks, configurations

SPEC = {
    "model": {
        "layers": [
            {"type": "dense", "units": 8, "activation": {"type": "swish", "beta": 1.5}},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.05},
    "metrics": ["accuracy"],
    "train": {"epochs": 30},
}


@pytest.mark.parametrize("check", checks(Swish), ids=str)
def test_swish_conforms(check):
    check()


@given(configurations(Swish))
def test_the_gradient_is_exact(swish):
    check_activation(swish, smooth=True)


@given(st.floats(-50, 50))
def test_with_beta_one_it_is_silu(x):
    silu = installed().find("activation", "silu").cls()
    found, expected = (f.forward(np.array([x]))[0] for f in (Swish(), silu))
    assert found == pytest.approx(expected)


def test_it_is_discovered_with_its_distribution_and_version():
    entry = installed().find("activation", "swish")
    assert entry.cls is Swish
    assert entry.provider == "nnreg-swish 1.0"
    assert installed().plugins["swish"].state == "loaded"


def test_a_model_with_it_trains_and_its_checkpoint_reloads(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    y = np.where(x[:, 0] * x[:, 1] > 0, "same", "different")
    model = nnreg.run(SPEC, data=(x, y), out=tmp_path / "run")
    loaded = nnreg.load(tmp_path / "run" / "checkpoints" / "best.h5")
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    assert loaded.evaluate(x, y)["accuracy"] > 0.9
