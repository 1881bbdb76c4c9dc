"""What the classifier and the regressor share: training, saving, and the errors of a caller."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from nnreg._types import Array
from nnreg.checkpoint.save_load import save
from nnreg.data.targets import ClassTarget
from nnreg.errors import NnregError, UsageError
from nnreg.model.model import Model
from nnreg.runs.prepare import prepare_from_spec
from nnreg.sklearn.arguments import document_of, overrides_of, source_of
from nnreg.sklearn.rows import column_names, rows_of, target_name, validated
from nnreg.spec.document import Document, read_spec
from nnreg.tables.convert import table_of
from nnreg.training.state import Record

IMPUTED = ("impute", "indicate")
"""The settings of `data.missing` with which values may be missing in training."""


def _continued(model: Model, document: Document) -> Model:
    """Return a model of a spec that continues the training of another one.

    Of another spec, it has the weights, but not the state of the optimizer.
    """
    if _without_epochs(document.tree) == _without_epochs(model.document.tree):
        return _without_summaries(model)
    new = _without_summaries(Model(document, model.preprocessing))
    shapes = [{k: v.shape for k, v in one.parameters.items()} for one in (model, new)]
    if shapes[0] != shapes[1]:
        raise UsageError("warm_start: the layers have changed; fit a clone instead")
    new.network.vector[...] = model.network.vector
    new.network.state_vector[...] = model.network.state_vector
    return new


def _without_summaries(model: Model) -> Model:
    """Return a model that does not compare new rows with those of its first training.

    When a training is continued on other rows, these are expected to differ.
    """
    known = model.preprocessing
    inputs = tuple(replace(one, summary=None) for one in known.inputs)
    model.preprocessing = replace(known, inputs=inputs)
    return model


def _without_epochs(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec without what does not matter when a training is continued."""
    train = {k: v for k, v in tree.get("train", {}).items() if k != "epochs"}
    return {**tree, "train": train, "seed": None}


@contextmanager
def value_errors() -> Iterator[None]:
    """Raise an error of nnreg in this context as the ValueError that scikit-learn expects."""
    try:
        yield
    except NnregError as error:
        raise ValueError(str(error)) from None


