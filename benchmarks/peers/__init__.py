"""Training and prediction of a workload with each library: Adam, cross-entropy, float32.

A peer is a class with a method for each task of a worker:

* `train(workload)` returns a job that makes one pass of `STEPS` training steps;
* `predict(workload, rows)` returns a job that computes the probabilities of `rows` rows, from and
  to NumPy arrays.

Its module is imported only by its worker, and the library when a task is requested, so that a
library that is not installed is only omitted.
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
"""The module, class and options of each peer; the last three do less than a library, as a lower
bound for the time of a task."""


def peer(name: str) -> Any:
    """Import the module of a peer and return the peer."""
    module, cls, options = PEERS[name]
    return getattr(importlib.import_module(f"benchmarks.peers.{module}"), cls)(**options)
