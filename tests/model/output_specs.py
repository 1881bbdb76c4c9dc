"""Networks of several outputs with their data, as arrays and as a table."""

import copy
import csv

import numpy as np

import nnreg as library

RNG = np.random.default_rng(0)
ROWS = 200
X = RNG.normal(size=(ROWS, 4))
PRICE = 2 * X[:, 0] + X[:, 1]
STYLE = np.array(["a", "b", "c"])[(X[:, 2] > 0.3).astype(int) + (X[:, 3] > 0)]
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)
FLAT = np.tanh(RNG.normal(size=(ROWS, 2)) @ RNG.normal(size=(2, 4)))

TWO = {
    "layers": [
        {"type": "dense", "units": 16, "activation": "tanh", "name": "trunk"},
        {"type": "dense", "units": 1, "name": "price"},
        {"type": "dense", "units": "classes", "activation": "softmax", "inputs": "trunk",
         "name": "style"}],
    "loss": {"price": {"type": "huber", "weight": 0.5}, "style": "cross_entropy"},
    "metrics": {"style": ["accuracy"], "price": ["r2"]},
}  # fmt: skip
VAE = {
    "layers": [
        {"type": "dense", "units": 16, "activation": "tanh"},
        {"type": "dense", "units": 4},
        {"type": "gaussian_sample", "name": "code"},
        {"type": "dense", "units": 16, "activation": "tanh", "inputs": "code.z"},
        {"type": "dense", "units": 4, "name": "again"}],
    "loss": {"again": "mean_squared_error", "code.kl": {"type": "value", "weight": 0.01}},
}  # fmt: skip
READ_AGAIN = {  # a softmax that another entry reads is not computed together with its loss
    "layers": [
        {"type": "dense", "units": "classes", "activation": "softmax", "name": "style"},
        {"type": "concat", "inputs": ["style", "input"], "name": "all"},
        {"type": "dense", "units": 1, "name": "price"}],
    "loss": {"style": "cross_entropy", "price": "mean_squared_error"},
}  # fmt: skip
MIXED = {
    "layers": [*TWO["layers"],
        {"type": "dense", "units": 2, "activation": "sigmoid", "inputs": "trunk",
         "name": "labels"}],
    "loss": {**TWO["loss"], "labels": "binary_cross_entropy"},
}  # fmt: skip
LISTED = {**VAE, "outputs": ["code.z"]}
CASES = {
    "two outputs": (TWO, X, {"price": PRICE, "style": STYLE}),
    "vae": (VAE, FLAT, {"again": FLAT}),
    "read again": (READ_AGAIN, X, {"price": PRICE, "style": STYLE}),
    "listed": (LISTED, FLAT, FLAT),
    "mixed": (MIXED, X, {"price": PRICE, "style": STYLE, "labels": LABELS}),
}


def spec_of(name, epochs=60, **changes):
    """Return the spec of a case."""
    case = copy.deepcopy(CASES[name][0])
    model = {"layers": case.pop("layers"), "dtype": "float64", "outputs": case.pop("outputs", [])}
    return {
        "model": model,
        **case,
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "train": {"epochs": epochs},
        **changes,
    }


def data_of(name):
    """Return the inputs and the targets of a case."""
    return CASES[name][1:]


def build(name, **changes):
    """Return the untrained network of a case."""
    return library.build(spec_of(name, **changes), data=data_of(name))


def write_table(path):
    """Write the examples of two outputs as CSV."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "d", "price", "style"])
        writer.writerows([*row, p, s] for row, p, s in zip(X, PRICE, STYLE, strict=True))


def table_spec(directory, **changes):
    """Return the spec of two outputs for the table in a directory."""
    spec = spec_of("two outputs", epochs=5, **changes)
    spec["data"] = {
        "source": "csv",
        "path": str(directory / "t.csv"),
        "split": {"validation": 0.2, "test": 0.2},
        "target": {"price": "price", "style": "style"},
    }
    return spec
