"""A network learns with my_component."""

from typing import Any

import nnreg
import numpy as np


def test_a_network_learns_with_it() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    spec: dict[str, Any] = {
        "model": {
            "layers": [
                {"type": "dense", "units": 16, "activation": "tanh"},
                {"type": "my_component"},
                {"type": "dense", "units": 1},
            ]
        },
        "loss": "mean_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 20},
    }
    losses = nnreg.run(spec, data=(x, x[:, 0] * x[:, 1])).history["loss"]
    assert losses[-1] < losses[0] / 2
