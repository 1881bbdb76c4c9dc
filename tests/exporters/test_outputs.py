"""What a model predicts is exported in the units of its target, for every family of losses."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import ExportError

ROWS = 40
COLUMNS = "a,b,y,z,count,class,order,tags,f1,f2\n" + "".join(
    f"{n / 7:.3f},{(n * 13) % 11},{np.exp(n / 20):.3f},{(n * 7) % 5 - 2},{n % 4},{'uvw'[n % 3]},"
    f"{n % 3},{('p q', 'q', '', 'p')[n % 4]},{n % 2},{(n // 2) % 2}\n"
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
        "data": {"source": "csv", "path": str(path), "target": target, "columns": {"a": "number", "b": "number"},
                 **dict(data)},
        "model": {"layers": layers or [{"type": "dense", "units": 4, "activation": "tanh"}, last],
                  **model},
        "loss": loss, "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip


NEGATIVE_LOG = {"type": "gaussian_nll"}
SCALED = {"target_scaling": "standard"}
TWO = [
    {"type": "dense", "units": 4, "activation": "tanh", "name": "trunk"},
    {"type": "dense", "units": 1, "name": "price"},
    {"type": "dense", "units": "classes", "activation": "softmax", "inputs": "trunk",
     "name": "kind"},
]  # fmt: skip
TWO_LOSSES = {"price": "huber", "kind": "cross_entropy"}
TWO_TARGETS = {"price": "y", "kind": "class"}

SPECS = {
    "a number": dict(loss="mean_squared_error", units=1),
    "a scaled number": dict(loss="mean_squared_error", units=1, data=SCALED),
    "numbers": dict(loss="mean_absolute_error", units=2, target=["y", "z"], data=SCALED),
    "log": dict(loss="huber", units=1, data={"target_scaling": "log"}),
    "power": dict(loss="mean_squared_error", units=1, data={"target_scaling": "power"}),
    "power of several": dict(
        loss="mean_squared_error", units=2, target=["y", "z"], data={"target_scaling": "power"}
    ),
    "quantile scaling": dict(
        loss="mean_squared_error", units=1, data={"target_scaling": "quantile"}
    ),
    "quantiles": dict(
        loss={"type": "quantile", "quantiles": [0.1, 0.5, 0.9]}, units=3, data=SCALED
    ),
    "variances": dict(loss=NEGATIVE_LOG, units=2, data=SCALED),
    "counts": dict(loss="poisson", units=1, target="count"),
    "classes": dict(loss="cross_entropy", units="classes", target="class", activation="softmax"),
    "classes from scores": dict(loss="cross_entropy", units="classes", target="class"),
    "two classes": dict(
        loss="binary_cross_entropy", units=1, target="f1", activation="sigmoid"
    ),
    "labels": dict(
        loss="binary_cross_entropy", units=2, target=["f1", "f2"], activation="sigmoid"
    ),
    "several outputs": dict(
        loss=TWO_LOSSES, units=0, target=TWO_TARGETS, layers=TWO, data=SCALED
    ),
    "members": dict(loss="mean_squared_error", units=1, data=SCALED, members=2),
    "members of classes": dict(
        loss="cross_entropy", units="classes", target="class", activation="softmax", members=2
    ),
    "members of scores": dict(
        loss="cross_entropy", units="classes", target="class", members=2
    ),
    "members of counts": dict(loss="poisson", units=1, target="count", members=2),
    "members of variances": dict(loss=NEGATIVE_LOG, units=2, data=SCALED, members=2),
    "members of several outputs": dict(
        loss=TWO_LOSSES, units=0, target=TWO_TARGETS, layers=TWO, data=SCALED, members=2
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_predictions_are_in_the_units_of_the_target(name, path, tmp_path):
    model = nnreg.run(spec_of(path, **SPECS[name]))
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-6
