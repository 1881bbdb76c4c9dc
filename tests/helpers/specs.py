"""Small specs and data sets that several test files use."""

import copy

import numpy as np

CLASSIFIER = {
    "model": {
        "layers": [
            {"type": "dense", "units": 8, "activation": "tanh"},
            {"type": "dropout", "rate": 0.1},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "metrics": ["accuracy"],
    "train": {"epochs": 5},
}

REGRESSOR = {
    "model": {"layers": [{"type": "dense", "units": 1}], "dtype": "float64"},
    "loss": "mean_squared_error",
    "optimizer": {"type": "sgd", "learning_rate": 0.1},
    "train": {"epochs": 5},
}

CSV = """species,island,length,depth
red,north,1.0,5.5
red,south,1.2,5.1
blue,north,3.9,
blue,south,4.1,2.2
red,north,0.8,5.0
blue,NA,4.4,2.9
red,south,1.1,5.7
blue,north,3.7,2.5
"""


def classifier(**changes):
    """Return the classifier's spec with top-level sections replaced."""
    return {**copy.deepcopy(CLASSIFIER), **changes}


def regressor(**changes):
    """Return the regressor's spec with top-level sections replaced."""
    return {**copy.deepcopy(REGRESSOR), **changes}


def csv_data(**changes):
    """Return a data section for a file with the text of CSV."""
    return {
        "source": "csv",
        "path": "data.csv",
        "target": "species",
        "missing": "impute",
        **changes,
    }


WITH_SWISH = classifier(
    model={"layers": [
        {"type": "dense", "units": 2, "activation": "swish"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]},
    data=csv_data(),
    train={"epochs": 2},
)  # fmt: skip
"""A spec with an activation that only a plugin provides."""


def blobs(count=60, seed=0):
    """Return points around three centers, and the names of the centers."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 4)) + 2 * np.eye(4)[label]
    return x, np.array(["ash", "birch", "cedar"])[label]


def line(count=40, seed=0):
    """Return x and y = 2 x0 - x1 + 1."""
    x = np.random.default_rng(seed).normal(size=(count, 2))
    return x, x @ [2.0, -1.0] + 1


def three_folds(directory):
    """Write points around three centers to a file, and return a spec with three folds of them."""
    x, y = blobs()
    rows = [
        ",".join([*(f"{value:.4f}" for value in row), name]) for row, name in zip(x, y, strict=True)
    ]
    (directory / "data.csv").write_text("\n".join(["a,b,c,d,species", *rows]) + "\n")
    data = csv_data(split={"stratify": True})
    return classifier(data=data, train={"epochs": 3, "folds": 3})
