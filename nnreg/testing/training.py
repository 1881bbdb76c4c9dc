"""A short training with a component, which writes a run directory as any run does."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.checkpoint.save_load import load
from nnreg.errors import DivergedError, NnregError, NnregWarning
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.component import Component
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.executor import Executor
from nnreg.interfaces.exporter import Exporter
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.join import OneInput
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.source import Source
from nnreg.registry.registry import Registry
from nnreg.runs.run import prepare_run
from nnreg.spec.document import read_spec
from nnreg.spec.validation import to_json
from nnreg.testing import augmentations, encoders, layers
from nnreg.testing.finite_differences import points
from nnreg.testing.layer_pass import LayerCase
from nnreg.testing.suite import Check
from nnreg.training.component_checks import within

CLASSES = ["a", "b", "c"]
ROWS = 12


def training_check(cls: type[Component], registry: Registry) -> Check | None:
    """Return the check that a network with a component trains; None if it is not trained.

    It is not among those of `checks`, since it takes a registry that has the component. It runs on
    the first example of the class, or else on one with every default.
    """
    example = next(iter(cls.examples()), None)
    if issubclass(cls, Source | Exporter | Executor):
        return None
    if example is None:
        try:
            example = cls()
        except (TypeError, ValueError):  # an option without a default
            return None
    promise = "A network with it trains, and predicts the same from its checkpoint."
    return Check("trains", promise, _failing(lambda: _train(example, registry)))


def _failing(run: Callable[[], None]) -> Callable[[], None]:
    """Return the function with each of its errors as an `AssertionError`."""

    def checked() -> None:
        try:
            run()
        except AssertionError:
            raise
        except DivergedError:  # a large learning rate is no fault of a component
            pass
        except NnregError as error:
            raise AssertionError(str(error)) from error
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{type(error).__name__}: {error}") from error

    return checked


def _train(example: Any, registry: Registry) -> None:
    component = example[0] if isinstance(example, tuple) else example
    spec, x, y = _spec_and_data(example, component, to_json(component, registry), registry)
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)
        run = Path(directory) / "run"
        document = read_spec(spec, registry=registry)
        # Other checks test the methods and gradients one by one.
        model = prepare_run(document, out=run, data=(x, y), check=False).train()
        again = load(run, registry=registry)
        found, expected = (_bytes_of(one.predict(x)) for one in (again, model))
        if found != expected:
            raise AssertionError(f"{component}: its checkpoint predicts something else")


def _bytes_of(predictions: Any) -> list[bytes]:
    """Return the bytes of predictions, of one output or of several."""
    each = predictions.values() if isinstance(predictions, dict) else [predictions]
    return [one.tobytes() for one in each]


def _spec_and_data(
    example: Any, component: Component, tree: Any, registry: Registry
) -> tuple[dict[str, Any], Any, Array]:
    """Return a small spec with a component, and data for it."""
    x: Any = points((ROWS, 6))
    classes = np.resize(CLASSES, ROWS)
    hidden: dict[str, Any] = {"type": "dense", "units": 4, "activation": "tanh"}
    output: dict[str, Any] = {"type": "dense", "units": 1}
    spec: dict[str, Any] = {
        "data": {
            "source": "csv",  # replaced by the arrays
            "path": "unused.csv",
            "target": "target",
            "scaling": "none",
            "split": {"validation": 0.25},
        },
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 2, "batch_size": 3},
    }
    y: Array = x.sum(axis=1)
    first: list[Any] = [hidden]
    if isinstance(component, Loss):
        output, y = _output_for(component, example, output, y, registry)
    elif component.kind in ("layer", "augmentation") or getattr(component, "classification", False):
        spec["loss"], y = "cross_entropy", classes
        output = {"type": "dense", "units": "classes", "activation": "softmax"}
    if isinstance(component, Layer) and component.kind == "layer":
        case = layers.cases(example)[0]
        several = isinstance(case.layer, OneInput)
        first, x = (_joined if several else _with_input)(component, case, tree)
    elif component.kind == "activation":
        hidden["activation"] = tree
    elif isinstance(component, Initializer):
        hidden["bias_initializer" if _takes_no_weight(component) else "initializer"] = tree
    elif isinstance(component, Metric):
        spec["metrics"] = [tree]
    elif isinstance(component, Regularizer | Constraint):
        key = "regularize" if isinstance(component, Regularizer) else "constrain"
        name = "bias" if _takes_no_weight(component) else "weight"
        spec["train"][key] = {f"layers/0/{name}": tree}
    elif isinstance(component, Augmentation):
        spec["train"]["augment"] = tree
        images = augmentations.cases(component)[0].x
        first, x = ["flatten", hidden], np.resize(images, (ROWS, *images.shape[1:]))
    elif isinstance(component, Encoder):
        column = encoders.cases(example)[0]
        spec["data"]["columns"] = {"x": tree}
        first, values = _layers_after(column), column.column.values[:3]  # all in each split
        x = {"x": np.resize(values, (ROWS, *values.shape[1:]))}
    elif component.kind == "kernels":
        spec["train"]["kernels"] = tree
    else:
        spec[component.kind] = tree  # also the loss
    if isinstance(component, Loss) and not component.takes_target:
        spec["loss"] = {"own": tree, "compared": "mean_squared_error"}
        output = {"type": "dense", "units": 1, "name": "compared"}
        first = [{**hidden, "name": "hidden"}, {**hidden, "units": 6, "name": "own"}]
        output["inputs"] = "hidden"
    return {**spec, "model": {"layers": [*first, output]}}, x, y


def _layers_after(case: encoders.EncoderCase) -> list[Any]:
    """Return the first layers of a network with an encoded column as its input."""
    learned = case.learned()
    first: list[Any] = []
    if learned.integer:
        encoded = encoders.encoded_rows(learned, case.column)
        tokens = 1 + max(int(row.max(initial=0)) for row in encoded)
        first = [{"type": "embedding", "vocabulary": tokens, "units": 2}]
    if learned.index_count is not None:
        first = ["column_embedding"]
    if learned.makes_sequences:
        return [*first, "global_average_pool"]
    return [*first, *(["flatten"] if len(learned.shape) + len(first) > 1 else [])]


def _takes_no_weight(component: Regularizer | Constraint | Initializer) -> bool:
    """Return whether a component refuses the shape of the first layer's weight."""
    try:
        component.check_shape((6, 4))
    except ValueError:
        return True
    return False


