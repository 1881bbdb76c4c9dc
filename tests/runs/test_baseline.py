"""The result of a run against a constant guess."""

import numpy as np
import pytest

from nnreg.runs.baseline import describe
from nnreg.runs.run import prepare_run
from tests.helpers.specs import classifier, regressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
SPECIES = np.where(X[:, 0] > -0.4, "common", "rare")


def summary(spec, x, y):
    run = prepare_run(spec, data=(x, y))
    run.train()
    return run.summary


def test_classes_are_compared_with_the_majority():
    spec = classifier(train={"epochs": 60})
    verdict = summary(spec, X, SPECIES)["verdict"]
    assert verdict["guess"] == "common"
    assert verdict["guess_value"] == np.mean(SPECIES == "common")
    assert verdict["better"]
    assert describe(verdict) == (
        "training accuracy 1, against 0.5667 for always guessing common: better"
    )


def test_numbers_are_compared_with_the_mean():
    y = 3 * X[:, 0] + 1
    found = summary(regressor(train={"epochs": 60}, metrics=["mean_absolute_error"]), X, y)
    verdict = found["verdict"]
    assert verdict["guess_value"] == pytest.approx(np.mean(np.abs(y - y.mean())))
    assert verdict["guess_value"] == found["baseline"]["mean_absolute_error"]
    assert verdict["value"] == found["train"]["mean_absolute_error"]
    assert verdict["better"]
    assert "for always guessing the mean: better" in describe(verdict)


def test_a_spec_without_metrics_gets_one_that_people_know():
    found = summary(classifier(metrics=[]), X, SPECIES)
    assert found["verdict"]["metric"] == "accuracy"
    assert found["baseline"] == {}
    found = summary(regressor(), X, X[:, :1])
    assert found["verdict"]["metric"] == "mean absolute error"


def test_what_has_learned_nothing_is_told_so():
    noise = RNG.choice(["a", "b"], p=[0.3, 0.7], size=90)
    spec = classifier(train={"epochs": 1}, optimizer={"type": "sgd", "learning_rate": 1e-9})
    verdict = summary(spec, X, noise)["verdict"]
    assert not verdict["better"]
    equal = {**verdict, "value": verdict["guess_value"]}
    assert describe(equal).endswith(": no better")
    worse = {**verdict, "value": verdict["guess_value"] - 0.1}
    assert describe(worse).endswith(": worse")


def test_where_all_answers_are_the_same_no_guess_is_held_against_the_network():
    verdict = summary(regressor(train={"epochs": 1}), X[:1], [[0.1]])["verdict"]
    assert verdict["alike"]
    assert describe(verdict).endswith("; the answer is the same in all rows")
    assert not summary(regressor(train={"epochs": 1}), X, X[:, :1])["verdict"]["alike"]


@pytest.mark.parametrize(
    ("split", "part"),
    [
        ({}, "train"),
        ({"validation": 0.2}, "validation"),
        ({"validation": 0.2, "test": 0.2}, "test"),
    ],
)
def test_the_part_that_says_most_is_compared(split, part, tmp_path):
    rows = "\n".join(f"{a},{b},{s}" for (a, b, _), s in zip(X, SPECIES, strict=True))
    (tmp_path / "data.csv").write_text(f"a,b,s\n{rows}\n")
    data = {"source": "csv", "path": str(tmp_path / "data.csv"), "target": "s", "split": split}
    run = prepare_run(classifier(data=data))
    run.train()
    assert run.summary["verdict"]["part"] == part
    assert run.summary["verdict"]["value"] == run.summary[part]["accuracy"]
