"""Specs and examples of data that stay in their HDF5 file."""

import threading

import h5py
import numpy as np

from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier

ROWS = 500
LAYERS = [
    {"type": "flatten"},
    {"type": "dense", "units": 8, "activation": "tanh"},
    {"type": "dropout", "rate": 0.1},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
SPLIT = {"validation": 0.2, "test": 0.1}


def examples(count=ROWS):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    return rng.normal(size=(count, 2, 4)) * 3 + 5 + 4 * y[:, None, None], y


def write(path, x=None, y=None, **storage):
    made, labels = examples()
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=made if x is None else x, **storage)
        file["y"] = labels if y is None else y


def spec(stream=True, path="d.h5", split=None, **changes):
    source = {"type": "hdf5", "stream": stream}
    data = {"source": source, "path": path, "target": "y", "split": split or {}}
    train = {"epochs": 3, "batch_size": 7}
    return classifier(data=data, **{"model": {"layers": LAYERS}, "train": train, **changes})


def prepared(*args, **kwargs):
    return prepare_from_spec(read_spec(spec(*args, **kwargs)))


def readers():
    return [thread for thread in threading.enumerate() if "nnreg-reader" in thread.name]


def content(path):
    with open(path, "rb") as file:
        return file.read()
