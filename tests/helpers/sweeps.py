"""Small sweeps for tests, and hashes of the runs in their directories."""

import hashlib
import json
from pathlib import Path

import numpy as np

from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.sweeps.api import execute
from nnreg.sweeps.plan import plan_sweep
from tests.conformance.broken.executors import Threads

RATES = "optimizer.learning_rate"
UNITS = "model.layers.0.units"


def write_spec(directory, **changes):
    """Write a small classification with its data, and return the path of its spec."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 4)) + np.eye(4)[label]
    rows = [",".join(map(str, [f"class{c}", *row])) for c, row in zip(label, x, strict=True)]
    (directory / "data.csv").write_text("\n".join(["label,a,b,c,d", *rows, ""]))
    spec = {
        "data": {
            "source": "csv", "path": "data.csv", "target": "label",
            "split": {"validation": 0.25, "test": 0.25},
        },
        "model": {"layers": [
            {"type": "dense", "units": 8, "activation": "tanh"},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "metrics": ["accuracy"],
        "train": {"epochs": 3, "batch_size": 15},
    } | changes  # fmt: skip
    path = directory / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def write_sweep(directory, **sweep):
    """Write a sweep of `spec.json`, and return its path."""
    path = directory / "sweep.json"
    path.write_text(json.dumps({"spec": "spec.json", **sweep}))
    return path


def train(path, out, *, jobs=1, executor=None, **options):
    """Train a sweep file in threads of this process, which start at once."""
    return execute(plan_sweep(path), Path(out), executor or Threads(), jobs, **options)


def hashes(directory):
    """Return the SHA-256 of weights, training state and history of each run."""
    return {path.name: hash_of(path) for path in sorted(Path(directory).glob("*-seed-*"))}


def hash_of(run):
    found = hashlib.sha256((run / "metrics.jsonl").read_bytes())
    for name in ("last.h5", "best.h5"):
        content = read_checkpoint(run / "checkpoints" / name)
        found.update(json.dumps(content.document["progress"], sort_keys=True).encode())
        for array, values in sorted(content.arrays.items()):
            found.update(array.encode() + values.tobytes())
    return found.hexdigest()
