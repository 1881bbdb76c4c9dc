"""Every metric beside that of scikit-learn, with ties, and classes that are absent or constant."""

import math
import warnings

import numpy as np
import pytest

from nnreg.builtin import metrics
from tests.parity.comparison import compare, name_of, peer, require_all

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(11)
T, Y = RNG.normal(size=(2, 60, 3)).round(1) * 3
LABELS = RNG.integers(0, 4, 80)
PREDICTED = np.where(RNG.random(80) < 0.6, LABELS, RNG.integers(0, 4, 80))
ABSENT = LABELS[LABELS != 2], PREDICTED[LABELS != 2]  # predicted, though no target is
NEVER = LABELS, np.where(PREDICTED == 1, 3, PREDICTED)
TWO, PREDICTED_TWO = LABELS // 2, PREDICTED // 2
ONE, ZEROS = np.ones(7, int), np.zeros(80, int)
CLASSES = {
    "four classes": (LABELS, PREDICTED),
    "a class without targets": ABSENT,
    "a class that is never predicted": NEVER,
    "two classes": (TWO, PREDICTED_TWO),
    "one class": (ONE, ONE),
    "two classes, one predicted": (TWO, ZEROS),
    "one class, the other predicted": (ONE, ONE * 0),
    "one example": (ONE[:1], ONE[:1]),
}
SCORES = RNG.dirichlet([1, 1, 1, 1], 80)
TIED = SCORES.round(1) + 0.01
TIED /= TIED.sum(axis=1, keepdims=True)
BINARY = RNG.random((80, 1)).round(1)
BINARY = np.hstack([1 - BINARY, BINARY])
EDGES = np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]] * 10)
PROBABILITIES = {
    "four classes": (LABELS, SCORES),
    "four classes, ties": (LABELS, TIED),
    "limits of bins": (LABELS[:30], EDGES),
    "two classes": (TWO, BINARY),
}
MANY_LABELS, MANY_SCORES = RNG.integers(0, 2, (60, 3)), RNG.random((60, 3)).round(1)
NAMES = list("abcd")


def scikit_learn(name, **options):
    """Return a function of scikit-learn with these options."""
    compute = peer(f"sklearn.metrics.{name}")
    return compute(lambda peer, t, y: getattr(peer, name)(t, y, **options))


def ratio(name, **options):
    """Return scikit-learn's ratio of counts, and 0 where it is undefined."""

    @peer(f"sklearn.metrics.{name}")
    def compute(peer, t, y, average):
        own = {"labels": [1]} if average == "binary" else {}
        kind = "micro" if average == "binary" else average  # that of label 1 alone
        return getattr(peer, name)(t, y, average=kind, zero_division=0, **own, **options)

    return compute


@peer("sklearn.metrics.multilabel_confusion_matrix")
def specificity(peer, t, y, average):
    """Return the true negatives over the actual negatives of each class, averaged."""
    labels = np.arange(t.shape[1]) if t.ndim == 2 else np.union1d(t, y)
    counts = peer.multilabel_confusion_matrix(t, y, labels=[1] if average == "binary" else labels)
    right, wrong = counts[:, 0, 0], counts[:, 0, 1]
    if average in ("micro", "binary"):
        return right.sum() / (right.sum() + wrong.sum())
    each = np.divide(right, right + wrong, out=np.zeros(len(right)), where=right + wrong > 0)
    return np.average(each, weights=counts[:, 1].sum(axis=1) if average == "weighted" else None)


RATIOS = [
    (metrics.Precision, {}, ratio("precision_score")),
    (metrics.Recall, {}, ratio("recall_score")),
    (metrics.F1, {}, ratio("f1_score")),
    (metrics.FBeta, {}, ratio("fbeta_score", beta=1)),
    (metrics.FBeta, {"beta": 2.5}, ratio("fbeta_score", beta=2.5)),
    (metrics.FBeta, {"beta": 0.3}, ratio("fbeta_score", beta=0.3)),
    (metrics.MeanIou, {}, ratio("jaccard_score")),
    (metrics.Specificity, {}, specificity),
]


@peer("sklearn.metrics.balanced_accuracy_score")
def adjusted(peer, t, y):
    if len(np.unique(t)) == 1:
        return math.nan
    return peer.balanced_accuracy_score(t, y, adjusted=True)


def kappa(weights):
    @peer("sklearn.metrics.cohen_kappa_score")
    def compute(peer, t, y):
        numbers = np.arange(max(t.max(), y.max()) + 1)
        return peer.cohen_kappa_score(y, t, weights=weights, labels=numbers)

    return compute


