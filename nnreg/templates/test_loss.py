"""The loss my_component conforms, is found, and trains."""

from typing import Any

import nnreg
import numpy as np
import pytest
from nnreg.registry import installed
from nnreg.testing import Check, checks

from nnreg_my_plugin import MyComponent


@pytest.mark.parametrize("check", checks(MyComponent), ids=str)
def test_it_conforms(check: Check) -> None:
    check()


def test_it_is_found_by_its_name() -> None:
    entry = installed().find("loss", "my_component")
    assert entry is not None
    assert entry.cls is MyComponent


def test_a_network_learns_with_it() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    spec: dict[str, Any] = {
        "model": {
            "layers": [
                {"type": "dense", "units": 16, "activation": "tanh"},
                {"type": "dense", "units": 1},
            ]
        },
        "loss": "my_component",
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 20},
    }
    losses = nnreg.run(spec, data=(x, x[:, 0] * x[:, 1])).history["loss"]
    assert losses[-1] < losses[0] / 2