class NNEstimator(BaseEstimator):
    """A network of nnreg as an estimator; see its subclasses for the arguments.

    A weight of n has the effect of n equal rows, as scikit-learn checks: losses are means over the
    sums of weights, in float64 so that rounding does not grow to 1e-7, and nothing is learned from
    the inputs but the weights of the network, unless `data` asks for it. Batches are of rows, so
    that this holds while all rows fit into one, by default up to 200, as in scikit-learn's own
    networks.
    """

    of_target: ClassVar[Mapping[str, Any]] = {}
    """The arguments of `check_X_y` that say what the target may be."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train the network on rows `(rows, features)` and their targets.

        `sample_weight` has one weight >= 0 per row. With `warm_start`, an earlier training is
        continued.
        """
        with value_errors():
            known = self.model_ if self.warm_start and hasattr(self, "model_") else None
            rows, y = self._begin(X, y, known, learn=known is None)
            weights = self._weights(X, y, sample_weight)
            document = self._document(self._seed(), **self._size(y))
            model = self._built(document, rows, y) if known is None else _continued(known, document)
            self._train(model, rows, y, weights, document.spec.train.epochs)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """Train for one more epoch, on these rows alone."""
        known = getattr(self, "model_", None)
        rows, y = self._begin(X, y, known, learn=False)
        weights = self._weights(X, y, sample_weight)
        if known is None:
            known = self._built(
                self._document(self._seed(), **self._size(y)), *self._with_all_classes(rows, y)
            )
        if known.spec.train.early_stopping is not None:
            raise ValueError("early_stopping: partial_fit ends after an epoch; fit without it")
        self._train(_without_summaries(known), rows, y, weights, 1)
        return self

    def _begin(self, X: Any, y: Any, known: Model | None, *, learn: bool) -> tuple[Any, Any]:
        """Return validated rows and targets, which must be like those of a `known` model.

        Classes may be learned from them.
        """
        new, missing = known is None, self._takes_missing(known)
        x, targets = validated(self, X, y, reset=new, allow_nan=missing, **self.of_target)
        if new:
            self._columns = column_names(self, x, allow_nan=missing)
        rows = rows_of(x, self._columns)
        if new:
            self._target = target_name(y, rows)
        self._check_target(targets, learn=learn)
        return rows, targets

    def _check_target(self, y: Any, *, learn: bool) -> None:
        """Raise `ValueError` for targets that do not fit; `learn` what they are, if asked."""

    def _size(self, y: Any) -> dict[str, int]:
        """Return the number of the `outputs`, or of the `classes`, of the network."""
        raise NotImplementedError

    def _with_all_classes(self, rows: Any, y: Any) -> tuple[Any, Any]:
        """Return rows and targets in which every class occurs, to build a network for."""
        return rows, y

    def _train(self, model: Model, rows: Any, y: Any, weights: Array | None, epochs: int) -> None:
        """Train a model, and then set what a fitted estimator has."""
        held_out = None
        stopping = model.spec.train.early_stopping
        if stopping is not None and stopping.monitor.startswith("val_"):
            rows, y, weights, held_out = self._hold_out(model, rows, y, weights)
        on_epoch = self._print if self.verbose else None
        model.fit(
            rows, {self._target: y}, weights=weights, validation=held_out, epochs=epochs,
            on_epoch=on_epoch,
        )  # fmt: skip
        self.loss_curve_ = model.history["loss"].tolist()
        self.n_iter_ = len(model.history)
        if held_out is not None:
            model.use_best()
        self.model_ = model

    def _hold_out(
        self, model: Model, rows: Any, y: Any, weights: Array | None
    ) -> tuple[Any, Any, Array | None, Any]:
        """Return the rows to train on with their weights, and those held out for validation."""
        seed, classes = model.spec.seed % 2**32, getattr(self, "classes_", None)
        train, rest = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=None if classes is None else y,
        )
        own, table = None if weights is None else weights[train], table_of(rows)
        return table.take(train), y[train], own, (table.take(rest), {self._target: y[rest]})

    def _built(self, document: Document, rows: Any, y: Any) -> Model:
        """Return the untrained model for rows and targets. Raises `UsageError` if it is another's.

        An estimator of classes has a model of classes, one of numbers has one of numbers.
        """
        model = prepare_from_spec(document, (rows, {self._target: y})).model
        if isinstance(model.preprocessing.target, ClassTarget) != is_classifier(self):
            other = (
                "numbers; use NNRegressor" if is_classifier(self) else "classes; use NNClassifier"
            )
            raise UsageError(f"{document.origin}: the network predicts {other}")
        return model

    def _document(self, seed: int | None, **size: int) -> Document:
        """Return the spec for a target of this size; see `document_of`."""
        names = inspect.signature(type(self).__init__).parameters.values()
        defaults = {one.name: one.default for one in names if one.name != "self"}
        arguments = {name: getattr(self, name) for name in defaults}
        return document_of(arguments, defaults, seed=seed, **size)

    def _seed(self) -> int | None:
        """Return the seed; None for that of a spec."""
        if self.random_state is None and self.spec is not None:
            return None
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> Array | None:
        """Return the weights of the rows, or None if all are equal."""
        if sample_weight is None:
            return None
        weights: Array = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return weights

    def _predicting(self, X: Any) -> Any:
        """Return validated rows of a fitted estimator."""
        check_is_fitted(self)
        missing = self._takes_missing(self.model_)
        x, _ = validated(self, X, reset=False, allow_nan=missing)
        return rows_of(x, self._columns)

    def _takes_missing(self, model: Model | None = None) -> bool:
        """Whether the settings of the data, or of a model, say what to do with missing values."""
        if model is not None:
            return model.spec.data is not None and model.spec.data.missing in IMPUTED
        data = self.data
        if self.spec is not None:
            try:
                overrides = overrides_of(self.overrides)
                data = read_spec(source_of(self.spec), overrides).tree.get("data")
            except NnregError:  # which fit reports
                return False
        return isinstance(data, Mapping) and data.get("missing") in IMPUTED

    def _print(self, record: Record) -> None:
        if record["epoch"] % int(self.verbose) == 0:
            values = (f"{name} {value:.6g}" for name, value in record.items())
            print(*values, sep="  ")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, which `nnreg.load` and the commands of nnreg read.

        It has the network, not the other steps of a pipeline.
        """
        check_is_fitted(self)
        save(self.model_, path)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._takes_missing()
        return tags
