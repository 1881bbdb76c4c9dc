"""Comparing specs by cross-validation."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import DataError
from nnreg.runs.trial import Comparison, Trial, chosen_of
from nnreg.spec.document import read_spec
from tests.helpers.specs import csv_data, regressor


@pytest.fixture
def documents(tmp_path, monkeypatch):
    """Return a linear model and a small network for 60 rows, on which the first is better."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnreg.runs.trial.ESTIMATE_SECONDS", 0.01)
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = x @ [2, -1] + 0.01 * np.arange(60) % 7
    rows = np.column_stack([x, y]).tolist()
    (tmp_path / "data.csv").write_text(
        "a,b,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    )

    def made(**hidden):
        layers = [{"type": "dense", **one} for one in (hidden, {"units": 1}) if one]
        spec = regressor(
            data=csv_data(target="y", split={"validation": 0.2}),
            model={"layers": layers},
            metrics=["r2"],
            optimizer={"type": "adam", "learning_rate": 0.1},
            train={"epochs": 15, "batch_size": 8, "folds": 3},
        )
        return read_spec(spec)

    return {"linear": made(), "network": made(units=4, activation="tanh")}


def test_the_scores_are_those_of_cross_validation(documents, tmp_path):
    before = sorted(tmp_path.iterdir())
    comparison = Comparison(documents, "r2", 100)
    assert 0 < comparison.seconds() < 60
    trials = list(comparison.trials())
    assert sorted(tmp_path.iterdir()) == before
    for one, document in zip(trials, documents.values(), strict=True):
        alone = nnreg.run(document)
        assert one.scores == tuple(fold["r2"] for fold in alone.summary["runs"])
        assert one.mean == alone.summary["mean"]["r2"]
        assert one.standard_error == pytest.approx(alone.summary["std"]["r2"] / np.sqrt(3))
    assert [one.name for one in trials] == ["linear", "network"]
    assert [one.parameters for one in trials] == [3, 17]
    assert chosen_of(trials).name == "linear"


def test_larger_files_are_sampled_the_same_for_all(documents, monkeypatch):
    counts = []
    train = nnreg.runs.cross_validation.Run.train

    def counted(run, *args, **kwargs):
        counts.append((len(run.prepared.train), run.prepared.train.raw_targets.sum()))
        return train(run, *args, **kwargs)

    monkeypatch.setattr("nnreg.runs.cross_validation.Run.train", counted)
    list(Comparison(documents, "r2", 30).trials())
    assert [rows for rows, _ in counts] == [16] * 6
    assert counts[:3] == counts[3:]


def test_a_spec_that_diverges_has_no_score(documents):
    worse = read_spec(
        {**documents["linear"].tree, "optimizer": {"type": "sgd", "learning_rate": 1e9}}
    )
    trials = list(Comparison({"worse": worse, "linear": documents["linear"]}, "r2", 100).trials())
    assert trials[0].scores == ()
    assert chosen_of(trials).name == "linear"
    assert chosen_of(trials[:1]) is None


def test_too_few_rows_for_the_folds_are_refused(documents):
    with pytest.raises(DataError, match=r"a fraction of 0\.2 of 2 rows is less than one row"):
        list(Comparison(documents, "r2", 3).trials())


def trial(name, scores, parameters):
    return Trial(name, tuple(scores), parameters, 1.0)


class TestChoice:
    def test_a_smaller_network_within_a_standard_error_of_the_differences_wins(self):
        large = trial("large", [0.90, 0.70, 0.80], 100)
        assert chosen_of([large, trial("small", [0.91, 0.69, 0.79], 10)]).name == "small"
        # Worse in each fold by the same: much less than the folds differ, and yet worse.
        assert chosen_of([large, trial("small", [0.89, 0.69, 0.79], 10)]).name == "large"

    def test_a_larger_network_must_be_better(self):
        same = trial("small", [0.5, 0.6], 10), trial("large", [0.5, 0.6], 100)
        assert chosen_of(same).name == "small"
        assert chosen_of([same[1], trial("best", [0.7, 0.8], 50)]).name == "best"
