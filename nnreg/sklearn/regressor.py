"""The estimator of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from nnreg._types import Array
from nnreg.sklearn.estimator import NNEstimator, value_errors


class NNRegressor(RegressorMixin, NNEstimator):
    """A network that predicts one or more numbers per row.

    Targets are used as they are too: scale those far from 1 by `TransformedTargetRegressor`, or
    with `data={"target_scaling": "standard"}`.

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
        loss: a loss of numbers, such as "mean_squared_error", "mean_absolute_error", "huber" or
            "poisson"
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
        overrides: values of the spec by their paths, as in `{"train.clip_norm": 1.0}`
        random_state: an integer >= 0 makes the training repeatable; a `RandomState` draws one. With
            None, each fit is another one, but a spec has its own `seed`.
        warm_start: whether `fit` continues the training of an earlier `fit`, for `epochs` more
        verbose: 1 prints the loss of each epoch, n that of every n-th; 0 prints nothing

    Attributes:
        model_: the `nnreg.Model`
        loss_curve_: the mean loss of each epoch
        n_iter_: the number of epochs
        n_features_in_, feature_names_in_: the number of columns, and their names in a data frame
    """

    of_target: ClassVar[Mapping[str, Any]] = {"multi_output": True, "y_numeric": True}

    def __init__(
        self,
        spec: Any = None,
        *,
        hidden: Any = (64, 32),
        activation: Any = "relu",
        loss: Any = "mean_squared_error",
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
        self.overrides = overrides
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NNRegressor:
        """Train for one more epoch, on these rows alone."""
        with value_errors():
            self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Array:
        """Return the predicted numbers, `(rows,)` or `(rows, targets)` as the targets were."""
        with value_errors():
            rows = self._predicting(X)
            found: Array = self.model_.predict(rows)
        return found

    def _size(self, y: Array) -> dict[str, int]:
        return {"outputs": 1 if y.ndim == 1 else y.shape[1]}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
