"""The value of my_component, and a run that reports it."""

from typing import Any

import nnreg
import numpy as np

from nnreg_my_plugin import MyComponent


def test_it_is_the_fraction_within_the_tolerance() -> None:
    y, t = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.05, 2.5, 3.0, 4.2])
    assert MyComponent().compute(y, t) == 0.5
    assert MyComponent(tolerance=0.3).compute(y, t) == 0.75


def test_a_run_reports_it() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    spec: dict[str, Any] = {
        "model": {"layers": [{"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "metrics": [{"type": "my_component", "tolerance": 0.5}],
        "train": {"epochs": 20},
    }
    values = nnreg.run(spec, data=(x, x[:, 0] - x[:, 1])).history["my_component"]
    assert values[-1] > values[0]