AGREEMENT = [
    (metrics.Accuracy(), scikit_learn("accuracy_score")),
    (metrics.BalancedAccuracy(), scikit_learn("balanced_accuracy_score")),
    (metrics.BalancedAccuracy(adjusted=True), adjusted),
    (metrics.Matthews(), scikit_learn("matthews_corrcoef")),
    (metrics.CohenKappa(), kappa(None)),
    (metrics.CohenKappa("linear"), kappa("linear")),
    (metrics.CohenKappa("quadratic"), kappa("quadratic")),
]


def precision_at(recall):
    @peer("sklearn.metrics.precision_recall_curve")
    def compute(peer, t, y):
        precisions, recalls, _ = peer.precision_recall_curve(t, y)
        return max(p for p, r in zip(precisions, recalls, strict=True) if r >= recall)

    return compute


def recall_at(precision):
    @peer("sklearn.metrics.precision_recall_curve")
    def compute(peer, t, y):
        precisions, recalls, _ = peer.precision_recall_curve(t, y)
        return max(r for p, r in zip(precisions, recalls, strict=True) if p >= precision)

    return compute


RANKINGS = [
    (metrics.Auc, {}, scikit_learn("roc_auc_score")),
    (metrics.Auc, {"curve": "precision_recall"}, scikit_learn("average_precision_score")),
    *((metrics.PrecisionAtRecall, {"recall": r}, precision_at(r)) for r in (0.1, 0.5, 0.77, 1.0)),
    *((metrics.RecallAtPrecision, {"precision": p}, recall_at(p)) for p in (0.1, 0.4, 0.6, 1.0)),
]


def averaged(peer, function, t, y, average):
    """Return a function of one column of labels and scores, averaged as scikit-learn does."""
    if average == "micro":
        return function(peer, t.ravel(), y.ravel())
    each = [function(peer, t[:, k], y[:, k]) for k in range(t.shape[1])]
    return np.average(each, weights=t.sum(axis=0) if average == "weighted" else None)


def calibration(bins):
    @peer("sklearn.calibration.calibration_curve")
    def compute(peer, t, y):
        """Return the error from the bins of scikit-learn's calibration curve."""
        from sklearn.calibration import calibration_curve

        confidence, right = y.max(axis=1), y.argmax(axis=1) == t
        fractions, means = calibration_curve(right, confidence, n_bins=bins)
        limits = np.linspace(0, 1, bins + 1)
        counts = np.bincount(np.searchsorted(limits[1:-1], confidence), minlength=bins)
        return np.sum(counts[counts > 0] * np.abs(fractions - means)) / len(t)

    return compute


def top(k):
    return scikit_learn("top_k_accuracy_score", k=k, labels=range(4))


def of_probabilities(name):
    compute = peer(f"sklearn.metrics.{name}")
    return compute(lambda peer, t, y: getattr(peer, name)(t, y, labels=range(y.shape[1])))


OF_PROBABILITIES = [
    (metrics.LogLoss(), of_probabilities("log_loss")),
    (metrics.Brier(), of_probabilities("brier_score_loss")),
    (metrics.CalibrationError(), calibration(15)),
    (metrics.CalibrationError(10), calibration(10)),
    (metrics.CalibrationError(1), calibration(1)),
]
TOP = [(metrics.TopKAccuracy(k), top(k)) for k in (1, 2, 3)]


def correlation(name):
    @peer(f"scipy.stats.{name}")
    def compute(peer, t, y):
        stats = pytest.importorskip("scipy.stats")
        each = [getattr(stats, name)(t[:, k], y[:, k])[0] for k in range(t.shape[1])]
        return np.mean(each)

    return compute


@peer("sklearn.metrics.root_mean_squared_error")
def root_mean_squared_error(peer, t, y):
    return peer.root_mean_squared_error(t.ravel(), y.ravel())


OF_NUMBERS = [
    (metrics.MeanSquaredErrorMetric(), scikit_learn("mean_squared_error")),
    (metrics.RootMeanSquaredError(), root_mean_squared_error),
    (metrics.MeanAbsoluteErrorMetric(), scikit_learn("mean_absolute_error")),
    (metrics.R2(), scikit_learn("r2_score")),
    (metrics.Pearson(), correlation("pearsonr")),
    (metrics.Spearman(), correlation("spearmanr")),
]  # fmt: skip
AVERAGES = ("macro", "micro", "weighted")


def same(metric, function, found, expected, rtol=1e-12):
    compare(metric, function, [(found, expected)], rtol=rtol)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("case", AGREEMENT, ids=lambda case: str(case[0]))
def test_agreement_of_classes_is_scikit_learns(sklearn, case, name):
    metric, function = case
    t, y = CLASSES[name]
    with warnings.catch_warnings(action="ignore"):
        expected = function(sklearn, t, y)
    same(metric, function, metric.compute(y, t), expected)


