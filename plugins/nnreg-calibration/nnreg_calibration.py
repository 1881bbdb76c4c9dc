"""Calibration of classifiers, as a section of nnreg's reports. Guo et al. 2017."""

import numpy as np

from nnreg import ReportChart, ReportTable, Section, hookimpl

BINS = 10
"""The number of intervals of equal width into which the probabilities are divided."""


@hookimpl
def nnreg_report_sections(report):
    held_out = report.held_out
    if held_out is None or held_out.classes is None or held_out.confidence is None:
        return []
    if not np.all((held_out.confidence >= 0) & (held_out.confidence <= 1)):
        return []  # scores, not probabilities
    right = held_out.true_values == held_out.predictions
    return [section(held_out.confidence, right, held_out.split)]


def reliability(confidence, right):
    """Return the rows, mean probability and accuracy of each interval that has rows."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    filled = count > 0
    total = np.maximum(count, 1)
    mean = np.bincount(bins, confidence, BINS) / total
    accuracy = np.bincount(bins, right, BINS) / total
    return count[filled], mean[filled], accuracy[filled]


def calibration_error(count, mean, accuracy):
    """Return the mean difference of probability and accuracy over all rows."""
    return float(np.sum(count * np.abs(mean - accuracy)) / np.sum(count))


def section(confidence, right, split):
    """Return the section for the probabilities of the predicted classes."""
    count, mean, accuracy = reliability(confidence, right)
    error = calibration_error(count, mean, accuracy)
    rows = zip(mean.tolist(), accuracy.tolist(), count.tolist(), strict=True)
    return Section(
        "Calibration",
        [
            f"Expected calibration error on the {split} rows: {error:.3f}. Of the predictions with "
            "a probability of 0.8, a calibrated network has 80 % right.",
            ReportChart(
                "Accuracy of the predictions by their probability",
                "probability",
                "accuracy",
                {"network": (mean, accuracy), "calibrated": ([0, 1], [0, 1])},
            ),
            ReportTable(["mean probability", "accuracy", "rows"], list(rows)),
        ],
    )
