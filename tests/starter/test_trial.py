"""Several networks for a data file, compared by cross-validation."""

from pathlib import Path

import numpy as np
import pytest

from nnreg.errors import DataError, DivergedError
from nnreg.runs.trial import Trial
from nnreg.spec import jsonc
from nnreg.starter import trial as module
from nnreg.starter.propose import examine
from nnreg.starter.trial import ProposalTrial
from tests.starter.proposals import rng


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Write a table of columns, and return the networks to compare for it, which are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnreg.starter.network_plan.UNITS", {0: (8,)})
    monkeypatch.setattr("nnreg.starter.network_plan.MEMBERS", {0: 2})
    monkeypatch.setattr("nnreg.starter.network_plan.EPOCHS", {100: 6, 0: 4})

    def of(**columns):
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        Path("data.csv").write_text("\n".join(lines) + "\n")
        return ProposalTrial(examine("data.csv"))

    return of


def line(count=60):
    x = rng().normal(size=(count, 2)).round(3)
    return {"a": x[:, 0], "b": x[:, 1], "y": (x @ [2, -1]).round(4)}


def test_a_linear_model_is_among_the_networks(trial):
    compared = trial(**line())
    assert {"default", "linear"} < set(compared.plans)
    assert 3 <= len(compared.plans) <= 5
    assert compared.what("default") == "8 silu, 2 members"
    assert compared.what("linear") == "no hidden layer"
    assert (compared.metric, compared.folds, compared.rows) == ("r2", 5, 60)


def test_the_smallest_of_the_best_is_written_with_the_scores_of_all(trial):
    compared = trial(**line())
    trials = list(compared.trials())
    assert [one.name for one in trials] == list(compared.plans)
    assert all(len(one.scores) == 5 for one in trials)
    chosen, why = compared.choice(trials)
    proposal = compared.proposal(".", trials)
    comment = proposal.comments["$.model"]
    assert f"Chosen by cross-validation with 5 folds ({why})." in comment
    for one in trials:
        assert f"{one.name} {one.mean:.4f} ± {one.standard_error:.4f}" in comment
    assert jsonc.loads(proposal.text()) == proposal.tree
    units = [one["units"] for one in proposal.tree["model"]["layers"] if "units" in one]
    assert units == [*compared.plans[chosen.name].units, 1]
    assert "folds" not in proposal.tree["train"]
    found = compared.as_json(trials)
    assert (found["chosen"], found["why"]) == (chosen.name, why)
    assert found["proposals"][0]["scores"] == list(trials[0].scores)


def made(name, scores, parameters):
    return Trial(name, scores, parameters, 1.0)


def test_the_reason_says_which_is_the_best(trial):
    compared = trial(**line())
    best, worse = made("default", (0.9, 0.8), 100), made("linear", (0.5, 0.6), 3)
    assert compared.choice([worse, best]) == (
        best, "no smaller network is within one standard error of its score",
    )  # fmt: skip
    similar = made("linear", (0.91, 0.78), 3)
    assert compared.choice([best, similar]) == (
        similar, "the smallest network within one standard error of the best, default",
    )  # fmt: skip


def test_networks_that_diverge_are_not_chosen(trial):
    compared = trial(**line())
    fine, diverged = made("linear", (0.1, 0.2), 3), made("default", (), 3)
    assert compared.choice([diverged, fine])[0] is fine
    assert compared.as_json([diverged, fine])["proposals"][0]["mean"] is None
    with pytest.raises(DivergedError, match="every proposal diverged; run init without --try"):
        compared.choice([diverged])


def test_with_rare_classes_their_scores_decide(trial):
    x = rng().normal(size=100).round(3)
    kind = ["rare" if i % 10 == 0 else "common" for i in range(100)]
    assert trial(x=x, kind=kind).metric in ("auc", "f1")
    assert trial(x=x, kind=["red", "blue"] * 50).metric == "accuracy"


def test_of_many_rows_some_are_drawn_and_trained_for_their_number_of_epochs(trial, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 50)
    compared = trial(**line(150))
    assert compared.rows == 50
    assert compared.plans["default"].epochs == 6
    document = compared.comparison.documents["default"]
    assert document.spec.train.epochs == 4
    assert document.tree["data"] == compared.examined.proposal(".").tree["data"]
    trials = list(compared.trials())
    assert compared.proposal(".", trials).tree["train"]["epochs"] == 6
    assert np.isfinite([one.mean for one in trials]).all()


def test_a_class_of_one_row_is_reported_before_anything_is_trained(trial, monkeypatch):
    monkeypatch.setattr("nnreg.runs.run.Run.train", None)
    compared = trial(x=line()["a"], kind=["odd", *["red", "blue"] * 29, "red"])
    with pytest.raises(DataError, match=r"with 5 folds; run init without --try: .*'odd'"):
        list(compared.trials())
