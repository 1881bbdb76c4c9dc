"""A model: a network with the preprocessing of its data, its loss, its metrics, its history."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.data.column_encoders import NumericTarget
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns
from nnreg.data.weights import example_weights
from nnreg.errors import DataError, UsageError
from nnreg.model.build import build_network, encode_targets, name_metrics
from nnreg.network.network import Network
from nnreg.network.parameters import views
from nnreg.provenance.components import describe
from nnreg.registry.registry import default_kernels
from nnreg.spec.document import Document
from nnreg.spec.sections import Spec
from nnreg.tables.convert import table_of
from nnreg.tables.lazy import Column, LazyArray, materialize
from nnreg.tables.table import Table
from nnreg.training.evaluation import Evaluation, Examples, classes_of
from nnreg.training.history import History
from nnreg.training.state import Record, TrainingState
from nnreg.training.trainer import Trainer


class Model:
    """What `nnreg.build` and `nnreg.load` return. A new one has weights of zero.

    It takes raw rows, as arrays, lists, mappings or data frames, and knows what they mean.
    """

    def __init__(self, document: Document, preprocessing: Preprocessing) -> None:
        self.document = document
        self.preprocessing = preprocessing
        self.training_state = TrainingState()
        self.resumable = True
        self.data_digests: Mapping[str, str] = {}
        self.started_from: Mapping[str, str] = {}
        """The SHA-256 of the checkpoint that the first weights came from, by its path."""
        self.environment: Mapping[str, Any] = {}
        names = preprocessing.class_names
        with document.locating_errors():
            self.network = build_network(
                self.spec,
                preprocessing.input_shape,
                None if names is None else len(names),
                self.spec.train.kernels or default_kernels(document.registry),
            )
            metrics = name_metrics(self.spec, document.registry, classification=names is not None)
        target = preprocessing.target
        self.evaluation = Evaluation(
            self.spec.loss,
            metrics,
            logits=self.network.output_activation is not None,
            unscale=target.unscale if isinstance(target, NumericTarget) else None,
        )

    @property
    def spec(self) -> Spec:
        """The sections of the spec."""
        return self.document.spec

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, or None where the target is numbers."""
        return self.preprocessing.class_names

    @property
    def history(self) -> History:
        """The records of the epochs so far."""
        return History(self.training_state.history)

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The trained arrays by name, such as `layers/0/weight`; writing to them changes them.

        With an average, `inference_network.parameters` are those of the average.
        """
        return self.network.parameters

    @property
    def state(self) -> Mapping[str, Array]:
        """The arrays that layers keep up to date themselves, such as running means."""
        return self.network.state

    @property
    def inference_network(self) -> Network:
        """The network that predicts: with averaged weights where training keeps an average."""
        progress = self.training_state
        if not progress.ema_steps or progress.ema is None:
            return self.network
        return self.network.with_values(*progress.ema)

    @functools.cached_property
    def components(self) -> list[dict[str, Any]]:
        """Who provides each component of the spec, and what it computes; see `provenance`."""
        return describe(self.document, self.network)

    def predict(self, x: Any) -> Array:
        """Return the outputs `(rows, …)`: probabilities of the classes, or numbers.

        Numbers are in the target's own units. Raises `DataError` for rows that do not fit.
        """
        y = self.inference_network.predict(self._prepare_inputs(x))
        return y if self.evaluation.unscale is None else self.evaluation.unscale(y)

    def classify(self, x: Any) -> Array:
        """Return the name of the most probable class of each row."""
        if self.classes is None:
            raise DataError("the target of this model holds numbers, not classes; use predict")
        return np.array(self.classes)[classes_of(self.predict(x))]

    def probabilities(self, x: Any) -> Array:
        """Return one column for each class, also where the network has a single output."""
        y = self.predict(x)
        two = y.shape[-1] == 1 and self.classes is not None
        return np.concatenate([1 - y, y], axis=-1) if two else y

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Return the loss and every metric of the spec over these rows and raw targets."""
        return self.evaluation.evaluate(self.inference_network, self.examples(x, y))

    def evaluate_chunks(self, tables: Iterable[Table]) -> dict[str, float]:
        """Return what `evaluate` does of all tables together, with one of them in memory at a time.

        What stays in memory of the others is the network's outputs and the targets.
        """
        network = self.inference_network
        outputs, targets, truths = [], [], []
        for table in tables:
            examples = self.examples(table, table)
            outputs.append(network.logits(examples.x))
            targets.append(examples.targets)
            truths.append(examples.raw_targets)
        z, t, truth = (np.concatenate(parts) for parts in (outputs, targets, truths))
        return self.evaluation.evaluate_logits(network, z, Examples(z, t, truth))

    def gradients(self, x: Any, y: Any) -> tuple[float, dict[str, Array]]:
        """Return the loss and its gradient by every parameter, as in prediction (no dropout).

        That of frozen layers is 0.
        """
        examples = self.examples(x, y)
        vector = np.zeros_like(self.network.vector)
        context = self.network.context(self.network.workspace(reuse=False), vector)
        z, backward = self.network.forward(materialize(examples.x), context)
        loss, loss_backward = self.evaluation.loss_of(z, examples.targets, context)
        backward(loss_backward())
        return loss, views(vector, self.network.params)

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        weights: Any = None,
        validation: tuple[Any, Any] | None = None,
        epochs: int | None = None,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> History:
        """Train on raw rows and targets for `epochs` more, or up to those of the spec.

        Without `epochs`, a model that has done them all trains no further. What columns mean was
        settled when the model was built. `weights`, a number from 0 for each row, say how much it
        counts, in the place of the column that the spec may name for it.
        """
        if epochs is not None and (not isinstance(epochs, int | np.integer) or epochs < 0):
            raise UsageError(f"epochs: found {epochs!r}, expected a whole number from 0")
        if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
            raise UsageError("validation: expected (x, y), the inputs and the targets")
        train = self.with_sample_weights(self.examples(x, y), x, weights)
        held_out = None if validation is None else self.examples(*validation)
        for record in self.trainer(train, held_out, epochs=epochs).epochs():
            if on_epoch:
                on_epoch(record)
        return self.history

    def trainer(
        self, train: Examples, validation: Examples | None = None, *, epochs: int | None = None
    ) -> Trainer:
        """Return what trains on prepared examples; see `fit` for `epochs`."""
        if not self.resumable:
            self.training_state, self.resumable = TrainingState(), True
        return Trainer(
            self.network,
            self.evaluation,
            self.spec.optimizer,
            self.spec.train,
            train,
            validation,
            schedule=self.spec.schedule,
            seed=self.spec.seed,
            training_state=self.training_state,
            epochs=None if epochs is None else self.training_state.epoch + epochs,
        )

    def use_best(self) -> None:
        """Take the weights of the best epoch, the averaged ones where there is an average.

        Unless they are those of the last step, training goes on from them with a new optimizer and
        history.
        """
        progress = self.training_state
        last = progress.best_epoch == progress.epoch and not progress.ema_steps
        if last or progress.best_vector is None:
            return
        self.network.vector[...] = progress.best_vector
        self.network.state_vector[...] = progress.best_state
        progress.ema_steps, progress.ema = 0, None
        self.resumable = False

    def examples(self, x: Any, y: Any) -> Examples:
        """Return raw rows and targets as the network takes them."""
        target = self.preprocessing.target
        names = self.preprocessing.target_names
        if isinstance(target, NumericTarget) and not isinstance(y, Table | Mapping):
            y = _columns(y, names)
        answers = table_of(y, names)
        if absent := [name for name in names if name not in answers.columns]:
            raise DataError(
                f"{answers.origin}: no column {absent[0]!r}, the target, to compare with; predict "
                "does without"
            )
        truth = target.encode(answers)
        inputs = self._prepare_inputs(x)
        if len(truth) != len(inputs):
            raise DataError(f"{len(inputs)} rows of inputs, but {len(truth)} of targets")
        if not len(truth):
            raise DataError("there are no rows")
        scaled = target.scale(truth) if isinstance(target, NumericTarget) else truth
        classes = None if self.classes is None else len(self.classes)
        t = encode_targets(scaled, self.network, self.spec.loss, classes)
        return Examples(inputs, t, truth)

    def with_sample_weights(self, examples: Examples, x: Any, weights: Any = None) -> Examples:
        """Return training examples with the weights that the spec gives them, or `weights` do.

        `x` are the raw rows that they were made from.
        """
        columns = self.spec.data or Columns()
        table = table_of(x, self.preprocessing.names)
        found = example_weights(columns, table, examples.raw_targets, self.classes, weights)
        own = None if found is None else found.astype(self.network.dtype)
        return replace(examples, weights=own)

    def _prepare_inputs(self, x: Any) -> Column:
        """Return raw rows as the network takes them, or as it will when they are read."""
        table = table_of(x, self.preprocessing.names)
        name, *others = self.preprocessing.names
        stored = table.columns.get(name)
        if others or not isinstance(stored, LazyArray):
            return self._encode_rows(table)

        def encode(values: Array, rows: Array) -> Array:
            return self._encode_rows(replace(table, columns={name: values}, row_numbers=rows))

        dtype = np.int64 if self.network.integer_input else self.network.dtype
        return stored.encoded(encode, self.network.input_shape, dtype)

    def _encode_rows(self, table: Table) -> Array:
        integer = self.network.integer_input
        encoded = self.preprocessing.encode(table, None if integer else self.network.dtype)
        first = next(iter(self.network.layers.values()))
        first.check_input(encoded)
        return np.ascontiguousarray(encoded)

    def layer_table(self) -> list[tuple[str, str, str, int]]:
        """Return each layer's name, kind, output shape, and number of parameters."""
        names = {entry.cls: entry.name for entry in self.document.registry}
        result = []
        for name, (layer, plan) in self.network.plan.children.items():
            own = [p for key, p in self.parameters.items() if key.startswith(f"{name}/")]
            shape = ", ".join(["batch", *map(str, plan.output)])
            kind = names.get(type(layer), type(layer).__name__)
            result.append((name, kind, f"({shape})", sum(p.size for p in own)))
        return result

    def summary(self) -> str:
        """Return a table of the layers as text."""
        rows = [("layer", "type", "output", "parameters")]
        rows += [(name, kind, shape, f"{size:,}") for name, kind, shape, size in self.layer_table()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            "  ".join(
                cell.rjust(width) if column == 3 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        shape = ", ".join(["batch", *map(str, self.network.input_shape)])
        frozen = sum(self.parameters[name].size for name in self.network.frozen)
        total = f"input ({shape}), {self.network.vector.size:,} parameters"
        total += f", {frozen:,} of them frozen" if frozen else ""
        return "\n".join([*lines, total])

    def __repr__(self) -> str:
        return f"Model({self.document.name!r}, {self.network.vector.size:,} parameters)"

    def _repr_html_(self) -> str:
        """Show the layers and the history in a notebook."""
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in self.layer_table()
        )
        head = "<tr><th>layer</th><th>type</th><th>output</th><th>parameters</th></tr>"
        return f"<table>{head}{rows}</table>{self.history._repr_html_()}"


def _columns(y: Any, names: tuple[str, ...]) -> Any:
    """Return numbers given as one array as a mapping of the target's columns."""
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise DataError(f"the targets differ in length: {error}") from error
    if len(names) == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return table_of(array, names)
