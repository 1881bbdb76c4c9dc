"""Metrics against counts by hand."""

import numpy as np
import pytest

from nnreg.builtin import losses, metrics
from nnreg.errors import NnregWarning
from nnreg.registry.registry import installed

PREDICTED = np.array([0, 1, 2, 2, 1, 0, 0])
TRUTH = np.array([0, 1, 1, 2, 1, 2, 0])
LINE = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
NUMBERS = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [5.0]])


@pytest.mark.parametrize(
    ("metric", "pair", "expected"),
    [
        (metrics.Accuracy(), (PREDICTED, TRUTH), 5 / 7),
        (metrics.Precision(), (PREDICTED, TRUTH), (2 / 3 + 1 + 1 / 2) / 3),
        (metrics.Recall(), (PREDICTED, TRUTH), (1 + 2 / 3 + 1 / 2) / 3),
        (metrics.F1(), (PREDICTED, TRUTH), (4 / 5 + 4 / 5 + 1 / 2) / 3),
        (metrics.Precision("micro"), (PREDICTED, TRUTH), 5 / 7),
        (metrics.Recall("binary"), (PREDICTED, TRUTH), 2 / 3),
        (metrics.F1("binary"), (np.zeros(3, int), np.zeros(3, int)), 0),
        (metrics.MeanSquaredErrorMetric(), NUMBERS, 2 / 3),
        (metrics.MeanAbsoluteErrorMetric(), NUMBERS, 2 / 3),
        (metrics.RootMeanSquaredError(), NUMBERS, np.sqrt(2 / 3)),
        (metrics.RootMeanSquaredError(), (np.zeros((3, 1)), np.zeros((3, 1))), 0),
        (metrics.RootMeanSquaredError(), tuple(1e200 * n for n in NUMBERS), 1e200 * (2 / 3) ** 0.5),
        (metrics.Precision("weighted"), (PREDICTED, TRUTH), (3 + 2 * 2 / 3 + 2 / 2) / 7),
        (metrics.Specificity(of="a").for_classes("abc"), (PREDICTED, TRUTH), 4 / 5),
        (metrics.MeanIou(), (PREDICTED, TRUTH), (2 / 3 + 2 / 3 + 1 / 3) / 3),
        (metrics.FBeta(beta=2), (PREDICTED, TRUTH), (10 / 11 + 10 / 14 + 5 / 10) / 3),
        (metrics.BalancedAccuracy(), (PREDICTED, TRUTH), (1 + 2 / 3 + 1 / 2) / 3),
        (metrics.BalancedAccuracy(adjusted=True), (PREDICTED, TRUTH), (13 / 18 - 1 / 3) * 3 / 2),
        (metrics.Matthews(), (PREDICTED, TRUTH), (5 * 7 - 16) / (49 - 17)),
        (metrics.CohenKappa(), (PREDICTED, TRUTH), 1 - (2 / 7) / (1 - 16 / 49)),
        (metrics.Pearson(), (2 * LINE + 1, -LINE), -1),
        (metrics.Spearman(), (LINE**3, LINE), 1),
        (metrics.R2(), NUMBERS, 1 - 2 / 8),
        (metrics.R2(), (np.ones((3, 1)), np.ones((3, 1))), 1),
        (metrics.R2(), (np.zeros((3, 1)), np.ones((3, 1))), 0),
        # the mean of equal numbers, computed plainly, differs from them in the last digit
        (metrics.R2(), (np.full((1000, 1), 14.62), np.full((1000, 1), 14.62)), 1),
        (metrics.R2(), (np.zeros((1000, 1)), np.full((1000, 1), 14.62)), 0),
        (metrics.R2(), (1e200 * NUMBERS[0], 1e200 * NUMBERS[1]), 1 - 2 / 8),
        (metrics.R2(), (1e-200 * NUMBERS[0], 1e-200 * NUMBERS[1]), 1 - 2 / 8),
    ],
)
def test_a_metric_equals_the_count_by_hand(metric, pair, expected):
    assert metric.compute(*pair) == pytest.approx(expected)


def test_every_metric_declares_whether_higher_is_better():
    worse = {e.name for e in installed() if e.kind == "metric" and not e.cls.higher_is_better}
    errors = {"mean_squared_error", "root_mean_squared_error", "mean_absolute_error"}
    assert worse == {*errors, "log_loss", "brier", "calibration_error"}


