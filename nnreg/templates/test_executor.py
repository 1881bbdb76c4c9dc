"""The jobs that my_component runs, and a sweep on it."""

import html
import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import nnreg
import pytest

from nnreg_my_plugin import MyComponent


def test_it_runs_as_many_jobs_at_a_time_as_it_is_asked_to(tmp_path: Path) -> None:
    with MyComponent(processes=3).open(None, tmp_path) as (_, count):
        assert count == 3
    with MyComponent(processes=3).open(1, tmp_path) as (_, count):
        assert count == 1


def test_jobs_that_wait_are_cancelled_if_the_sweep_is_stopped(tmp_path: Path) -> None:
    jobs: list[Future[str]] = []

    def stop() -> None:
        with MyComponent().open(1, tmp_path) as (pool, _):
            jobs.extend(pool.submit(html.escape, "a < b") for _ in range(20))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert jobs[-1].cancelled()


def test_a_sweep_on_it_has_the_results_of_single_runs(tmp_path: Path) -> None:
    rows = "\n".join(f"{row},{row % 7}" for row in range(40))
    (tmp_path / "data.csv").write_text(f"x,y\n{rows}\n")
    spec: dict[str, Any] = {
        "data": {
            "source": "csv",
            "path": "data.csv",
            "target": "y",
            "split": {"validation": 0.25},
        },
        "model": {"layers": [{"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 2},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    points = [{"optimizer.learning_rate": rate} for rate in (0.1, 0.01)]
    sweep = nnreg.sweep(tmp_path / "spec.json", points=points, on="my_component", jobs=1)
    assert len(sweep.points) == len(points)
    for point in sweep.points:
        model = nnreg.run(tmp_path / "spec.json", overrides=point.point)
        assert point.mean == min(model.history["val_loss"])
