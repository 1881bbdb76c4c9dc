"""The spec of an estimator: the one that it was given, or one made of its arguments."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils.json_text import dumps
from nnreg.errors import UsageError
from nnreg.interfaces.loss import Loss
from nnreg.spec.document import Document, read_spec

DATA: Mapping[str, Any] = {"source": "csv", "path": "passed to fit", "scaling": "none"}
"""What a data section has besides the settings of an estimator, which reads no file."""

OF_SPEC = (
    "hidden", "activation", "loss", "optimizer", "learning_rate", "epochs", "batch_size",
    "dropout", "weight_decay", "early_stopping", "patience", "min_delta", "data", "dtype",
)  # fmt: skip
"""The arguments of which a spec has the values itself."""


def document_of(
    arguments: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    seed: int | None,
    outputs: int | None = None,
    classes: int | None = None,
) -> Document:
    """Return the spec of an estimator with these arguments.

    `outputs` is the number of targets, or `classes` that of the classes. Without a `seed`, a spec
    keeps its own. Raises `UsageError` for arguments besides a spec that has their values.
    """
    if arguments["spec"] is None:
        tree = {**_tree(arguments, outputs, classes), "seed": seed}
        return _of_passed_data(read_spec(tree, overrides_of(arguments["overrides"])), None)
    for name in OF_SPEC:
        if _plain(arguments[name]) != _plain(defaults[name]):
            raise UsageError(
                f"{name}: the spec has its value; change it there, or in overrides, as in "
                "overrides={'train.epochs': 5}"
            )
    source, overrides = source_of(arguments["spec"]), overrides_of(arguments["overrides"])
    return _of_passed_data(read_spec(source, overrides, run_plugin_file=True), seed)


def source_of(spec: Any) -> Mapping[str, Any] | Path:
    """Return a spec given as a path or a mapping. Raises `UsageError` for anything else."""
    if isinstance(spec, Mapping):
        return spec
    if isinstance(spec, str | os.PathLike):
        return Path(spec)
    raise UsageError(f"spec: found {spec!r}, expected a path or a mapping")


def _of_passed_data(given: Document, seed: int | None) -> Document:
    """Return a spec without what splits the rows: the caller of `fit` has chosen them."""
    if given.spec.several:
        raise UsageError(f"{given.origin}: several outputs; an estimator has one")
    tree: dict[str, Any] = copy.deepcopy(dict(given.tree))
    for section, keys in {"data": ("split",), "train": ("folds", "fold")}.items():
        for key in keys:
            tree.get(section, {}).pop(key, None)
    if seed is not None:
        tree["seed"] = seed
    return read_spec(tree, directory=given.directory, registry=given.registry)


def _tree(arguments: Mapping[str, Any], outputs: int | None, classes: int | None) -> dict[str, Any]:
    """Return the JSON of the spec that the arguments describe, without its seed."""
    train = {name: arguments[name] for name in ("epochs", "batch_size", "weight_decay")}
    if arguments["early_stopping"]:
        stopping = {name: arguments[name] for name in ("patience", "min_delta")}
        train["early_stopping"] = stopping
    optimizer = _component(arguments["optimizer"])
    if arguments["learning_rate"] is not None:
        optimizer["learning_rate"] = arguments["learning_rate"]
    layers: list[dict[str, Any]] = []
    for units in _hidden(arguments["hidden"]):
        layers.append({"type": "dense", "units": units, "activation": arguments["activation"]})
        if arguments["dropout"]:
            layers.append({"type": "dropout", "rate": arguments["dropout"]})
    tree: dict[str, Any] = {
        "model": {"layers": [*layers, {"type": "dense", "units": 1}], "dtype": arguments["dtype"]},
        "loss": arguments["loss"],
        "optimizer": optimizer,
        "train": train,
    }
    if arguments["data"] is not None:
        if not isinstance(arguments["data"], Mapping):
            raise UsageError(f"data: found {arguments['data']!r}, expected a mapping of settings")
        tree["data"] = {**DATA, **arguments["data"]}
    tree = _plain(tree)
    loss = read_spec(tree).spec.outputs[0].loss
    if loss is not None:
        tree["model"]["layers"][-1] |= _output(loss, outputs, classes)
    return tree


def _output(loss: Loss, outputs: int | None, classes: int | None) -> dict[str, Any]:
    """Return the options of the last layer: as many units as the target needs, in the loss's range.

    Two classes have one unit if the loss takes a single probability or score.
    """
    if loss.classification != (classes is not None):
        found, other = (
            ("classes", "NNClassifier") if loss.classification else ("numbers", "NNRegressor")
        )
        raise UsageError(f"loss: it is one of {found}; choose another, or {other}")
    units: int | str | None = outputs
    if classes is not None:
        units = "classes" if classes > 2 or loss.takes_labels else 1
    low, high = loss.input_range
    if loss.fused_activation is not None:
        activation = loss.fused_activation.__name__.lower()
    else:
        activation = {
            (0, 1): "sigmoid",
            (0, math.inf): "softplus",
            (-math.inf, 0): "log_softmax",
        }.get((low, high), "identity")
    if activation == "sigmoid" and units == "classes":  # a row has one of them
        activation = "softmax"
    return {"units": units, "activation": activation}


def _hidden(hidden: Any) -> list[Any]:
    """Return the numbers of units of the hidden layers; a number alone is that of one."""
    if isinstance(hidden, str | Mapping) or not isinstance(hidden, Iterable):
        return [hidden]
    return list(hidden)


def _component(component: Any) -> dict[str, Any]:
    return dict(component) if isinstance(component, Mapping) else {"type": component}


def _plain(value: Any) -> Any:
    """Return a value with Python's numbers instead of NumPy's, which grids of parameters have."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def overrides_of(overrides: Any) -> list[str]:
    """Return overrides given as a mapping from path to value, or as texts `path=value`."""
    if overrides is None:
        return []
    if not isinstance(overrides, Mapping | list | tuple) or not all(map(_is_text, overrides)):
        raise UsageError(f"overrides: found {overrides!r}, expected a mapping from path to value")
    if isinstance(overrides, Mapping):
        try:
            return [f"{path}={dumps(_plain(value))}" for path, value in overrides.items()]
        except TypeError as error:
            raise UsageError(f"overrides: not expressible as JSON: {error}") from error
    return list(overrides)
