"""The estimator of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from nnreg._types import Array
from nnreg.errors import NnregError
from nnreg.model.model import Model
from nnreg.sklearn.estimator import NNEstimator, value_errors
from nnreg.spec.document import Document
from nnreg.tables.convert import table_of


def _predicts_probabilities(estimator: NNClassifier) -> bool:
    """Return False if the loss is one of scores, such as a hinge loss."""
    try:
        fitted = hasattr(estimator, "model_")
        spec = estimator.model_.spec if fitted else estimator._document(0, classes=2).spec
    except NnregError:  # which fit reports
        return True
    loss = spec.outputs[0].loss
    return loss is None or loss.scores_are_probabilities


def _predicts_scores(estimator: NNClassifier) -> bool:
    return not _predicts_probabilities(estimator)


class NNClassifier(ClassifierMixin, NNEstimator):
    """A network that predicts one of two or more classes, which may be numbers or texts.

    The network has dense layers, or is that of a `spec`. Inputs are used as they are: scale them
    in a pipeline, as by `StandardScaler`, or with `data={"scaling": "standard"}`. A data frame may
    have columns of texts, categories, truth values and dates, which become numbers as in a spec.

    Arguments:
        spec: the path of a spec, or a mapping, in which everything of a network can be expressed.
            The arguments from `hidden` to `dtype` must then keep their defaults. Its data section
            says how columns become numbers; its files and its splits are not used.
        hidden: the number of units of each hidden layer, as a tuple of integers >= 1; `()` is a
            linear model
        activation: the activation of the hidden layers; a name, or a mapping with options, as in
            `{"type": "leaky_relu", "slope": 0.1}`
        loss: a loss of classes, such as "cross_entropy", "focal_cross_entropy",
            "binary_cross_entropy" or "multi_margin"
        optimizer: a name, such as "adam", "adamw", "sgd" or "lbfgs", or a mapping with options
        learning_rate: the size of a step, > 0; None is that of the optimizer, 0.001 of "adam"
        epochs: the number of times that the training sees each row, >= 1
        batch_size: the number of rows per step, >= 1; of fewer rows, a step uses all
        dropout: the probability with which a value after a hidden layer is 0 in training, in [0, 1)
        weight_decay: the fraction learning_rate · weight_decay of the weights is subtracted at each
            step, >= 0
        early_stopping: whether to hold out rows, end the training when their loss no longer falls,
            and keep the weights of the best epoch
        patience: the number of epochs without an improvement after which the training ends, >= 1
        min_delta: by how much the loss must fall to have improved, >= 0
        data: settings of the data section of a spec, as in `{"missing": "indicate", "unseen":
            "ignore"}`; paths and sources are not needed. What is learned from the columns, such as
            means, takes all rows as equal, whatever their weights.
        dtype: "float64" or "float32", which is faster from a few hundred units on
        validation_fraction: the fraction of the rows that early stopping holds out, in (0, 1)
        class_weight: a weight >= 0 per class, 1 where none is given; or "balanced": each class has
            the same sum of weights
        overrides: values of the spec by their paths, as in `{"train.clip_norm": 1.0}`
        random_state: an integer >= 0 makes the training repeatable; a `RandomState` draws one. With
            None, each fit is another one, but a spec has its own `seed`.
        warm_start: whether `fit` continues the training of an earlier `fit`, for `epochs` more
        verbose: 1 prints the loss of each epoch, n that of every n-th; 0 prints nothing

    Attributes:
        classes_: the classes, sorted
        model_: the `nnreg.Model`
        loss_curve_: the mean loss of each epoch
        n_iter_: the number of epochs
        n_features_in_, feature_names_in_: the number of columns, and their names in a data frame
    """

    def __init__(
        self,
        spec: Any = None,
        *,
        hidden: Any = (64, 32),
        activation: Any = "relu",
        loss: Any = "cross_entropy",
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        epochs: int = 200,
        batch_size: int = 200,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        patience: int = 10,
        min_delta: float = 0.0,
        data: Mapping[str, Any] | None = None,
        dtype: str = "float64",
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        overrides: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.spec = spec
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.patience = patience
        self.min_delta = min_delta
        self.data = data
        self.dtype = dtype
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.overrides = overrides
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> NNClassifier:
        """Train for one more epoch, on these rows alone.

        The first call needs all `classes`, as later rows may have others than these.
        """
        with value_errors():
            if not hasattr(self, "model_"):
                if classes is None:
                    raise ValueError("classes: needed in the first call of partial_fit")
                self.classes_ = np.unique(classes)
            elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(f"classes: found others than before, {self.classes_}")
            self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row `(rows,)`."""
        scores = self._scores(X)
        found: Array = self.classes_[np.argmax(scores, axis=1)]
        return found

    @available_if(_predicts_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class `(rows, classes)`, in the order of `classes_`."""
        return self._scores(X)

    @available_if(_predicts_scores)
    def decision_function(self, X: Any) -> Array:
        """Return the score of each class `(rows, classes)`, of two classes their difference.

        It is there instead of probabilities with a loss of scores, such as "multi_margin".
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def _scores(self, X: Any) -> Array:
        """Return the probability or the score of each class, in the order of `classes_`."""
        with value_errors():
            rows = self._predicting(X)
            found: Array = self.model_.probabilities(rows)[:, self._order(self.model_)]
        return found

    def _order(self, model: Model) -> Array:
        """Return the number that each class has in the model."""
        table = table_of({self._target: self.classes_})
        return model.preprocessing.by_output[""].encode(table)

    def _built(self, document: Document, rows: Any, y: Any) -> Model:
        model = super()._built(document, rows, y)
        if len(model.classes or ()) < len(self.classes_):  # such as "1" and "1.0"
            raise ValueError(f"y: two of the classes {self.classes_} mean the same to nnreg")
        return model

    def _check_target(self, y: Array, *, learn: bool) -> None:
        check_classification_targets(y)
        if learn:
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y: found one class, {self.classes_[0]!r}; expected two or more")
        others = np.setdiff1d(y, self.classes_)
        if len(others):
            raise ValueError(f"y: the class {others[0]!r} is not among those of the first fit")

    def _size(self, y: Array) -> dict[str, int]:
        return {"classes": len(self.classes_)}

    def _with_all_classes(self, rows: Any, y: Array) -> tuple[Any, Array]:
        again = np.append(np.arange(len(y)), np.zeros(len(self.classes_), int))
        return table_of(rows).take(again), np.concatenate([y, self.classes_])

    def _weights(self, X: Any, y: Array, sample_weight: Any) -> Array | None:
        weights = super()._weights(X, y, sample_weight)
        if self.class_weight is None:
            return weights
        weights = np.ones(len(y)) if weights is None else weights
        codes = np.searchsorted(self.classes_, y)
        if isinstance(self.class_weight, Mapping):
            known = self.classes_.tolist()
            if unknown := [one for one in self.class_weight if one not in known]:
                raise ValueError(f"class_weight: no class {unknown[0]!r}; there are {known}")
            of_class = np.array([float(self.class_weight.get(one, 1)) for one in known])
        elif self.class_weight == "balanced":
            # of the sums of weights, so that weights remain numbers of repetitions
            sums = np.bincount(codes, weights)
            of_class = sums.sum() / (len(sums) * np.where(sums > 0, sums, 1))
        else:
            raise ValueError(
                f"class_weight: found {self.class_weight!r}, expected 'balanced' or a mapping from "
                "class to weight"
            )
        found: Array = weights * of_class[codes]
        return found
