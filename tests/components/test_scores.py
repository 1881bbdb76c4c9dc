"""Metrics of scores, beside their definitions, and in every place that measures them."""

import json
import math

import numpy as np
import pytest

import nnreg
from nnreg import Loss
from nnreg.builtin.metrics import (
    Accuracy,
    Auc,
    Brier,
    CalibrationError,
    LogLoss,
    PrecisionAtRecall,
    RecallAtPrecision,
    TopKAccuracy,
)
from nnreg.errors import NnregWarning
from nnreg.reports.report import report
from nnreg.tables.convert import table_of

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 3, 60)
SCORES = np.round(RNG.dirichlet([1, 1, 1], 60), 1)  # with ties


def auc_of(scores, positive):
    """Return the fraction of pairs that are in the right order, of which equal ones are half."""
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    return np.mean(pairs)


def test_auc_is_the_fraction_of_pairs_in_the_right_order():
    expected = np.mean([auc_of(SCORES[:, k], k == LABELS) for k in range(3)])
    assert Auc().compute(SCORES, LABELS) == pytest.approx(expected, abs=1e-14)


def test_auc_of_two_classes_is_the_same_from_either():
    y, t = SCORES[:, :1], LABELS % 2
    expected = auc_of(y[:, 0], t == 1)
    assert Auc().compute(Loss().class_scores(y), t) == pytest.approx(expected, abs=1e-14)
    swapped = Auc().compute(Loss().class_scores(y)[:, ::-1], 1 - t)
    assert swapped == pytest.approx(expected, abs=1e-14)


def test_auc_averages_over_the_classes_that_occur_and_is_undefined_for_one():
    some = LABELS < 2
    expected = np.mean([auc_of(SCORES[some, k], LABELS[some] == k) for k in range(2)])
    assert Auc().compute(SCORES[some], LABELS[some]) == pytest.approx(expected, abs=1e-14)
    assert math.isnan(Auc().compute(SCORES[LABELS == 1], LABELS[LABELS == 1]))


def test_scores_that_are_all_equal_have_an_auc_of_a_half():
    assert Auc().compute(np.full((60, 3), 1 / 3), LABELS) == 0.5


@pytest.mark.parametrize("k", [1, 2])
def test_top_k_accuracy_counts_targets_among_the_first_k_of_the_sorted_classes(k):
    order = np.argsort(-SCORES, axis=1, kind="stable")[:, :k]
    expected = np.mean([t in row for t, row in zip(LABELS, order, strict=True)])
    assert TopKAccuracy(k).compute(SCORES, LABELS) == pytest.approx(expected)


@pytest.mark.parametrize("y", [SCORES, SCORES[:, :1]])
def test_top_1_accuracy_is_accuracy(y):
    t = LABELS % y.shape[1] if y.shape[1] > 1 else LABELS % 2
    expected = Accuracy().compute(np.argmax(Loss().class_scores(y), axis=-1), t)
    assert TopKAccuracy(1).compute(Loss().class_scores(y), t) == pytest.approx(expected)


def test_scores_of_sequences_are_those_of_all_their_steps():
    y, t = SCORES.reshape(12, 5, 3), LABELS.reshape(12, 5)
    for metric in (Auc(), TopKAccuracy(2)):
        assert metric.compute(y, t) == pytest.approx(metric.compute(SCORES, LABELS))


def spec(units, activation, loss, metrics, **sections):
    layers = [{"type": "dense", "units": units, "activation": activation}]
    model = {"layers": layers, "dtype": "float64"}
    spec = {"model": model, "loss": loss, "optimizer": "adam", "metrics": metrics}
    return {**spec, "train": {"epochs": 2}, **sections}


