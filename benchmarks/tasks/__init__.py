"""The real tasks of `models/`, each trained with PyTorch too: one module for each spec.

A module `benchmarks/tasks/NAME.py` has one function, `train(torch, data, *, epochs, seed)`: it
builds the network of `models/NAME.json` in PyTorch, trains it on `data.train` with the spec's
optimizer, batch size and clipping, and returns the metrics on `data.test` under nnreg's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.runs.prepare import PreparedRun, prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.named import NamedArrays
from nnreg.tables.padded import Padded
from nnreg.training.evaluation import Examples
from nnreg.training.outputs import SeveralEvaluation

MODELS = Path(__file__).resolve().parents[2] / "models"

Arrays = np.ndarray | dict[str, np.ndarray]
"""An array, or arrays by the names of the inputs or of the outputs if there are several."""


@dataclass(frozen=True)
class Split:
    """The examples of a split as nnreg's network gets them.

    `targets` are what the loss takes, such as class numbers or standardized numbers. `lengths` has
    the number of real steps of each row, by name if there are several inputs, and only of inputs
    that are padded sequences; None if no input is. `target_lengths` has those of the targets.
    `weights` has the weight of each row, if the spec gives some.
    """

    inputs: Arrays
    targets: Arrays
    lengths: Arrays | None
    target_lengths: Arrays | None
    weights: np.ndarray | None

    def __len__(self) -> int:
        first = next(iter(self.inputs.values())) if isinstance(self.inputs, dict) else self.inputs
        return len(first)


@dataclass(frozen=True)
class Data:
    """The encoded data of a spec, the spec as JSON without comments, and what both trainings share.

    `prepared` is the run of nnreg on the same data: it has no validation split, so that both
    trainings take all epochs and return their last weights.
    """

    train: Split
    test: Split
    spec: Mapping[str, Any]
    batch_size: int
    epochs: int
    seed: int
    prepared: PreparedRun

    def metrics(self, outputs: Any) -> dict[str, float]:
        """Return the spec's metrics of a network's outputs for the inputs of the test split.

        They are those of nnreg: probabilities rather than scores of classes, numbers as the loss
        compares them, and a mapping from name to array if there are several outputs.
        """
        evaluation, test = self.prepared.model.evaluation, self.prepared.test
        assert test is not None
        if not isinstance(evaluation, SeveralEvaluation):
            return evaluation.metrics(np.asarray(outputs), test)
        return {
            f"{name}_{metric}": value
            for name, output in evaluation.outputs.items()
            if output.evaluation is not None and output.compared
            for metric, value in output.evaluation.metrics(
                np.asarray(outputs[name]), evaluation.examples_of(name, test)
            ).items()
        }


def prepare(name: str, overrides: Iterable[str] = (), *, directory: Path = MODELS) -> Data:
    """Read, split and encode the data of the spec of this name."""
    document = read_spec(directory / f"{name}.json", ["train.early_stopping=null", *overrides])
    prepared = replace(prepare_from_spec(document), validation=None)
    assert prepared.test is not None, f"models/{name}.json has no test split"
    spec = document.spec
    return Data(
        _split(prepared.train),
        _split(prepared.test),
        document.tree,
        spec.train.batch_size,
        spec.train.epochs,
        spec.seed,
        prepared,
    )


def _split(examples: Examples) -> Split:
    weights = examples.weights
    return Split(
        _values(examples.x),
        _values(examples.targets),
        _lengths(examples.x),
        _lengths(examples.targets),
        weights if weights is None or isinstance(weights, np.ndarray) else weights.values,
    )


def _values(value: Any) -> Any:
    """Return the arrays of inputs or targets, those of sequences with their padding."""
    if isinstance(value, NamedArrays):
        return {name: _values(one) for name, one in value.arrays.items()}
    return value.values if isinstance(value, Padded) else np.asarray(value)


def _lengths(value: Any) -> Any:
    """Return the lengths of padded inputs or targets; None if there are none."""
    if isinstance(value, NamedArrays):
        named = {name: _lengths(one) for name, one in value.arrays.items()}
        return {name: one for name, one in named.items() if one is not None} or None
    return value.lengths if isinstance(value, Padded) else None
