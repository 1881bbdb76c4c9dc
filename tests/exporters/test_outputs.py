"""What a model predicts is exported in the units of its target, for every family of losses."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg.builtin.losses.errors import MeanSquaredError as Squared
from nnreg.errors import ExportError

ROWS = 40
COLUMNS = "a,b,y,z,count,class,order,f1,f2\n" + "".join(
    f"{n / 7:.3f},{(n * 13) % 11},{np.exp(n / 20):.3f},{(n * 7) % 5 - 2},{n % 4},{'uvw'[n % 3]},"
    f"{n % 3},{n % 2},{(n // 2) % 2}\n"
    for n in range(ROWS)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("export") / "data.csv"
    found.write_text(COLUMNS)
    return found


def spec_of(path, loss, units, target="y", activation="identity", data=(), layers=None, **model):
    last = {"type": "dense", "units": units, "activation": activation}
    return {
        "data": {"source": "csv", "path": str(path), "target": target, **dict(data),
                 "columns": {"a": "number", "b": "number"}},
        "model": {"layers": layers or [{"type": "dense", "units": 4, "activation": "tanh"}, last],
                  **model},
        "loss": loss, "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip


SCALED = {"target_scaling": "standard"}
TWO = [
    {"type": "dense", "units": 4, "activation": "tanh", "name": "trunk"},
    {"type": "dense", "units": 1, "name": "price"},
    {"type": "dense", "units": "classes", "activation": "softmax", "inputs": "trunk",
     "name": "kind"},
]  # fmt: skip
TWO_LOSSES = {"price": "huber", "kind": "cross_entropy"}
TWO_TARGETS = {"price": "y", "kind": "class"}

TARGETS = ["y", "z"]
CLASSES = {"target": "class", "activation": "softmax"}
SIGMOID = {"activation": "sigmoid"}
POSITIVE = {"target": "count", "activation": "softplus"}
SEVERAL = {"target": TWO_TARGETS, "layers": TWO, "data": SCALED}

SPECS = {
    "a number": ("mean_squared_error", 1, {}),
    "a scaled number": ("mean_squared_error", 1, {"data": SCALED}),
    "numbers": ("mean_absolute_error", 2, {"target": TARGETS, "data": SCALED}),
    "log": ("huber", 1, {"data": {"target_scaling": "log"}}),
    "power": ("mean_squared_error", 1, {"data": {"target_scaling": "power"}}),
    "powers": ("mean_squared_error", 2, {"target": TARGETS, "data": {"target_scaling": "power"}}),
    "ranks": ("mean_squared_error", 1, {"data": {"target_scaling": "quantile"}}),
    "quantiles": ({"type": "quantile", "quantiles": [0.1, 0.5, 0.9]}, 3, {"data": SCALED}),
    "quantiles of powers": (
        {"type": "quantile", "quantiles": [0.1, 0.9]}, 2, {"data": {"target_scaling": "power"}}
    ),
    "variances": ("gaussian_nll", 2, {"data": SCALED}),
    "counts": ("poisson", 1, POSITIVE),
    "classes": ("cross_entropy", "classes", CLASSES),
    "two classes": ("binary_cross_entropy", 1, {"target": "f1", **SIGMOID}),
    "labels": ("binary_cross_entropy", 2, {"target": ["f1", "f2"], **SIGMOID}),
    "several outputs": (TWO_LOSSES, 0, SEVERAL),
    "members": ("mean_squared_error", 1, {"data": SCALED, "members": 2}),
    "members of classes": ("cross_entropy", "classes", {**CLASSES, "members": 2}),
    "members of counts": ("poisson", 1, {**POSITIVE, "members": 2}),
    "members of variances": ("gaussian_nll", 2, {"data": SCALED, "members": 2}),
    "members of several outputs": (TWO_LOSSES, 0, {**SEVERAL, "members": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_predictions_are_in_the_units_of_the_target(name, path, tmp_path):
    loss, units, options = SPECS[name]
    model = nnreg.run(spec_of(path, loss, units, **options))
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-6


@dataclass(frozen=True)
class Curved(Squared):
    """A loss whose units cannot be recorded."""

    def in_units(self, y, mean, std):
        return np.arctan(y)


@dataclass(frozen=True)
class Strided(Squared):
    """A loss that reads an attribute that recorded arrays do not have."""

    def in_units(self, y, mean, std):
        return y * len(y.strides)


@pytest.mark.usefixtures("registering")
@pytest.mark.parametrize(("loss", "reason"), [(Curved, "np.arctan"), (Strided, "strides")])
def test_units_that_cannot_be_recorded_are_an_error_that_names_the_output(
    loss, reason, path, tmp_path
):
    nnreg.register("other", loss)
    model = nnreg.run(spec_of(path, "other", 1))
    with pytest.raises(ExportError, match=f"the output: cannot record .*{reason}"):
        nnreg.export(model, tmp_path / "model.py")
    assert not list(tmp_path.iterdir())
