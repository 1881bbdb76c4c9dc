"""Estimators of scikit-learn, which are networks of nnreg; the extra `sklearn` installs it."""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401 (a missing library is reported here, once)
except ImportError:
    problem = "nnreg.sklearn needs scikit-learn: pip install 'nnreg[sklearn]'"
    raise ImportError(problem) from None

from nnreg.sklearn.classifier import NNClassifier
from nnreg.sklearn.regressor import NNRegressor

__all__ = ["NNClassifier", "NNRegressor"]
