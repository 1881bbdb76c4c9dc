"""Calibration of classifiers: how far confidence is from accuracy, and a temperature that helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import Sigmoid, Softmax
from nnreg.builtin.layers.dense import WeightedLayer
from nnreg.builtin.metrics.probabilities import CalibrationError, LogLoss, bins_of
from nnreg.errors import DataError, UsageError
from nnreg.model.model import Model
from nnreg.model.outputs import Output
from nnreg.tables.padded import points_like, points_of
from nnreg.training.ensemble import predict_examples
from nnreg.training.evaluation import Examples

ERROR = CalibrationError()
BINS = ERROR.bins

SHARPEST, FLATTEST = 0.01, 100.0
"""The temperatures between which the best one is searched."""

TOLERANCE = 1e-12
"""The precision of the logarithm of a temperature."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose confidence is in an interval, their mean confidence and their accuracy."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error, and the bins that have rows; see `CalibrationError`.

    The confidence of a prediction is the probability of the predicted class.
    """

    error: float
    bins: tuple[ReliabilityBin, ...]


def reliability(confidence: Array, right: Array) -> Reliability:
    """Return how far the confidence `(n,)` of predictions is from the fraction that is `right`.

    The confidence is the probability of the predicted class. Naeini et al. 2015, Guo et al. 2017.
    """
    confidence, ends = confidence.astype(np.float64), np.linspace(0, 1, BINS + 1)
    places = bins_of(confidence, BINS)
    rows = np.bincount(places, minlength=BINS)
    sums = np.bincount(places, confidence, BINS), np.bincount(places, right, BINS)
    filled = np.flatnonzero(rows)
    mean, accuracy = (one[filled] / rows[filled] for one in sums)
    error = float(np.sum(rows[filled] * np.abs(mean - accuracy)) / len(right))
    values = (ends[filled], ends[filled + 1], rows[filled], mean, accuracy)
    listed = (one.tolist() for one in values)
    return Reliability(error, tuple(ReliabilityBin(*one) for one in zip(*listed, strict=True)))


def reliability_of(model: Model, examples: Examples) -> dict[str, Reliability]:
    """Return the reliability of each output that predicts probabilities of classes, by its name."""
    chosen = [one for one in model.outputs.values() if has_probabilities(one)]
    if not chosen:
        return {}
    found = predict_examples(model.network_for(len(examples)), examples)
    return {one.name: _reliability_of(one, one.of(found), examples) for one in chosen}


def quality_of(model: Model, examples: Examples) -> dict[str, float]:
    """Return cross-entropy and calibration error of each output with probabilities, by name."""
    found, values = predict_examples(model.network_for(len(examples)), examples), {}
    for one in model.outputs.values():
        if has_probabilities(one):
            p, classes = _probabilities(one, one.of(found), examples)
            for name, metric in (("cross_entropy", LogLoss()), ("calibration_error", ERROR)):
                values[f"{one.name}_{name}".lstrip("_")] = metric.compute(p, classes)
    return values


def has_probabilities(output: Output) -> bool:
    """Return whether an output predicts a probability for each class."""
    loss = output.spec.loss
    return output.predicts_classes and loss is not None and loss.scores_are_probabilities


def _reliability_of(output: Output, y: Array, examples: Examples) -> Reliability:
    p, classes = _probabilities(output, y, examples)
    return reliability(np.max(p, axis=-1), np.argmax(p, axis=-1) == classes)


def _probabilities(output: Output, y: Array, examples: Examples) -> tuple[Array, Array]:
    """Return the probabilities `(n, classes)` that an output predicts, and the true classes."""
    targets = output.of(examples.raw_targets)
    scores = output.class_scores(points_like(y, targets))
    return scores.reshape(-1, scores.shape[-1]), points_of(targets).reshape(-1)


def calibrate(model: Model, x: Any, y: Any = None) -> dict[str, float]:
    """Divide the logits of a classifier by the temperature that minimizes its cross-entropy.

    Guo et al. 2017. `x` and `y` are raw rows and targets that the model was not trained on. Returns
    the temperature of each output with classes, by its name, which is empty for a single one. The
    predicted classes stay the same; see `calibrate_on`. Raises `UsageError` for a model that
    predicts no classes by logits, and `DataError` for rows that do not fit.
    """
    return calibrate_on(model, model.examples(*model.raw_rows.without_dropped(x, y)[:2]))


def calibrate_on(model: Model, examples: Examples) -> dict[str, float]:
    """Calibrate on prepared examples; see `calibrate`.

    The last layer's weight and bias are divided by the temperature, which divides the logits, so
    that all that computes the network, such as an export, is calibrated. The model has the weights
    for predictions then, and a training of it begins anew.

    Raises `UsageError` for a model without such a layer, `DataError` for rows without a best
    temperature; the model stays as it is.
    """
    chosen = [one for one in model.outputs.values() if one.predicts_classes]
    if not chosen:
        raise UsageError("the model predicts no classes, so that it has no temperature")
    layers = {one.name: _last_layer(model, one) for one in chosen}
    network = model.network_for(len(examples))
    with network.blas_threads():
        z: Any = network.logits(examples.x)
    z = network.split(z) if network.named_outputs else z
    temperatures = {one.name: _temperature_of(one, one.of(z), examples) for one in chosen}
    _use_for_predictions(model)
    for name, temperature in temperatures.items():
        for parameter in ("weight", "bias"):
            values = model.parameters.get(f"{layers[name]}/{parameter}")
            if values is not None:
                values /= temperature
    return temperatures


def _last_layer(model: Model, output: Output) -> str:
    """Return the name of the layer whose outputs are logits. Raises `UsageError`."""
    network, path = model.network, output.path
    if network.members > 1:
        raise UsageError(
            "an ensemble predicts the mean of its members' probabilities, which has no "
            "temperature; calibrate a single network"
        )
    activation = network.output_activation
    if network.named_outputs:
        activation = network.named_outputs[output.name].activation
    single = isinstance(activation, Sigmoid) and output.shape[-1] == 1
    if not (isinstance(activation, Softmax) or single):
        raise UsageError(
            f"{path}: its loss does not compute probabilities from logits, by a softmax or the "
            "sigmoid of a single output; train with a cross-entropy"
        )
    name = _layer_name(model, path)
    if not isinstance(network.layers[name], WeightedLayer):
        raise UsageError(
            f"{path}: {type(network.layers[name]).__name__} cannot be divided by a temperature; "
            "end with a dense layer that has the activation"
        )
    return name


def _layer_name(model: Model, path: str) -> str:
    """Return the name of the layer at a path of the spec."""
    children = model.network.plan.children
    return next(name for name, (_, plan) in children.items() if plan.path == path)


def _temperature_of(output: Output, z: Array, examples: Examples) -> float:
    targets = output.of(examples.raw_targets)
    logits = points_like(z, targets)
    if logits.shape[-1] == 1:  # a sigmoid is a softmax with a logit of 0
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    classes = points_of(targets).reshape(-1)
    return best_temperature(logits.reshape(-1, logits.shape[-1]), classes)


def best_temperature(logits: Array, classes: Array) -> float:
    """Return the temperature that minimizes the cross-entropy of logits `(n, classes)`.

    The cross-entropy is a convex function of the factor 1 / temperature, whose derivative has one
    zero: Newton's method finds it, within an interval that is halved where a step would leave it.

    Raises `DataError` if there is none between `SHARPEST` and `FLATTEST`.
    """
    z = logits.astype(np.float64)
    z -= z[np.arange(len(z)), classes][:, None]  # of the true class 0
    low, high = 1 / FLATTEST, 1 / SHARPEST
    if _derivatives(z, high)[0] <= 0:
        raise DataError(
            f"of {len(z):,} rows, too few are predicted wrongly to fit a temperature; give more "
            "rows that the model was not trained on"
        )
    if _derivatives(z, low)[0] >= 0:
        raise DataError(
            f"the predictions for {len(z):,} rows are no better than equal probabilities; a "
            "temperature cannot help"
        )
    factor = 1.0
    while math.log(high / low) > TOLERANCE:
        slope, curvature = _derivatives(z, factor)
        low, high = (factor, high) if slope < 0 else (low, factor)
        step = factor - slope / curvature if curvature > 0 else math.nan
        following = step if low < step < high else math.sqrt(low * high)
        if abs(math.log(following / factor)) <= TOLERANCE:
            return 1 / following
        factor = following
    return 1 / factor


def _derivatives(z: Array, factor: float) -> tuple[float, float]:
    """Return the first two derivatives of the mean cross-entropy of factor · z, by the factor."""
    scaled = factor * z
    p = np.exp(scaled - np.max(scaled, axis=1, keepdims=True))
    p /= np.sum(p, axis=1, keepdims=True)
    mean = np.sum(p * z, axis=1)
    variance = np.sum(p * np.square(z - mean[:, None]), axis=1)
    return float(np.mean(mean)), float(np.mean(variance))


def _use_for_predictions(model: Model) -> None:
    """Give a model the weights that it predicts with, without the state of its training."""
    network, state = model.inference_network, model.training_state
    vectors = network.vector.copy(), network.state_vector.copy()
    with state.lock.training():
        model.network.vector[...], model.network.state_vector[...] = vectors
        state.ema_steps, state.ema = 0, None
        state.best_vector = state.best_state = None
        model.resumable = False
