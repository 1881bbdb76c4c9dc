"""The factors of my_component, and a run that reports the learning rate."""

from typing import Any

import nnreg
import numpy as np
from nnreg import ScheduleContext

from nnreg_my_plugin import MyComponent


def test_it_decreases_from_1() -> None:
    factors = [MyComponent(drop=0.5).factor(ScheduleContext(step, 10, 5)) for step in range(10)]
    assert factors[0] == 1
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == 1 - 0.5 * 0.9**2


def test_a_run_reports_the_learning_rate() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    spec: dict[str, Any] = {
        "model": {"layers": [{"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "schedule": {"type": "my_component", "drop": 1.0},
        "train": {"epochs": 4, "batch_size": 60},
    }
    rates = nnreg.run(spec, data=(x, x[:, 0] - x[:, 1])).history["learning_rate"]
    np.testing.assert_allclose(rates, [0.1 * (1 - (epoch / 4) ** 2) for epoch in range(4)])
