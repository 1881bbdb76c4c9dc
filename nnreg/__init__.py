"""Neural networks from a JSON spec, on NumPy alone, where every part comes from a plugin."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# OpenBLAS's threads spin for 26 ms after a product, on the cores that other threads now need. After
# this, which it reads when NumPy is first imported, 2^18 ticks (0.1 ms) is as long as they wait.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

from nnreg.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    MissingPluginError,
    NnregError,
    PluginError,
    ShapeError,
    SpecError,
    UnsavedError,
    UsageError,
)
from nnreg.interfaces import (
    Activation,
    Array,
    Context,
    Initializer,
    Layer,
    Loss,
    Metric,
    Moment,
    Optimizer,
    Plan,
    Schedule,
    Shape,
    Source,
    Step,
    Table,
)

if TYPE_CHECKING:
    from nnreg.folds import CrossValidation
    from nnreg.history import History
    from nnreg.hookspecs import hookimpl
    from nnreg.model import Model
    from nnreg.proposing import propose
    from nnreg.reading import read_arrays, read_history
    from nnreg.registry import register
    from nnreg.reporting.report import report
    from nnreg.runs import build
    from nnreg.saving import load, save
    from nnreg.training import resume, run

__version__ = "0.1.0"

_LAZY = {
    "CrossValidation": "folds",
    "History": "history",
    "Model": "model",
    "build": "runs",
    "hookimpl": "hookspecs",
    "load": "saving",
    "propose": "proposing",
    "read_arrays": "reading",
    "read_history": "reading",
    "register": "registry",
    "report": "reporting.report",
    "resume": "training",
    "run": "training",
    "save": "saving",
}
"""Names whose modules, with pydantic, pluggy and h5py behind them, load when first asked for."""

__all__ = [
    "Activation",
    "Array",
    "CheckpointError",
    "Context",
    "CrossValidation",
    "DataError",
    "DivergedError",
    "History",
    "Initializer",
    "Layer",
    "Loss",
    "Metric",
    "MissingPluginError",
    "Model",
    "Moment",
    "NnregError",
    "Optimizer",
    "Plan",
    "PluginError",
    "Schedule",
    "Shape",
    "ShapeError",
    "Source",
    "SpecError",
    "Step",
    "Table",
    "UnsavedError",
    "UsageError",
    "build",
    "hookimpl",
    "load",
    "propose",
    "read_arrays",
    "read_history",
    "register",
    "report",
    "resume",
    "run",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'nnreg' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"nnreg.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
