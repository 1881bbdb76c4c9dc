"""The metric my_component conforms, is found, and measures."""

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
    entry = installed().find("metric", "my_component")
    assert entry is not None
    assert entry.cls is MyComponent


def test_it_counts_what_is_near_enough() -> None:
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
    shares = nnreg.run(spec, data=(x, x[:, 0] - x[:, 1])).history["my_component"]
    assert shares[-1] > shares[0]
