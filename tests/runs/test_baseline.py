"""The result of a run compared with the constant baseline."""

import numpy as np
import pytest

from nnreg.runs.baseline import describe, evaluate_with_baseline
from nnreg.runs.run import prepare_run
from tests.helpers.specs import classifier, regressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
SPECIES = np.where(X[:, 0] > -0.4, "common", "rare")


def summary(spec, x, y):
    run = prepare_run(spec, data=(x, y))
    run.train()
    return run.summary


def test_classes_are_compared_with_the_majority_class():
    spec = classifier(train={"epochs": 60})
    verdict = summary(spec, X, SPECIES)["verdict"]
    assert verdict["guess"] == "common"
    assert verdict["guess_value"] == np.mean(SPECIES == "common")
    assert verdict["better"]
    assert describe(verdict) == ("training accuracy 1, baseline (always common) 0.5667: better")


def test_numeric_targets_are_compared_with_the_mean():
    y = 3 * X[:, 0] + 1
    found = summary(regressor(train={"epochs": 60}, metrics=["mean_absolute_error"]), X, y)
    verdict = found["verdict"]
    assert verdict["guess_value"] == pytest.approx(np.mean(np.abs(y - y.mean())))
    assert verdict["guess_value"] == found["baseline"]["mean_absolute_error"]
    assert verdict["value"] == found["train"]["mean_absolute_error"]
    assert verdict["better"]
    assert "baseline (always the mean) " in describe(verdict)


def test_a_spec_without_metrics_is_compared_by_a_common_one():
    found = summary(classifier(metrics=[]), X, SPECIES)
    assert found["verdict"]["metric"] == "accuracy"
    assert found["baseline"] == {}
    found = summary(regressor(), X, X[:, :1])
    assert found["verdict"]["metric"] == "mean absolute error"


def test_a_network_that_learned_nothing_is_reported():
    noise = RNG.choice(["a", "b"], p=[0.3, 0.7], size=90)
    spec = classifier(train={"epochs": 1}, optimizer={"type": "sgd", "learning_rate": 1e-9})
    verdict = summary(spec, X, noise)["verdict"]
    assert not verdict["better"]
    equal = {**verdict, "value": verdict["guess_value"]}
    assert describe(equal).endswith(": no better")
    worse = {**verdict, "value": verdict["guess_value"] - 0.1}
    assert describe(worse).endswith(": worse")


def test_with_identical_targets_there_is_no_comparison():
    target = np.full((len(X), 1), 0.1)  # its mean, computed plainly, differs in the last digit
    verdict = summary(regressor(train={"epochs": 1}), X, target)["verdict"]
    assert verdict["alike"]
    assert verdict["guess_value"] == 0
    assert describe(verdict).endswith("; all targets are identical")
    assert not summary(regressor(train={"epochs": 1}), X, X[:, :1])["verdict"]["alike"]


@pytest.mark.parametrize(
    ("settings", "split"),
    [
        ({}, "train"),
        ({"validation": 0.2}, "validation"),
        ({"validation": 0.2, "test": 0.2}, "test"),
    ],
)
def test_the_reported_split_is_compared(settings, split, tmp_path):
    rows = "\n".join(f"{a},{b},{s}" for (a, b, _), s in zip(X, SPECIES, strict=True))
    (tmp_path / "data.csv").write_text(f"a,b,s\n{rows}\n")
    data = {"source": "csv", "path": str(tmp_path / "data.csv"), "target": "s", "split": settings}
    run = prepare_run(classifier(data=data))
    run.train()
    assert run.summary["verdict"]["part"] == split
    assert run.summary["verdict"]["value"] == run.summary[split]["accuracy"]


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_a_network_that_predicts_the_constant_is_not_better(target):
    classes = target == "classes"
    y = SPECIES if classes else np.arange(90.0)
    spec = classifier() if classes else regressor(metrics=["mean_absolute_error"])
    prepared = prepare_run(spec, data=(X, y)).prepared
    model = prepared.model
    model.network.vector[...] = 0
    last = list(model.parameters)[-1]
    model.parameters[last] = [1, 0] if classes else y.mean()
    verdict = evaluate_with_baseline(prepared)["verdict"]
    assert verdict["value"] == verdict["guess_value"]
    assert verdict["better"] is False
