"""The metrics, one file per family. Each compares all examples of a set at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnreg._utils.references import importing
from nnreg.builtin.components import METRICS

if TYPE_CHECKING:
    from nnreg.builtin.metrics.agreement import Accuracy as Accuracy
    from nnreg.builtin.metrics.agreement import BalancedAccuracy as BalancedAccuracy
    from nnreg.builtin.metrics.agreement import CohenKappa as CohenKappa
    from nnreg.builtin.metrics.agreement import Matthews as Matthews
    from nnreg.builtin.metrics.correlation import Pearson as Pearson
    from nnreg.builtin.metrics.correlation import Spearman as Spearman
    from nnreg.builtin.metrics.errors import R2 as R2
    from nnreg.builtin.metrics.errors import MeanAbsoluteErrorMetric as MeanAbsoluteErrorMetric
    from nnreg.builtin.metrics.errors import MeanSquaredErrorMetric as MeanSquaredErrorMetric
    from nnreg.builtin.metrics.errors import RootMeanSquaredError as RootMeanSquaredError
    from nnreg.builtin.metrics.probabilities import Brier as Brier
    from nnreg.builtin.metrics.probabilities import CalibrationError as CalibrationError
    from nnreg.builtin.metrics.probabilities import LogLoss as LogLoss
    from nnreg.builtin.metrics.ranking import Auc as Auc
    from nnreg.builtin.metrics.ranking import PrecisionAtRecall as PrecisionAtRecall
    from nnreg.builtin.metrics.ranking import RecallAtPrecision as RecallAtPrecision
    from nnreg.builtin.metrics.ranking import TopKAccuracy as TopKAccuracy
    from nnreg.builtin.metrics.ratios import F1 as F1
    from nnreg.builtin.metrics.ratios import FBeta as FBeta
    from nnreg.builtin.metrics.ratios import MeanIou as MeanIou
    from nnreg.builtin.metrics.ratios import Precision as Precision
    from nnreg.builtin.metrics.ratios import Recall as Recall
    from nnreg.builtin.metrics.ratios import Specificity as Specificity

__getattr__ = importing(__name__, METRICS.values())