def _with_input(layer: Layer, case: LayerCase, tree: Any) -> tuple[list[Any], Array]:
    """Return a layer and one that makes its output, or the first of several, flat; and inputs."""
    x = np.resize(case.x, (ROWS, *case.x.shape[1:]))
    shape = LayerBuilder("$", len(CLASSES)).layer("layers/0", layer, x.shape[1:])
    if isinstance(shape, dict):
        reads = {"type": "flatten", "inputs": f"several.{next(iter(shape))}"}
        return [{**_entry(tree), "name": "several"}, reads], x
    return [tree, *(["flatten"] if len(shape) > 1 else [])], x


def _entry(tree: Any) -> dict[str, Any]:
    """Return a component as an object, to which keys can be added."""
    return {"type": tree} if isinstance(tree, str) else tree


def _joined(join: Layer, case: LayerCase, tree: Any) -> tuple[list[Any], Array]:
    """Return layers with a join that reads its input as often as it has inputs, and inputs."""
    assert isinstance(case.layer, OneInput)
    count, one = len(case.layer.shapes), case.layer.shapes[0]
    shape = join.build((one,) * count, LayerBuilder("$", len(CLASSES)))
    entry = {**_entry(tree), "inputs": ["input"] * count}
    return [entry, *(["flatten"] if len(shape) > 1 else [])], points((ROWS, *one))


def _output_for(
    loss: Loss, example: Any, output: dict[str, Any], y: Array, registry: Registry
) -> tuple[dict[str, Any], Array]:
    """Return a last layer whose outputs the loss accepts, and targets within their range.

    They are those of the example, if it has outputs and targets of its own.
    """
    if isinstance(example, tuple):
        _, outputs, targets = example
        targets = np.resize(targets, (ROWS, *targets.shape[1:]))
        found = np.take(CLASSES, np.rint(targets).astype(int)) if loss.classification else targets
        if outputs.ndim > 2:
            wide = {**output, "units": math.prod(outputs.shape[1:])}
            shaped = {"type": "reshape", "shape": outputs.shape[1:]}
            return {"type": "stack", "times": 1, "layers": [wide, shaped]}, found
        return {**output, "units": outputs.shape[-1], **_bounded(loss)}, found
    fused = loss.fused_activation
    if loss.classification:
        name = "softmax" if fused is None else registry.name_of(fused())
        units = 1 if name == "sigmoid" else "classes"
        layer = {"type": "dense", "units": units, "activation": name, **_bounded(loss)}
        return layer, np.resize(CLASSES[: 2 if units == 1 else 3], len(y))
    declared = np.isfinite(loss.target_range).any()
    bounds = loss.target_range if declared else loss.input_range
    return {**output, **_bounded(loss)}, within(bounds, y)


def _bounded(loss: Loss) -> dict[str, Any]:
    """Return the activation whose outputs are within those that a loss takes, if any is needed."""
    if loss.classification and loss.fused_activation is not None:
        return {}
    names = {(True, False): "softplus", (False, True): "log_softmax"}
    if not loss.classification:
        names[True, True] = "sigmoid"
    low, high = map(math.isfinite, loss.input_range)
    name = names.get((low, high))
    return {} if name is None else {"activation": name}
