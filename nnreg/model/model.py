"""A model: a network with the preprocessing of its data, its loss, its metrics, its history."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import UsageError
from nnreg.model import layer_values
from nnreg.model.forecast import forecast_columns
from nnreg.model.inputs import prepare_inputs
from nnreg.model.outputs import Output
from nnreg.model.parts import ModelParts
from nnreg.model.planned import PlannedPrediction
from nnreg.model.predictions import Predicted, by_output, predicted
from nnreg.model.row_schema import row_schema
from nnreg.model.summary import summary
from nnreg.training.evaluation import reported
from nnreg.training.history import History
from nnreg.training.state import Record


class Model(ModelParts):
    """A network with its preprocessing, as `nnreg.build` and `nnreg.load` return it.

    It takes raw rows: an array `(rows, columns)`, a list of such rows or of dictionaries by column,
    a dictionary of columns, a data frame, or a `Table`. Columns of a data frame or a dictionary may
    be in any order; those of an array are in the order of training. Arguments that do not fit raise
    an `NnregError`.

    `spec` has the sections of its spec, and `run_directory` is the directory of its run: None if it
    has none. Several threads may call its methods, except those that change it: `fit` and
    `use_best`.
    """

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of a row: an object of a value for each input column.

        It has the type of each column, its known categories where others are refused, `null` where
        a value may be missing, and the range of the training rows.
        """
        return row_schema(self.preprocessing, self.raw_rows.columns)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, in the order of the probabilities; None for other targets."""
        return self.preprocessing.class_names

    @property
    def history(self) -> History:
        """The metrics of each completed epoch; `history["val_loss"]` is a column of it."""
        return History(self.training_state.history)

    @property
    def results(self) -> dict[str, dict[str, float]]:
        """The metrics of its weights by split, as in `results["test"]["accuracy"]`.

        A finished run has those of `train`, `validation` and `test`, as far as there are such rows,
        and those of the `baseline`, a constant prediction for the last of these splits. Of other
        weights, there are those of `validation` if their epoch has a record of them, else none.
        """
        return self.training_state.results(last=self.resumable)

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The trainable arrays by name, such as `layers/0/weight`, as views of the network.

        Writing to one changes the network: `model.parameters["layers/0/bias"][:] = 0`. With
        averages, by `train.ema` or the optimizer, predictions use these instead, until `use_best`.
        """
        return self.network.parameters

    @property
    def buffers(self) -> Mapping[str, Array]:
        """The arrays that layers update themselves, such as running means, by name."""
        return self.network.state

    def predict(self, x: Any) -> Any:
        """Return the predictions `(rows, …)`: probabilities of the classes, or numbers.

        Numbers are in the units of the target. A network with one output gives the shape of the
        target: `(rows,)` if it has one value per row. Several outputs are a dictionary by name, and
        an output for each step of sequences is a list of arrays, one per row.
        Raises `DataError` for rows that do not fit.
        """
        return by_output(Output.prediction, self._predicted(x))

    def forecast(self, x: Any) -> dict[str, Array]:
        """Return what follows the last rows of each group of a time series, by column.

        `x` has the latest rows, at least as many as a window has. The columns have one value per
        group and step: `step` from 1, and `prediction`, in the units of the target; of several
        targets, one for each. Raises `UsageError` for a model without windows.
        """
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
        """Return probabilities `(rows, classes)`, even if the network has a single output.

        Of several outputs, those with classes or labels are a dictionary by name.
        """
        predicted = self._predicted(x)
        found = [one for one in predicted if not one[0].name or one[0].spec.classification]
        if not self.spec.several:
            self.evaluation.require_predictions()
        return by_output(Output.probabilities, found)

    def evaluate(self, x: Any, y: Any = None) -> dict[str, float]:
        """Return the loss and every metric of the spec for these rows and raw targets, by name.

        `y` may be omitted if `x` has the target columns. Raises `DataError` for targets that do not
        fit, such as an unknown class.
        """
        examples = self.examples(*self.raw_rows.without_dropped(x, y)[:2])
        return reported(self.evaluation.evaluate(self.network_for(len(examples)), examples))

    def gradients(
        self, x: Any, y: Any = None, *, activations: bool = False
    ) -> tuple[float, dict[str, Any]]:
        """Return the loss and its gradients by parameter name, in inference mode (no dropout).

        Each gradient has the shape of its parameter; those of frozen layers are 0. With
        `activations`, there are also those of the output of each layer, `(rows, …)`, by the names
        of `activations`: that of the last layer is before the output activation. The loss is a mean
        over the rows, and so are its gradients; those of padding are 0. Of an ensemble, the loss is
        the mean of those of the members, and the gradients of each are those of its own.
        Raises `UsageError` if targets are missing, and `DataError` for rows that do not fit.
        """
        x, y, _ = self.raw_rows.without_dropped(x, y)
        compute = layer_values.gradients_of_layers if activations else layer_values.gradients
        return compute(self.network, self.evaluation, self.examples(x, y))

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

    def summary(self) -> str:
        """Return a table of the layers as text, with their outputs and numbers of parameters."""
        return summary(self.network, self.layer_table())

    def __repr__(self) -> str:
        return f"Model({self.document.name!r}, {self.network.vector.size:,} parameters)"

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows."""
        from nnreg.model.card import model_card  # which only notebooks need

        return model_card(self, self.results, self.history)
