"""Tests of the estimators of scikit-learn."""
