"""`nnreg plugin check` trains a network with a component, through a run directory."""

from dataclasses import dataclass

import numpy as np
import pytest

from nnreg import Metric, Optimizer
from nnreg.registry.registry import installed
from nnreg.testing.training import training_check
from tests.helpers.libraries import require_library
from tests.training.test_returned_values import document

TRAINABLE = [e for e in installed() if training_check(e.cls, installed()) is not None]


def test_every_kind_but_sources_exporters_and_executors_is_trained():
    kinds = {"activation", "loss", "layer", "optimizer", "schedule", "initializer", "regularizer",
             "constraint", "metric", "kernels", "encoder",
             "augmentation"}  # fmt: skip
    assert {entry.kind for entry in TRAINABLE} == kinds


@pytest.mark.parametrize("entry", TRAINABLE, ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_built_in_component_trains(entry):
    require_library(entry.cls)
    training_check(entry.cls, installed())()


@dataclass(frozen=True)
class OnlyFirst(Optimizer):
    """A step that fails after the first one"""

    def update(self, parameters, gradient, state):
        parameters -= self.learning_rate * gradient
        if state.count > 2:
            raise RuntimeError("too many steps")


@dataclass(frozen=True)
class FewRows(Metric):
    """The error of at most 5 rows"""

    def compute(self, y, t):
        return float(np.abs(y[:5] - t[:5]).mean()) if len(y) < 9 else "many"


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (OnlyFirst, "RuntimeError: too many steps"),
        (FewRows, r"FewRows\.compute returned str 'many'; expected a single number"),
    ],
)
def test_a_component_with_which_training_fails_is_found(cls, text):
    registry = document({"own": cls}).registry
    with pytest.raises(AssertionError, match=text):
        training_check(cls, registry)()
