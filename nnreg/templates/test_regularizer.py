"""The weights of a network with my_component become equal."""

from typing import Any

import nnreg
import numpy as np


def test_the_weights_become_equal() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    spreads = []
    for factor in (0.0, 1.0):
        spec: dict[str, Any] = {
            "model": {"layers": [{"type": "dense", "units": 1}]},
            "loss": "mean_squared_error",
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {
                "epochs": 20,
                "regularize": {"*weight": {"type": "my_component", "factor": factor}},
            },
        }
        model = nnreg.run(spec, data=(x, x[:, 0] - x[:, 1]))
        spreads.append(np.ptp(model.parameters["layers/0/weight"]))
    assert spreads[1] < spreads[0] / 2
