"""Training and prediction of a workload with each library: Adam, cross-entropy, float32.

A peer is a class with a method for each task of a worker:

* `train(workload)` returns a job that makes one pass over the examples, in their order;
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

NUMPY, NUMBA, MKL = "nnreg", "nnreg+numba", "nnreg+mkl+numba"
OWN = (NUMPY, NUMBA, MKL)
TORCH = ("PyTorch", "PyTorch compiled")
JAX = ("JAX scan", "JAX jit")
OTHERS = (*TORCH, *JAX, "Keras on JAX", "scikit-learn")
PREDICTORS = (*TORCH, "JAX jit", "Keras on JAX", "scikit-learn", "ONNX Runtime")

PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    NUMPY: ("own", "Nnreg", {"kernels": "numpy"}),
    NUMBA: ("own", "Nnreg", {"kernels": "numba"}),
    MKL: ("own", "Nnreg", {"kernels": ["mkl", "numba"]}),
    "PyTorch": ("pytorch", "PyTorch", {}),
    "PyTorch compiled": ("pytorch", "PyTorch", {"compiled": True}),
    "JAX scan": ("jax_jit", "JaxJit", {"scan": True}),
    "JAX jit": ("jax_jit", "JaxJit", {}),
    "Keras on JAX": ("keras_on_jax", "KerasOnJax", {}),
    "scikit-learn": ("scikit_learn", "ScikitLearn", {}),
    "ONNX Runtime": ("onnx_runtime", "OnnxRuntime", {}),
    "products": ("products", "Products", {}),
    "MKL products": ("products", "Products", {"mkl": True}),
    "plain h5py": ("plain_h5py", "PlainH5py", {}),
}
"""The module, class and options of each peer; the last three do less than a library, as a lower
bound for the time of a task."""


def predictions(predict: Callable[[Any], Any], chunks: list[Any]) -> Job:
    """Return the job that predicts chunks to NumPy arrays, and joins several of them."""
    if len(chunks) == 1:
        return lambda: predict(chunks[0])
    import numpy as np  # not at the top: the process that starts the others must stay small

    return lambda: np.concatenate([predict(chunk) for chunk in chunks])


def peer(name: str) -> Any:
    """Import the module of a peer and return the peer."""
    module, cls, options = PEERS[name]
    return getattr(importlib.import_module(f"benchmarks.peers.{module}"), cls)(**options)