X = RNG.normal(size=(60, 4))
WORDS = np.array(["a", "b", "c"])[LABELS]
CASES = {
    "sigmoid": (spec(1, "sigmoid", "binary_cross_entropy", ["auc"]), WORDS == "a"),
    "softmax": (
        spec("classes", "softmax", "cross_entropy", ["auc", {"type": "top_k_accuracy", "k": 2}]),
        WORDS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_measured_in_training_validation_and_evaluation(name):
    tree, y = CASES[name]
    y = np.where(y, "yes", "no") if name == "sigmoid" else y
    weights = RNG.uniform(0.5, 2, 60)
    model = nnreg.build(tree, data=(X, y))
    history = model.fit(X[:40], y[:40], validation=(X[40:], y[40:]), weights=weights[:40])
    probabilities = model.probabilities(X[40:])
    labels = np.searchsorted(model.classes, y[40:])
    measured = model.evaluate(X[40:], y[40:])
    for metric in model.evaluation.named_metrics:
        compute = model.evaluation.named_metrics[metric].compute
        assert measured[metric] == history[-1][f"val_{metric}"]
        assert measured[metric] == pytest.approx(compute(probabilities, labels), abs=1e-12)
        assert 0 <= history[-1][metric] <= 1


def test_an_undefined_metric_is_recorded_as_nan_with_one_warning():
    tree, _ = CASES["softmax"]
    model = nnreg.build({**tree, "metrics": ["auc"]}, data=(X, WORDS))
    one = WORDS == "a"
    with pytest.warns(NnregWarning) as caught:
        history = model.fit(X, WORDS, validation=(X[one], WORDS[one]))
    assert [str(one.message) for one in caught] == ["val_auc is nan in epoch 1, undefined there"]
    assert all(math.isnan(record["val_auc"]) for record in history)
    assert all(math.isfinite(record["auc"]) for record in history)
    with pytest.warns(NnregWarning, match="auc is nan; undefined for these targets, or look"):
        model.evaluate(X[one], WORDS[one])


@pytest.fixture
def written(tmp_path):
    """Return a spec with the softmax case and its data in a file."""
    rows = "\n".join(f"{p},{q},{c}" for (p, q, *_), c in zip(X, WORDS, strict=True))
    (tmp_path / "d.csv").write_text(f"p,q,c\n{rows}\n")
    data = {"source": "csv", "path": str(tmp_path / "d.csv"), "target": "c"}
    return {**CASES["softmax"][0], "data": data}


def test_a_run_reports_the_frequencies_of_the_classes_as_the_baseline(written, tmp_path):
    nnreg.run(written, out=tmp_path / "run")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["baseline"]["auc"] == 0.5
    assert 0 < summary["baseline"]["top_k_accuracy"] < 1
    assert summary["verdict"]["guess"] == "the class frequencies"
    page = report(tmp_path / "run")
    assert "top_k_accuracy" in page.read_text()


def test_folds_measure_scores(written, tmp_path):
    written["train"] = {"epochs": 2, "folds": 2}
    found = nnreg.run(written).summary
    assert {"auc", "top_k_accuracy"} <= found["mean"].keys()


def test_scores_measured_in_chunks_are_those_of_all_rows(written):
    model = nnreg.run(written)
    rows = {"p": X[:, 0], "q": X[:, 1], "c": WORDS}
    chunks = [{name: c[start : start + 7] for name, c in rows.items()} for start in range(0, 60, 7)]
    found = model.evaluate_chunks(table_of(chunk, ["p", "q", "c"]) for chunk in chunks)
    assert found == pytest.approx(model.evaluate(rows, rows), abs=1e-12)


def test_a_k_that_includes_every_class_is_refused():
    tree, _ = CASES["softmax"]
    with pytest.raises(nnreg.SpecError, match=r"metrics\[0\].*always among 3 of 3; set 'k'"):
        nnreg.build({**tree, "metrics": [{"type": "top_k_accuracy", "k": 3}]}, data=(X, WORDS))


RANKED, TRUE = np.array([0.9, 0.8, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0, 1])


def two(scores):
    return np.stack([1 - scores, scores], axis=-1)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Auc(curve="precision_recall"), (1 + 2 / 3 + 3 / 5) / 3),
        (PrecisionAtRecall(recall=0.3), 1),
        (PrecisionAtRecall(recall=0.5), 2 / 3),
        (PrecisionAtRecall(recall=1), 3 / 5),
        (RecallAtPrecision(precision=0.6), 1),
        (RecallAtPrecision(precision=0.65), 2 / 3),
        (RecallAtPrecision(precision=0.9), 1 / 3),
        (LogLoss(), -np.mean(np.log([0.9, 0.2, 0.8, 0.7, 0.1]))),
        (Brier(), np.mean((RANKED - TRUE) ** 2)),
        (CalibrationError(1), abs(np.mean([0.9, 0.8, 0.8, 0.7, 0.9]) - 3 / 5)),
        (CalibrationError(10), (abs(1.8 - 1) + abs(1.6 - 1) + abs(0.7 - 1)) / 5),
    ],
    ids=str,
)
def test_a_metric_of_two_classes_equals_the_count_by_hand(metric, expected):
    assert metric.compute(two(RANKED), TRUE) == pytest.approx(expected)


