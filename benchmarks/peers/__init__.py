"""Each library's way to train and to predict with a workload: Adam, cross-entropy, float32.

A peer is a class with a method for each task that a worker can be asked for:

* `train(workload)` returns a job that makes one pass of `STEPS` training steps;
* `predict(workload, rows)` returns a job that turns so many rows, a NumPy array, into
  probabilities, a NumPy array again.

Its module is imported by its worker alone, and the library when a task is asked for, so that one
that is not installed is only left out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

Job = Callable[[], object]
RATE = 0.001

OWN = ("nnreg", "nnreg+numba")
TORCH = ("PyTorch", "PyTorch compiled")
OTHERS = (*TORCH, "JAX jit", "Keras on JAX", "scikit-learn")
LIBRARIES = (*OWN, *OTHERS)

PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nnreg": ("own", "Nnreg", {"kernels": "numpy"}),
    "nnreg+numba": ("own", "Nnreg", {"kernels": "numba"}),
    "PyTorch": ("pytorch", "PyTorch", {}),
    "PyTorch compiled": ("pytorch", "PyTorch", {"compiled": True}),
    "JAX jit": ("jax_jit", "JaxJit", {}),
    "Keras on JAX": ("keras_on_jax", "KerasOnJax", {}),
    "scikit-learn": ("scikit_learn", "ScikitLearn", {}),
    "own products": ("products", "Products", {}),
    "large product": ("products", "Products", {}),
    "plain h5py": ("plain_h5py", "PlainH5py", {}),
}
"""The module, class and options of each peer; the last three do less than a library, to show what
is the least that a task takes."""


def peer(name: str) -> Any:
    """Return the peer of this name, its module imported."""
    module, cls, options = PEERS[name]
    return getattr(importlib.import_module(f"benchmarks.peers.{module}"), cls)(**options)
