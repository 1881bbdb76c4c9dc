"""Networks of several inputs with their data, as arrays and as a table."""

import copy
import csv

import numpy as np

RNG = np.random.default_rng(0)
ROWS = 120
FACTS, PHOTO = RNG.normal(size=(ROWS, 2)), RNG.normal(size=(ROWS, 6, 6, 1))
PRICE = FACTS[:, 0] * FACTS[:, 1] + 3 * PHOTO.mean(axis=(1, 2, 3))
LEFT = RNG.normal(size=(ROWS, 4))
NEAR = RNG.random(ROWS) < 0.5
RIGHT = np.where(NEAR[:, None], LEFT, RNG.normal(size=(ROWS, 4))) + 0.1
SOURCE = RNG.integers(0, 8, (ROWS, 4))
SO_FAR = np.hstack([np.zeros((ROWS, 1), int), SOURCE[:, :0:-1]])

TWO = [
    {"type": "dense", "units": 8, "activation": "tanh", "inputs": "facts", "name": "table"},
    {"type": "conv2d", "filters": 4, "activation": "tanh", "inputs": "photo"},
    {"type": "global_average_pool", "name": "picture"},
    {"type": "concat", "inputs": ["table", "picture"]},
    {"type": "dense", "units": 1},
]
SIAMESE = [
    {"type": "dense", "units": 16, "activation": "tanh", "inputs": "left", "name": "tower"},
    {"use": "tower", "inputs": "right", "name": "other"},
    {"type": "distance", "inputs": ["tower", "other"]},
    {"type": "dense", "units": 1, "activation": "sigmoid"},
]
ENCODER_DECODER = [
    {"type": "embedding", "vocabulary": 8, "units": 16, "inputs": "source", "name": "words"},
    {"type": "add_position"},
    {"type": "lstm", "units": 16, "sequences": True, "name": "memory"},
    {"use": "words", "inputs": "so_far", "name": "written"},
    {"type": "add_position"},
    {"type": "lstm", "units": 16, "sequences": True, "name": "state"},
    {"type": "cross_attention", "inputs": ["state", "memory"], "name": "looked_up"},
    {"type": "concat", "inputs": ["state", "looked_up"]},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
CASES = {
    "two inputs": (
        {"layers": TWO, "loss": "mean_squared_error", "rate": 0.01, "epochs": 60},
        ({"facts": FACTS, "photo": PHOTO}, PRICE),
        0.2,
    ),
    "siamese": (
        {"layers": SIAMESE, "loss": "binary_cross_entropy", "rate": 0.02, "epochs": 150},
        ({"left": LEFT, "right": RIGHT}, NEAR.astype(int)),
        0.05,
    ),
    "encoder-decoder": (
        {"layers": ENCODER_DECODER, "loss": "cross_entropy", "rate": 0.01, "epochs": 80},
        ({"source": SOURCE, "so_far": SO_FAR}, SOURCE[:, ::-1]),
        0.15,
    ),
}


def spec_of(name, epochs=None, **changes):
    """Return the spec of a case."""
    options = CASES[name][0]
    return {
        "model": {"layers": copy.deepcopy(options["layers"]), "dtype": "float64"},
        "loss": options["loss"],
        "optimizer": {"type": "adam", "learning_rate": options["rate"]},
        "train": {"epochs": epochs or options["epochs"]},
        **changes,
    }


def write_table(path):
    """Write examples with two columns of an input each as CSV."""
    rows = zip(FACTS.round(3), LEFT.round(3), PRICE.round(3), strict=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "kind", "price"])
        for (a, b), (c, d, *_), price in rows:
            writer.writerow([a, b, c, "north" if d > 0 else "south", price])


TABLE_LAYERS = [
    {"type": "dense", "units": 4, "activation": "tanh", "inputs": "size", "name": "one"},
    {"type": "dense", "units": 4, "activation": "tanh", "inputs": "place", "name": "two"},
    {"type": "concat", "inputs": ["one", "two"]},
    {"type": "dense", "units": 1},
]


def table_spec(directory, inputs=None, layers=TABLE_LAYERS, **changes):
    """Return a spec for the table in a directory."""
    inputs = {"size": ["a", "b"], "place": ["kind", "c"]} if inputs is None else inputs
    return {
        "data": {"source": "csv", "path": str(directory / "t.csv"), "inputs": inputs,
                 "target": "price", "split": {"validation": 0.2, "test": 0.2}},
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "metrics": ["r2"],
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "train": {"epochs": 3},
        **changes,
    }  # fmt: skip
