"""The parts of a model, for the other packages of nnreg: `Model` is what a program uses."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nnreg.data.missing_targets import parts_with_target
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.data.weights import example_weights
from nnreg.interfaces.schedule import Schedule
from nnreg.model.build import build_network
from nnreg.model.compatibility import class_names, refuse_incompatible
from nnreg.model.evaluation import evaluate_parts
from nnreg.model.inputs import prepare_inputs, prepare_targets
from nnreg.model.kernels import initial_kernels, network_of_prediction, network_of_training
from nnreg.model.outputs import averages_of, evaluation_of, only_target, outputs_of
from nnreg.model.raw_rows import RawRows
from nnreg.model.sequences import check_steps
from nnreg.model.summary import layer_table
from nnreg.network.network import Network
from nnreg.provenance.component_paths import components_of
from nnreg.provenance.components import describe
from nnreg.ranks.group import ALONE, Ranks
from nnreg.spec.document import Document
from nnreg.spec.sections import Spec
from nnreg.tables.padded import as_type
from nnreg.tables.table import Table
from nnreg.training.component_checks import check_components
from nnreg.training.evaluation import Examples
from nnreg.training.formulas import require_derivatives
from nnreg.training.inference import inference_network
from nnreg.training.state import TrainingState
from nnreg.training.trainer import Trainer


class ModelParts:
    """A network, its preprocessing, its evaluation, and the state of its training.

    These names are not part of the public interface: they change without notice. A new instance has
    weights of 0. `check` refuses components that do not fit each other; a checkpoint's are used as
    they are.
    """

    def __init__(
        self, document: Document, preprocessing: Preprocessing, *, check: bool = True
    ) -> None:
        self.document = document
        self.preprocessing = preprocessing
        self.training_state = TrainingState()
        self.resumable = True
        self.data_digests: Mapping[str, str] = {}
        self.started_from: Mapping[str, str] = {}
        """The SHA-256 of the checkpoint of the initial weights, by its path."""
        self.environment: Mapping[str, Any] = {}
        self.run_directory: Path | None = None
        self._checked = False
        with document.locating_errors():
            self.network = build_network(
                self.spec,
                preprocessing.input_shape,
                preprocessing.classes,
                initial_kernels(self.spec.train, document.registry, check=check),
                masked=preprocessing.steps,
                averages=averages_of(self.spec, preprocessing),
                features=preprocessing.features,
            )
            if check:
                refuse_incompatible(self.spec, self.network, class_names(preprocessing))
            self.outputs = outputs_of(self.spec, preprocessing, self.network, document.registry)
            """The outputs by name; the name of a single one is empty."""
            self.evaluation = evaluation_of(self.spec, list(self.outputs.values()))
            check_steps(preprocessing, self.network, list(self.outputs.values()))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy the values of the network; the rest follows from the document."""
        derived = ("network", "outputs", "evaluation", "components", "_planned")
        kept = {name: value for name, value in vars(self).items() if name not in derived}
        return {**kept, "values": (self.network.vector, self.network.state_vector)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vector, state_vector = state.pop("values")
        ModelParts.__init__(self, state["document"], state["preprocessing"], check=False)
        vars(self).update(state)
        self.network.vector[...], self.network.state_vector[...] = vector, state_vector

    @property
    def spec(self) -> Spec:
        """The sections of the spec."""
        return self.document.spec

    @property
    def raw_rows(self) -> RawRows:
        """The conversion of raw rows to tables, as in training."""
        return RawRows(self.preprocessing, self.spec.data or Columns())

    @property
    def inference_network(self) -> Network:
        """The network used for predictions, with averaged weights if there are any."""
        if not self.resumable:
            return self.network
        return inference_network(self.network, self.spec.optimizer, self.training_state)

    def network_for(self, rows: int) -> Network:
        """Return the inference network with the kernels that pay for this number of rows."""
        known = self.spec.train, self.document.registry
        return network_of_prediction(*known, self.inference_network, rows)

    @functools.cached_property
    def components(self) -> list[dict[str, Any]]:
        """The provider and fingerprint of each component of the spec; see `provenance`."""
        return describe(self.document, self.network)

    @np.errstate(over="ignore", invalid="ignore")
    def evaluate_chunks(self, tables: Iterable[Table]) -> dict[str, float]:
        """Return the result of `evaluate` for all tables, with one of them in memory at a time.

        Of the others, only the outputs and the targets are in memory.
        """
        rows, names = self.raw_rows, self.preprocessing.target_names
        tables = (rows.examples(table, with_targets=True) for table in tables)
        examples = (self.examples(t, t) for t in parts_with_target(tables, names, rows.columns))
        return evaluate_parts(self.inference_network, self.evaluation, examples)

    def trainer(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        epochs: int | None = None,
        wait_again: bool = False,
        check: bool = True,
        schedule: Schedule | None = None,
        ranks: Ranks = ALONE,
    ) -> Trainer:
        """Return a trainer on prepared examples; see `fit` for `epochs` and `check`.

        `schedule` replaces that of the spec. `ranks` are the processes that share the training.

        Raises `PluginError` for a component of a plugin that fails a check.
        """
        if not self._checked:
            located, registry = [*components_of(self.spec, self.network)], self.document.registry
            require_derivatives(located)
            if check:
                evaluation = self.evaluation.of_member
                check_components(located, registry, self.network.member(0), evaluation, train)
            self._checked = check
        if not self.resumable:
            self.training_state = TrainingState(lock=self.training_state.lock)
            self.resumable = True
        self.training_state.evaluated = {}
        recorded = self.environment if self.training_state.step else {}
        known = self.spec.train, self.document.registry
        network = network_of_training(*known, self.network, len(train), recorded)
        with self.document.locating_errors():
            return Trainer(
                network,
                self.evaluation,
                self.spec.optimizer,
                self.spec.train,
                train,
                validation,
                schedule=schedule or self.spec.schedule,
                seed=self.spec.seed,
                training_state=self.training_state,
                epochs=None if epochs is None else self.training_state.epoch + epochs,
                wait_again=wait_again,
                ranks=ranks,
            )

    def examples(self, x: Any, y: Any = None, *, training: bool = False) -> Examples:
        """Return examples for the network from raw rows and targets.

        Those for `training` may differ: an encoder may encode them without their own target.
        """
        inputs_table, table = self.raw_rows.inputs_and_targets(x, y)
        targets_of = table if training else None
        inputs = prepare_inputs(
            inputs_table, self.preprocessing, self.network, self.spec, targets_of
        )
        targets, raw = prepare_targets(table, list(self.outputs.values()), self.network, inputs)
        return Examples(inputs, targets, raw)

    def with_sample_weights(self, examples: Examples, x: Any, weights: Any = None) -> Examples:
        """Return training examples with the weights of the spec, or with `weights`.

        `x` has the raw rows of the examples.
        """
        columns, table = self.raw_rows.columns, self.raw_rows.inputs(x)
        truth, classes = examples.raw_targets, self.preprocessing.class_names
        if columns.class_weights is not None:
            truth, classes = only_target(self.outputs.values(), truth)
        values = example_weights(columns, table, truth, classes, weights)
        if values is not None:
            values = as_type(values, self.network.dtype)
            self.evaluation.require_independent()
        return replace(examples, weights=values)

    def layer_table(self) -> list[tuple[str, str, str, int]]:
        """Return each layer's name, kind, output shape, and number of parameters."""
        return layer_table(self.network, self.document.registry)
