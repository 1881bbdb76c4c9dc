"""Specs and files with sequences of different lengths."""

import copy

from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec

PER_STEP = {
    "model": {
        "layers": [
            {"type": "lstm", "units": 4, "sequences": True},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ],
        "dtype": "float64",
    },
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "metrics": ["accuracy"],
    "train": {"epochs": 2},
}
"""A spec of a network with an output for each step."""

PER_SEQUENCE = {
    **PER_STEP,
    "model": {
        "layers": [
            {"type": "lstm", "units": 4},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ],
        "dtype": "float64",
    },
}
"""A spec of a network with one output for a sequence."""


def spec(base, source, path, target, **data):
    """Return a spec with this data section."""
    return {
        **copy.deepcopy(base),
        "data": {"source": source, "path": path, "target": target, **data},
    }


def prepare(spec):
    """Return the prepared run of a spec."""
    return prepare_from_spec(read_spec(spec))
