"""The report of a classifier says how well its probabilities are calibrated."""

import json

import numpy as np
import pytest
from nnreg_calibration import calibration_error, reliability

import nnreg

SPEC = {
    "data": {"source": "csv", "path": "data.csv", "target": "z", "split": {"test": 0.3}},
    "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
    "loss": "cross_entropy",
    "optimizer": "adam",
    "train": {"epochs": 3},
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal(size=(60, 2))
    rows = [f"{x},{y},{'above' if x + y > 0 else 'below'}" for x, y in points]
    (tmp_path / "data.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")


def page(spec):
    nnreg.run(spec, out="run")
    return nnreg.report("run").read_text()


def write(**changes):
    with open("spec.json", "w") as file:
        json.dump({**SPEC, **changes}, file)
    return page("spec.json")


def test_the_report_of_a_classifier_has_the_section():
    html = write()
    assert "<h2>Calibration</h2>" in html
    assert "Expected calibration error on the test rows: 0." in html
    assert "Accuracy of the predictions by their probability</figcaption>" in html


def test_the_report_of_a_regression_has_none():
    layers = [{"type": "dense", "units": 1}]
    data = {**SPEC["data"], "target": "x", "exclude": ["z"]}
    html = write(model={"layers": layers}, loss="mean_squared_error", data=data)
    assert "Calibration" not in html


def test_the_error_is_the_mean_difference_of_probability_and_accuracy():
    confidence = np.array([0.55, 0.55, 0.95, 0.95, 1.0])
    right = np.array([True, False, True, True, False])
    count, mean, accuracy = reliability(confidence, right)
    assert count.tolist() == [2, 3]
    np.testing.assert_allclose(mean, [0.55, 2.9 / 3])
    np.testing.assert_allclose(accuracy, [0.5, 2 / 3])
    expected = (2 * 0.05 + 3 * (2.9 / 3 - 2 / 3)) / 5
    assert calibration_error(count, mean, accuracy) == pytest.approx(expected)


def test_calibrated_predictions_have_no_error():
    confidence = np.repeat([0.75, 0.25], 100)
    right = np.concatenate([np.arange(100) < 75, np.arange(100) < 25])
    assert calibration_error(*reliability(confidence, right)) == pytest.approx(0)
