"""The weights of a network with my_component stay within its range."""

from typing import Any

import nnreg
import numpy as np


def test_the_weights_stay_within_the_range() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    constraint = {"type": "my_component", "bound": 0.25}
    spec: dict[str, Any] = {
        "model": {"layers": [{"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "train": {"epochs": 20, "constrain": {"*weight": constraint}},
    }
    model = nnreg.run(spec, data=(x, x[:, 0] - x[:, 1]))
    np.testing.assert_allclose(np.abs(model.parameters["layers/0/weight"]), 0.25)
