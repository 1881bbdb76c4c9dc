"""Neural networks from a JSON spec, computed with NumPy; every component comes from a plugin."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnreg import _openblas
from nnreg._version import __version__ as __version__
from nnreg.errors import (
    CheckpointError,
    DataDriftWarning,
    DataError,
    DivergedError,
    MissingPluginError,
    NnregError,
    NnregWarning,
    PluginError,
    ShapeError,
    SpecError,
    UnsavedError,
    UsageError,
)

if TYPE_CHECKING:
    from nnreg._types import Array, Shape
    from nnreg.checkpoint.inspect import read_arrays, read_history
    from nnreg.checkpoint.save_load import load, save
    from nnreg.comparison.api import compare
    from nnreg.exporters.api import export
    from nnreg.hookspecs import hookimpl
    from nnreg.interfaces import (
        Activation,
        Augmentation,
        Component,
        Constraint,
        Context,
        Count,
        Encoder,
        Executor,
        Exporter,
        HeldOut,
        Initializer,
        Join,
        JoinBackward,
        Kernels,
        Layer,
        LayerBuilder,
        Loss,
        Metric,
        NonNegative,
        Optimizer,
        Param,
        Positive,
        RawColumn,
        Regularizer,
        ReportChart,
        ReportTable,
        ReportView,
        RunView,
        Schedule,
        ScheduleContext,
        Section,
        Source,
        TermLoss,
        TrainableActivation,
        Units,
        UpdateState,
        Workspace,
        chain,
        fans,
        learned,
    )
    from nnreg.model.calibration import calibrate
    from nnreg.model.importance import importance
    from nnreg.model.model import Model
    from nnreg.registry.register import register
    from nnreg.reports.report import report
    from nnreg.runs.api import resume, run
    from nnreg.runs.cross_validation import CrossValidation
    from nnreg.runs.prepare import build
    from nnreg.starter.propose import propose
    from nnreg.sweeps.api import sweep
    from nnreg.tables.padded import Padded
    from nnreg.tables.table import Table
    from nnreg.training.history import History
    from nnreg.weights.api import load_weights

_LAZY = {
    "Array": "_types",
    "Shape": "_types",
    "Padded": "tables.padded",
    "Table": "tables.table",
    "CrossValidation": "runs.cross_validation",
    "History": "training.history",
    "Model": "model.model",
    "build": "runs.prepare",
    "calibrate": "model.calibration",
    "compare": "comparison.api",
    "export": "exporters.api",
    "hookimpl": "hookspecs",
    "importance": "model.importance",
    "load": "checkpoint.save_load",
    "load_weights": "weights.api",
    "propose": "starter.propose",
    "read_arrays": "checkpoint.inspect",
    "read_history": "checkpoint.inspect",
    "register": "registry.register",
    "report": "reports.report",
    "resume": "runs.api",
    "run": "runs.api",
    "save": "checkpoint.save_load",
    "sweep": "sweeps.api",
}
"""The modules of the names that are not in `interfaces`. Each is imported on first access, as it
imports NumPy, pydantic, pluggy or h5py: the command line handles Ctrl-C before that."""

__all__ = [
    "Activation",
    "Array",
    "Augmentation",
    "CheckpointError",
    "Component",
    "Constraint",
    "Context",
    "Count",
    "CrossValidation",
    "DataDriftWarning",
    "DataError",
    "DivergedError",
    "Encoder",
    "Executor",
    "Exporter",
    "HeldOut",
    "History",
    "Initializer",
    "Join",
    "JoinBackward",
    "Kernels",
    "Layer",
    "LayerBuilder",
    "Loss",
    "Metric",
    "MissingPluginError",
    "Model",
    "NnregError",
    "NnregWarning",
    "NonNegative",
    "Optimizer",
    "Padded",
    "Param",
    "PluginError",
    "Positive",
    "RawColumn",
    "Regularizer",
    "ReportChart",
    "ReportTable",
    "ReportView",
    "RunView",
    "Schedule",
    "ScheduleContext",
    "Section",
    "Shape",
    "ShapeError",
    "Source",
    "SpecError",
    "Table",
    "TermLoss",
    "TrainableActivation",
    "Units",
    "UnsavedError",
    "UpdateState",
    "UsageError",
    "Workspace",
    "build",
    "calibrate",
    "chain",
    "compare",
    "export",
    "fans",
    "hookimpl",
    "importance",
    "learned",
    "load",
    "load_weights",
    "propose",
    "read_arrays",
    "read_history",
    "register",
    "report",
    "resume",
    "run",
    "save",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nnreg' has no attribute {name!r}")
    _openblas.import_numpy()
    module = importlib.import_module(f"nnreg.{_LAZY.get(name, 'interfaces')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