@pytest.mark.parametrize(
    ("metric", "truth", "expected"),
    [
        (metrics.Matthews(), TRUTH, 0),
        (metrics.Matthews(), 0 * TRUTH, 0),
        (metrics.CohenKappa("linear"), TRUTH, 0),
        (metrics.CohenKappa(), 0 * TRUTH, np.nan),
        (metrics.CohenKappa("quadratic"), 0 * TRUTH, np.nan),
        (metrics.BalancedAccuracy(), 0 * TRUTH, 1),
        (metrics.BalancedAccuracy(adjusted=True), 0 * TRUTH, np.nan),
        (metrics.Specificity(of="a").for_classes("abc"), 0 * TRUTH, 0),
        (metrics.Pearson(), TRUTH, 0),
        (metrics.Pearson(), 0 * TRUTH, np.nan),
        (metrics.Spearman(), TRUTH, 0),
        (metrics.Spearman(), 0 * TRUTH, np.nan),
    ],
    ids=str,
)
def test_predictions_that_are_all_equal_are_as_good_as_chance(metric, truth, expected):
    with np.errstate(all="raise"):
        found = metric.compute(0 * TRUTH, truth)
    np.testing.assert_equal(found, expected)


def test_a_correlation_with_predictions_that_diverged_is_not_a_number():
    for metric in (metrics.Pearson(), metrics.Spearman()):
        assert np.isnan(metric.compute(np.array([np.inf, 0, 1]), np.arange(3.0)))


def test_cohens_kappa_needs_no_table_of_all_pairs_of_classes():
    many = np.arange(200_000)
    for weights in (None, "linear", "quadratic"):
        assert metrics.CohenKappa(weights).compute(many, many) == 1


def test_any_weight_of_recall_is_possible():
    for beta in (5e-324, 1e-200, 1e200, 1.7e308):
        limit = metrics.Recall() if beta > 1 else metrics.Precision()
        found = metrics.FBeta(beta=beta).compute(PREDICTED, TRUTH)
        assert found == pytest.approx(limit.compute(PREDICTED, TRUTH))


@pytest.mark.parametrize(
    ("positive", "expected"),
    [(None, 3 / 4), ("ill", 1 / 2), ("well", 3 / 4)],
)
def test_a_binary_metric_is_that_of_the_positive_class(positive, expected):
    truth, predicted = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 1, 1, 1, 1, 0])
    metric = metrics.Recall("binary", positive).for_classes(["ill", "well"])
    assert metric.compute(predicted, truth) == expected


def test_a_positive_class_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"no class 'il'; did you mean 'ill'\?"):
        metrics.F1("binary", "il").for_classes(["ill", "well"])


def test_a_positive_class_needs_a_binary_average():
    with pytest.raises(ValueError, match="'positive' is only for"):
        metrics.F1("macro", "ill")


def test_a_binary_metric_of_classes_without_an_evident_positive_one_warns():
    with pytest.warns(NnregWarning, match="the f1 is that of class 'well', the second of 'ill'"):
        metrics.F1("binary").check_classes(["ill", "well"])
    for names in (["0", "1"], ["False", "True"], ["no", "yes"]):
        metrics.F1("binary").check_classes(names)
    metrics.F1("binary", "ill").check_classes(["ill", "well"])
    metrics.F1("macro").check_classes(["ill", "well"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_mean_is_finite_if_only_the_sum_of_its_values_is_not(dtype):
    top = float(np.finfo(dtype).max)
    t, large = np.zeros((5, 2), dtype), np.full((5, 2), 0.9 * top, dtype)
    root = np.full((5, 2), np.sqrt(0.9 * top), dtype)
    cases = [
        (metrics.MeanAbsoluteErrorMetric().compute, large),
        (metrics.MeanSquaredErrorMetric().compute, root),
        (lambda y, t: losses.MeanAbsoluteError().forward(y, t)[0], large),
        (lambda y, t: losses.MeanSquaredError().forward(y, t)[0], root),
        (lambda y, t: losses.Huber().forward(y, t)[0], large),
        (lambda y, t: losses.BinaryCrossEntropy().forward_logits(y, t)[0], large),
        *((lambda y, t, loss=loss: loss.per_example(y, t, logits=True)[3], y)
          for loss, y in ((losses.MeanAbsoluteError(), large), (losses.MeanSquaredError(), root),
                          (losses.Huber(), large), (losses.BinaryCrossEntropy(), large))),
    ]  # fmt: skip
    for compute, y in cases:
        with np.errstate(over="ignore"):
            assert compute(y, t) == pytest.approx(0.9 * top, rel=1e-5)


def test_a_mean_with_infinite_or_invalid_values_stays_infinite_or_nan():
    metric = metrics.MeanAbsoluteErrorMetric()
    assert metric.compute(np.array([np.inf, 1]), np.zeros(2)) == np.inf
    assert np.isnan(metric.compute(np.array([np.nan, 1]), np.zeros(2)))