def test_no_recall_is_left_if_no_threshold_is_precise_enough():
    assert RecallAtPrecision(precision=0.9).compute(two(1.0 - TRUE), TRUE) == 0


def test_the_loss_of_an_impossible_class_is_finite():
    for dtype in (np.float32, np.float64):
        y = np.array([[0, 1], [1, 0]], dtype)
        found = LogLoss().compute(y, np.array([0, 0]))
        assert found == pytest.approx(-np.log(np.finfo(dtype).eps) / 2)


def test_a_weighted_average_of_classes_weighs_their_examples():
    each = [auc_of(SCORES[:, k], k == LABELS) for k in range(3)]
    expected = np.average(each, weights=np.bincount(LABELS))
    assert Auc("weighted").compute(SCORES, LABELS) == pytest.approx(expected, abs=1e-14)
    positive = (LABELS[:, None] == np.arange(3)).ravel()
    expected = auc_of(SCORES.ravel(), positive)
    assert Auc("micro").compute(SCORES, LABELS) == pytest.approx(expected, abs=1e-14)


def test_the_scores_of_one_class_are_measured_by_name():
    metric = Auc(of="b").for_classes(["a", "b", "c"])
    expected = auc_of(SCORES[:, 1], LABELS == 1)
    assert metric.compute(SCORES, LABELS) == pytest.approx(expected, abs=1e-14)
    with pytest.raises(ValueError, match=r"no class 'il'; did you mean 'ill'\?"):
        PrecisionAtRecall(of="il").for_classes(["ill", "well"])
    with pytest.raises(ValueError, match="'of' measures one class; leave out 'average'"):
        Auc("micro", of="b")


def test_the_second_of_two_classes_is_measured_with_a_warning_where_it_matters():
    for metric, name in (
        (Auc(curve="precision_recall"), "auc"),
        (PrecisionAtRecall(), "precision_at_recall"),
    ):
        with pytest.warns(NnregWarning, match=f"the {name} is that of class 'well', the second"):
            metric.check_classes(["ill", "well"])
        metric.check_classes(["no", "yes"])
    Auc().check_classes(["ill", "well"])
    PrecisionAtRecall(of="ill").check_classes(["ill", "well"])


@pytest.mark.parametrize("metric", ["log_loss", "brier", "calibration_error"])
def test_a_metric_of_probabilities_refuses_other_scores(metric):
    tree = spec("classes", "identity", "multi_margin", ["auc", metric])
    with pytest.raises(
        nnreg.SpecError, match=rf"metrics\[1\]: {metric} compares probabilities, but"
    ):
        nnreg.build(tree, data=(X, WORDS))
    tree = spec("classes", "log_softmax", "nll", [metric])
    assert math.isfinite(nnreg.build(tree, data=(X, WORDS)).evaluate(X, WORDS)[metric])


def test_an_average_that_is_not_a_number_is_refused():
    tree, _ = CASES["softmax"]
    with pytest.raises(nnreg.SpecError, match="average"):
        nnreg.build({**tree, "metrics": [{"type": "auc", "average": "none"}]}, data=(X, WORDS))


def test_loss_and_log_loss_of_a_network_agree():
    tree, _ = CASES["softmax"]
    model = nnreg.build({**tree, "metrics": ["log_loss"]}, data=(X, WORDS))
    found = model.evaluate(X, WORDS)
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-12)
