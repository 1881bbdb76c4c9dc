"""The time of an import in a new process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import limited, python, run

STATEMENTS = {
    "nnreg": "import nnreg",
    "Python alone": "pass",
    "NumPy": "import numpy",
    "NumPy, h5py": "import numpy, h5py",
    "PyTorch": "import torch",
    "JAX": "import jax",
    "Keras on JAX": "import os; os.environ['KERAS_BACKEND'] = 'jax'; import keras",
    "scikit-learn": "import sklearn.neural_network",
}


def measure(effort: Effort) -> Iterator[Row]:
    """Yield one row: from the start of the process to its end."""
    samplers = {name: partial(_import, code, effort) for name, code in STATEMENTS.items()}
    samples, left_out = interleave(samplers, effort)
    yield Row("start, import, end", "ms", samples, left_out)


def _import(code: str, effort: Effort) -> float:
    return run(python("-c", code), limited(effort.threads)).time(effort)


TABLE = Table(
    "imports",
    "import: milliseconds (the ratio is to NumPy with h5py)",
    tuple(STATEMENTS),
    (Ratio("NumPy, h5py", ("nnreg",), ("NumPy, h5py",)),),
    measure,
)
