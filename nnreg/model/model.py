"""A model: a network with the preprocessing of its data, its loss, its metrics, its history."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.data.missing_targets import parts_with_target
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.data.weights import example_weights
from nnreg.errors import UsageError
from nnreg.interfaces.schedule import Schedule
from nnreg.model import layer_values
from nnreg.model.build import build_network
from nnreg.model.compatibility import class_names, refuse_incompatible
from nnreg.model.evaluation import evaluate_parts
from nnreg.model.forecast import forecast_columns
from nnreg.model.inputs import prepare_inputs, prepare_targets
from nnreg.model.kernels import initial_kernels, network_of_prediction, network_of_training
from nnreg.model.outputs import Output, averages_of, evaluation_of, only_target, outputs_of
from nnreg.model.planned import PlannedPrediction
from nnreg.model.predictions import Predicted, by_output, predicted
from nnreg.model.raw_rows import RawRows
from nnreg.model.row_schema import row_schema
from nnreg.model.sequences import check_steps
from nnreg.model.summary import html_table, layer_table, summary
from nnreg.network.network import Network
from nnreg.provenance.component_paths import components_of
from nnreg.provenance.components import describe
from nnreg.ranks.group import ALONE, Ranks
from nnreg.spec.document import Document
from nnreg.spec.sections import Spec
from nnreg.tables.padded import as_type
from nnreg.tables.table import Table
from nnreg.training.component_checks import check_components
from nnreg.training.evaluation import Examples, reported
from nnreg.training.formulas import require_derivatives
from nnreg.training.history import History
from nnreg.training.inference import inference_network
from nnreg.training.state import Record, TrainingState
from nnreg.training.trainer import Trainer


class Model:
    """A network with its preprocessing, as `nnreg.build` and `nnreg.load` return it.

    It takes raw rows, as arrays, lists, mappings or data frames. A new instance has weights of 0.
    `check` refuses components that do not fit each other; a checkpoint's are used as they are.
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
        Model.__init__(self, state["document"], state["preprocessing"], check=False)
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
    def inputs(self) -> dict[str, Any]:
        """The JSON Schema of a row that it takes, an object of values by column."""
        return row_schema(self.preprocessing, self.raw_rows.columns)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, or None for a numeric target."""
        return self.preprocessing.class_names

    @property
    def history(self) -> History:
        """The records of the completed epochs."""
        return History(self.training_state.history)

    @property
    def results(self) -> dict[str, float]:
        """The validation metrics of its weights, in the record of their epoch, if there are any."""
        return self.training_state.results(last=self.resumable)

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The trainable arrays by name, such as `layers/0/weight`; they can be written to.

        With averages, by `train.ema` or the optimizer, these are in `inference_network.parameters`.
        """
        return self.network.parameters

    @property
    def state(self) -> Mapping[str, Array]:
        """The buffers, arrays that layers update themselves, such as running means."""
        return self.network.state

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

    def predict(self, x: Any) -> Any:
        """Return the predictions `(rows, …)`: probabilities of the classes, or numbers.

        Numbers are in the units of the target. A network with one output gives the shape of the
        target: `(rows,)` if it has one value per row. Several outputs are a dictionary by name, and
        an output for each step of sequences is a list of arrays, one per row.
        Raises `DataError` for rows that do not fit.
        """
        return by_output(Output.prediction, self._predicted(x))

    def forecast(self, x: Any) -> dict[str, Array]:
        """Return what follows the last rows of each group, as columns of `nnreg forecast`."""
        table = self.raw_rows.last_windows(x)
        return forecast_columns(table, self._predicted(table), self.raw_rows.columns)

    def predict_members(self, x: Any) -> list[Any]:
        """Return what each member of an ensemble predicts, as `predict` returns their mean.

        Their spread is large where the training had few rows like these. A model that is no
        ensemble has one member.
        """
        network, table = self.inference_network, self.raw_rows.inputs(x)
        inputs = prepare_inputs(table, self.preprocessing, self.network, self.spec)
        members = map(network.member, range(network.members))
        found = [predicted(one, self.outputs, table, inputs) for one in members]
        return [by_output(Output.prediction, one) for one in found]

    def _predicted(self, x: Any) -> Iterable[Predicted]:
        """Return the outputs of the network `(rows, …, outputs)`, in the units of their targets.

        Raises `DataError` if one is not finite.
        """
        network = self.network_for(len(x) if isinstance(x, np.ndarray) and x.ndim else 0)
        found = self._planned.predicted(network, x)
        if found is not None:
            return found
        table = self.raw_rows.inputs(x)
        inputs = prepare_inputs(table, self.preprocessing, self.network, self.spec)
        return predicted(self.network_for(len(inputs)), self.outputs, table, inputs)

    @functools.cached_property
    def _planned(self) -> PlannedPrediction:
        return PlannedPrediction(self.preprocessing, self.spec.data, self.network, self.outputs)

    def classify(self, x: Any) -> Any:
        """Return the most probable class of each row, in the type that the classes were given.

        If a row may have several labels, return a list of those of each row, more probable than
        1/2. Of several outputs, those with classes or labels are a dictionary by name.
        """
        found = list(self._predicted(x))
        chosen = [
            one
            for one in found
            if not one[0].name or one[0].predicts_classes or one[0].labels is not None
        ]
        return by_output(Output.classify, chosen)

    def probabilities(self, x: Any) -> Any:
        """Return one column per class, even if the network has a single output.

        Of several outputs, those with classes or labels are a dictionary by name.
        """
        predicted = self._predicted(x)
        found = [one for one in predicted if not one[0].name or one[0].spec.classification]
        if not self.spec.several:
            self.evaluation.require_predictions()
        return by_output(Output.probabilities, found)

    def evaluate(self, x: Any, y: Any = None) -> dict[str, float]:
        """Return the loss and every metric of the spec for these rows and raw targets."""
        examples = self.examples(*self.raw_rows.without_dropped(x, y)[:2])
        return reported(self.evaluation.evaluate(self.network_for(len(examples)), examples))

    @np.errstate(over="ignore", invalid="ignore")
    def evaluate_chunks(self, tables: Iterable[Table]) -> dict[str, float]:
        """Return the result of `evaluate` for all tables, with one of them in memory at a time.

        Of the others, only the outputs and the targets are in memory.
        """
        rows, names = self.raw_rows, self.preprocessing.target_names
        tables = (rows.examples(table, with_targets=True) for table in tables)
        examples = (self.examples(t, t) for t in parts_with_target(tables, names, rows.columns))
        return evaluate_parts(self.inference_network, self.evaluation, examples)

    def gradients(self, x: Any, y: Any = None) -> tuple[float, dict[str, Array]]:
        """Return the loss and its gradients by parameter name, in inference mode (no dropout).

        The gradients of frozen layers are 0. Of an ensemble, the loss is the mean of those of the
        members, and the gradients of each are those of its own.
        """
        x, y, _ = self.raw_rows.without_dropped(x, y)
        return layer_values.gradients(self.network, self.evaluation, self.examples(x, y))

    def activations(self, x: Any) -> dict[str, Any]:
        """Return the output of each layer for raw rows, by its name, such as `layers/0`.

        That of the last one is before the output activation, if the network has one: `outputs` are
        after it. Of sequences, the steps of padding are included.
        """
        table = self.raw_rows.inputs(x)
        inputs = prepare_inputs(table, self.preprocessing, self.network, self.spec)
        return layer_values.activations(self.inference_network, inputs)

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        weights: Any = None,
        validation: tuple[Any, Any] | None = None,
        epochs: int | None = None,
        on_epoch: Callable[[Record], None] | None = None,
        check: bool = True,
    ) -> History:
        """Train on raw rows and targets for `epochs` more epochs, or up to those of the spec.

        `y` may be omitted if no loss takes a target, or if `x` has the target columns. Without
        `epochs`, a model that has completed those of the spec is not trained further; one that
        early stopping has ended is, and its patience starts anew. The preprocessing was learned
        when the model was built. `weights` has one number >= 0 per row, and replaces the weight
        column of the spec. Without `check`, the components of plugins are not tested first.
        """
        if epochs is not None and (not isinstance(epochs, int | np.integer) or epochs < 0):
            raise UsageError(f"epochs: found {epochs!r}, expected a non-negative integer")
        if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
            raise UsageError("validation: expected (x, y), the inputs and the targets")
        x, y, rows = self.raw_rows.without_dropped(x, y)
        if rows is not None and weights is not None:
            weights = np.asarray(weights)[rows]
        train = self.with_sample_weights(self.examples(x, y, training=True), x, weights)
        held_out = None
        if validation is not None:
            held_out = self.examples(*self.raw_rows.without_dropped(*validation)[:2])
        trainer = self.trainer(train, held_out, epochs=epochs, wait_again=True, check=check)
        for record in trainer.epochs():
            if on_epoch:
                on_epoch(record)
        return self.history

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

    def use_best(self) -> None:
        """Restore the weights of the best epoch, those for inference.

        Unless it is the last one, training then continues with a new optimizer state and history.
        """
        state = self.training_state
        is_last = state.best_epoch == state.epoch and self.inference_network is self.network
        if is_last or state.best_vector is None:
            return
        with state.lock.training():
            self.network.vector[...] = state.best_vector
            self.network.state_vector[...] = state.best_state
            state.ema_steps, state.ema = 0, None
            self.resumable = False

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
        truth, classes = examples.raw_targets, self.classes
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

    def summary(self) -> str:
        """Return a table of the layers as text."""
        return summary(self.network, self.layer_table())

    def __repr__(self) -> str:
        return f"Model({self.document.name!r}, {self.network.vector.size:,} parameters)"

    def _repr_html_(self) -> str:
        """Return HTML of the layers and the history, for a notebook."""
        return html_table(self.layer_table()) + self.history._repr_html_()
