"""The columns of predictions of losses with several outputs for each target."""

import csv

import numpy as np
import pytest

from nnreg import run


@pytest.mark.parametrize(
    ("loss", "targets", "names"),
    [
        ({"type": "quantile", "quantiles": [0.1, 0.9]}, ["y"], ["0.1", "0.9"]),
        ({"type": "quantile"}, ["y", "z"], ["y_0.1", "z_0.1", "y_0.5", "z_0.5", "y_0.9", "z_0.9"]),
        ("gaussian_nll", ["y"], ["mean", "variance"]),
    ],
)
def test_outputs_of_a_distribution_are_named_after_what_they_are(
    tmp_path, nnreg, loss, targets, names
):
    x = np.arange(40.0)
    rows = np.column_stack([x, np.sin(x), np.cos(x)]).tolist()
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x", "y", "z"], *rows])
    spec = {
        "data": {"source": "csv", "path": str(tmp_path / "data.csv"), "inputs": ["x"],
                 "target": targets},
        "model": {"layers": [{"type": "dense", "units": len(names)}]},
        "loss": loss, "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip
    run(spec, out=tmp_path / "run")
    _, printed, _ = nnreg("predict", tmp_path / "run", tmp_path / "data.csv")
    header = printed.splitlines()[0]
    assert header == ",".join(f"prediction_{name}" for name in names)