@pytest.mark.parametrize("average", [*AVERAGES, "binary"])
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("case", RATIOS, ids=lambda case: f"{case[0].__name__} {case[1]}")
def test_ratios_of_counts_are_scikit_learns(sklearn, case, name, average):
    cls, options, function = case
    t, y = CLASSES[name]
    with warnings.catch_warnings(action="ignore"):
        expected = function(sklearn, t, y, average)
    same(cls, function, cls(average, **options).compute(y, t), np.nan_to_num(expected))


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("case", RATIOS, ids=lambda case: f"{case[0].__name__} {case[1]}")
def test_ratios_of_labels_and_of_one_class_are_scikit_learns(sklearn, case, average):
    cls, options, function = case
    expected = function(sklearn, MANY_LABELS, (MANY_SCORES > 0.5).astype(int), average)
    labels = cls(average, **options).for_labels(NAMES[:3])
    same(cls, function, labels.compute(MANY_SCORES, MANY_LABELS), expected)
    own = cls(of="c", **options)
    expected = function(sklearn, LABELS == 2, PREDICTED == 2, "binary")
    same(cls, function, own.for_classes(NAMES).compute(PREDICTED, LABELS), expected)
    column = MANY_LABELS[:, 2], MANY_SCORES[:, 2] > 0.5
    found = own.for_labels(NAMES[:3]).compute(MANY_SCORES, MANY_LABELS)
    same(cls, function, found, function(sklearn, *column, "binary"))


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("scores", [SCORES, TIED], ids=["scores", "ties"])
@pytest.mark.parametrize("case", RANKINGS, ids=lambda case: f"{case[0].__name__} {case[1]}")
def test_rankings_are_scikit_learns(sklearn, case, scores, average):
    cls, options, function = case
    metric = cls(average, **options)
    one_hot = np.eye(4)[LABELS]
    expected = averaged(sklearn, function, one_hot, scores, average)
    same(cls, function, metric.compute(scores, LABELS), expected)
    same(cls, function, metric.compute(BINARY, TWO), function(sklearn, TWO, BINARY[:, 1]))
    labels = metric.for_labels(NAMES[:3]).compute(MANY_SCORES, MANY_LABELS)
    expected = averaged(sklearn, function, MANY_LABELS, MANY_SCORES, average)
    same(cls, function, labels, expected)
    of_c = cls(of="c", **options).for_classes(NAMES)
    assert of_c.of_scores
    expected = function(sklearn, LABELS == 2, scores[:, 2])
    same(cls, function, of_c.compute(scores, LABELS), expected)


@pytest.mark.parametrize("average", AVERAGES)
def test_averages_of_auc_are_named_as_those_of_scikit_learn(sklearn, average):
    expected = sklearn.roc_auc_score(LABELS, TIED, multi_class="ovr", average=average)
    found = metrics.Auc(average).compute(TIED, LABELS)
    same(metrics.Auc, "sklearn.metrics.roc_auc_score", found, expected)
    for curve, name in (("roc", "roc_auc_score"), ("precision_recall", "average_precision_score")):
        own = metrics.Auc(average, curve=curve).for_labels(NAMES[:3])
        function = scikit_learn(name, average=average)
        expected = function(sklearn, MANY_LABELS, MANY_SCORES)
        same(metrics.Auc, function, own.compute(MANY_SCORES, MANY_LABELS), expected)


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("case", OF_PROBABILITIES, ids=lambda case: str(case[0]))
def test_metrics_of_probabilities_are_scikit_learns(sklearn, case, name):
    metric, function = case
    t, y = PROBABILITIES[name]
    same(metric, function, metric.compute(y, t), function(sklearn, t, y))


@pytest.mark.parametrize("case", TOP, ids=lambda case: str(case[0]))
def test_top_k_accuracy_is_scikit_learns(sklearn, case):
    metric, function = case
    same(metric, function, metric.compute(SCORES, LABELS), function(sklearn, LABELS, SCORES))


@pytest.mark.parametrize("case", OF_NUMBERS, ids=lambda case: str(case[0]))
def test_metrics_of_numbers_are_those_of_scikit_learn_and_scipy(sklearn, case):
    metric, function = case
    for t, y in ((T, Y), (T, T + 1e-3 * Y), (1e6 + T, 1e6 + Y), (T, -T)):
        same(metric, function, metric.compute(y, t), function(sklearn, t, y), rtol=1e-10)


def test_every_built_in_metric_is_compared():
    compared = {name_of(case[0]) for case in (*RATIOS, *RANKINGS, *AGREEMENT, *OF_PROBABILITIES)}
    require_all("metric", compared | {name_of(case[0]) for case in (*TOP, *OF_NUMBERS)})
