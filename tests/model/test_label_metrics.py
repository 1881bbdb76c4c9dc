"""Metrics of classes for a target of several labels per row, each 0 or 1."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import DataError, Metric, SpecError
from nnreg.builtin.metrics import F1, Accuracy, Auc, Precision, Recall, TopKAccuracy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0.5, X.sum(axis=1) > 0], axis=1).astype(int)
Y = RNG.random((40, 3)).round(1)
SEQUENCES = [X[:5], X[5:6], X[6:14]]
SIGMOIDS = {"type": "dense", "units": 3, "activation": "sigmoid"}
NAMES = ["a", "b", "c"]


def spec(metrics, layers=(SIGMOIDS,), **changes):
    return {
        "model": {"layers": list(layers), "dtype": "float64"},
        "loss": "binary_cross_entropy",
        "metrics": metrics,
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "train": {"epochs": 20},
        **changes,
    }


def f1_of(predicted, true):
    hits = np.sum(predicted & true)
    return 2 * hits / (predicted.sum() + true.sum())


def test_accuracy_is_the_fraction_of_labels_and_not_of_rows():
    expected = np.mean((Y > 0.5) == LABELS)
    assert Accuracy().for_labels(NAMES).compute(Y, LABELS) == pytest.approx(expected, rel=1e-15)


def test_ratios_of_counts_are_those_of_the_label_being_1():
    found, true = Y > 0.5, LABELS > 0
    each = [f1_of(found[:, k], true[:, k]) for k in range(3)]
    for metric, expected in (
        (F1(), np.mean(each)),
        (F1(average="micro"), f1_of(found, true)),
        (F1(of="b"), each[1]),
        (Precision(of="c"), np.mean(true[found[:, 2], 2])),
        (Recall(of="a"), np.mean(found[true[:, 0], 0])),
    ):
        value = metric.for_labels(NAMES).compute(Y, LABELS)
        assert value == pytest.approx(expected, rel=1e-14)


def test_a_weighted_average_weighs_the_rows_that_have_a_label():
    each = [f1_of(Y[:, k] > 0.5, LABELS[:, k] > 0) for k in range(3)]
    expected = np.average(each, weights=LABELS.sum(axis=0))
    found = F1("weighted").for_labels(NAMES).compute(Y, LABELS)
    assert found == pytest.approx(expected, rel=1e-14)
    assert math.isnan(F1("weighted").for_labels(NAMES).compute(Y, 0 * LABELS))


def test_a_label_for_which_a_metric_is_undefined_is_left_out():
    each = [Auc().compute(np.stack([1 - Y[:, k], Y[:, k]], 1), LABELS[:, k]) for k in (0, 2)]
    constant = LABELS * [1, 0, 1]
    assert Auc().for_labels(NAMES).compute(Y, constant) == pytest.approx(np.mean(each), rel=1e-14)
    assert math.isnan(Auc().for_labels(NAMES).compute(Y, 0 * LABELS))


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (TopKAccuracy(1), "none of which is the class"),
        (F1(average="binary"), '"macro", "weighted" or "micro"'),
        (Recall(of="d"), "no label 'd'; choose one of a, b, c"),
    ],
)
def test_a_metric_without_a_meaning_for_labels_is_refused(metric, message):
    with pytest.raises(ValueError, match=message):
        metric.for_labels(NAMES)


def test_they_are_recorded_and_compared_with_the_majority_of_each_label():
    metrics = ["accuracy", "f1", "auc", {"type": "recall", "of": "2"}, "mean_absolute_error"]
    model = nnreg.run(spec(metrics), data=(X, LABELS), out=None)
    found, predicted = model.evaluate(X, LABELS), model.predict(X)
    assert found["accuracy"] == pytest.approx(np.mean((predicted > 0.5) == LABELS))
    assert found["accuracy"] > 0.9
    assert found["recall"] == pytest.approx(np.mean(predicted[LABELS[:, 2] > 0, 2] > 0.5))
    assert set(found) == {"loss", "accuracy", "f1", "auc", "recall", "mean_absolute_error"}


def test_the_baseline_is_the_majority_of_each_label(tmp_path):
    nnreg.run(spec(["accuracy", "auc"]), data=(X, LABELS), out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    expected = np.mean((LABELS.mean(axis=0) > 0.5) == LABELS)
    assert summary["baseline"] == {"accuracy": pytest.approx(expected), "auc": 0.5}
    assert summary["verdict"]["guess"] == "the majority of each label"


def test_labels_of_each_step_of_sequences_are_compared():
    targets = [LABELS[:5], LABELS[5:6], LABELS[6:14]]
    model = nnreg.run(spec(["accuracy", "f1"]), data=(SEQUENCES, targets), out=None)
    predicted = np.concatenate(model.predict(SEQUENCES)) > 0.5
    expected = np.mean(predicted == LABELS[:14])
    assert model.evaluate(SEQUENCES, targets)["accuracy"] == pytest.approx(expected)


def test_numbers_that_are_no_labels_are_refused_with_their_place():
    soft = LABELS * 0.9
    assert nnreg.build(spec(["r2"]), data=(X, soft))
    with pytest.raises(DataError, match=r"found 0.9, but accuracy compares labels, which are 0 or"):
        nnreg.build(spec(["accuracy"]), data=(X, soft))


def test_numbers_for_another_loss_are_no_labels():
    with pytest.raises(
        SpecError, match="accuracy compares classes, but the target is numeric; rem"
    ):
        nnreg.build(spec(["accuracy"], loss="mean_squared_error"), data=(X, LABELS))


def test_a_metric_of_a_plugin_is_that_of_each_label(registering):
    @dataclass(frozen=True)
    class Wrong(Metric):
        """Fraction of examples whose class is not predicted."""

        classification = True
        higher_is_better = False

        def compute(self, y, t):
            assert y.ndim == 1
            return float(np.mean(y != t))

    nnreg.register("wrong", Wrong)
    model = nnreg.run(spec(["wrong", "accuracy"]), data=(X, LABELS), out=None)
    found = model.evaluate(X, LABELS)
    assert found["wrong"] == pytest.approx(1 - found["accuracy"])
    assert not model.evaluation.higher_is_better("val_wrong")
