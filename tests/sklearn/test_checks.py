"""The checks that scikit-learn has for every estimator; none is expected to fail."""

import pytest

reason = "scikit-learn is not installed; it comes with the extra sklearn"
pytest.importorskip("sklearn", reason=reason)

from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from nnreg.sklearn import NNClassifier, NNRegressor  # noqa: E402

pytestmark = pytest.mark.verify


def spec_of(units, activation, loss):
    return {
        "model": {
            "layers": [
                {"type": "dense", "units": 32, "activation": "tanh"},
                {"type": "dense", "units": units, "activation": activation},
            ],
            "dtype": "float64",
        },
        "loss": loss,
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "train": {"epochs": 150, "batch_size": 200},
    }


ESTIMATORS = [
    NNClassifier(),
    NNClassifier(loss="multi_margin", learning_rate=0.01, epochs=100),  # has a decision_function
    NNClassifier(loss="binary_cross_entropy", class_weight="balanced"),
    NNClassifier(spec_of("classes", "softmax", "cross_entropy")),
    NNRegressor(),
    NNRegressor(data={"missing": "impute"}),
]


@parametrize_with_checks(ESTIMATORS)
def test_an_estimator_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
